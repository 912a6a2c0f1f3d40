#include "services/qwen/requests.h"

#include <gtest/gtest.h>

#include "boost/json/parse.hpp"
#include "services/common/text/json.h"
#include "services/qwen/xsrf_memory.h"

namespace switchyard::qwen {
namespace {

QwenCookie Login() { return *ParseQwenCookie("tongyi_sso_ticket=Tk1; XSRF-TOKEN=a%2Bb"); }

TEST(QwenRequests, AConversationIsAsThePlatformWantsIt) {
  Settings settings;
  settings.user_agent = "Browser";
  ConversationInput input;
  input.request_id = "0123456789abcdef0123456789abcdef";
  input.prompt = "Hello";
  input.model = "Qwen3-Max";
  HttpRequest request = Conversation(settings, Login(), input);
  EXPECT_EQ(request.url, "https://qianwen.biz.aliyun.com/dialog/conversation");
  EXPECT_FALSE(request.repeatable);
  EXPECT_EQ(request.headers.Get("Cookie"), "tongyi_sso_ticket=Tk1; XSRF-TOKEN=a%2Bb");
  EXPECT_EQ(request.headers.Get("X-Xsrf-Token"), "a+b");
  EXPECT_EQ(request.headers.Get("X-Platform"), "pc_tongyi");
  EXPECT_EQ(request.headers.Get("Origin"), "https://www.qianwen.com");
  EXPECT_EQ(*ParseJson(request.body), *ParseJson(R"({"action":"next","mode":"chat","userAction":"chat",
      "model":"Qwen3-Max","requestId":"0123456789abcdef0123456789abcdef","sessionId":"","sessionType":"text_chat",
      "parentMsgId":"0","contents":[{"contentType":"text","content":"Hello","role":"user"}]})"));
  input.before = MessageRef{"s1", "m1"};
  const auto body = *ParseJson(Conversation(settings, Login(), input).body);
  EXPECT_EQ(JsonText(FindMember(body, {"sessionId"})), "s1");
  EXPECT_EQ(JsonText(FindMember(body, {"parentMsgId"})), "m1");
}

TEST(QwenRequests, WithoutTheCookieThereIsNoXsrfHeader) {
  const HttpRequest request = DeleteSession(Settings(), *ParseQwenCookie("Tk1"), "s1");
  EXPECT_FALSE(request.headers.Find("X-Xsrf-Token").has_value());
  EXPECT_EQ(request.body, R"({"sessionId":"s1"})");
}

TEST(QwenRequests, TheNewerCallNamesDeviceAndSession) {
  Settings settings;
  settings.base_url = "https://chat2.qianwen.com";
  settings.api_url = "https://chat2-api.qianwen.com";
  Chat2Input input;
  input.request_id = "r1";
  input.session = "s1";
  input.device = "d1";
  input.nonce = "abcdef0123";
  input.now = absl::FromUnixMillis(1793000000123);
  input.prompt = "Hello";
  input.model = "Qwen3-Max";
  const HttpRequest request = Chat2(settings, Login(), input);
  EXPECT_EQ(request.url,
            "https://chat2.qianwen.com/api/v2/chat?biz_id=ai_qwen&chat_client=h5&device=pc&fr=pc&pr=qwen&ut=d1"
            "&la=zh-CN&tz=Asia%2FShanghai&nonce=abcdef0123&timestamp=1793000000123");
  EXPECT_EQ(request.headers.Get("X-DeviceId"), "d1");
  const auto body = *ParseJson(request.body);
  EXPECT_EQ(JsonText(FindMember(body, {"session_id"})), "s1");
  EXPECT_EQ(JsonText(FindMember(body, {"deep_search"})), "0");
  EXPECT_EQ(JsonText(FindMember(body, {"client_tm"})), "1793000000123");
  input.search = true;
  EXPECT_EQ(JsonText(FindMember(*ParseJson(Chat2(settings, Login(), input).body), {"deep_search"})), "1");
  const HttpRequest deletion = DeleteChat2(settings, Login(), "s1", "d1");
  EXPECT_EQ(deletion.url.find("https://chat2-api.qianwen.com/api/v1/session/delete/batch?"), 0u);
  EXPECT_EQ(deletion.body, R"({"session_ids":["s1"]})");
}

TEST(QwenRequests, ThinkingIsAModel) {
  EXPECT_EQ(ModelCode("Qwen3-Max", true), "Qwen3-Max-Thinking-Preview");
  EXPECT_EQ(ModelCode("Qwen3-Max-Thinking-Preview", false), "Qwen3-Max");
  EXPECT_EQ(ModelCode("Qwen", true), "Qwen");
}

TEST(QwenRequests, ReferencesAreReadBack) {
  EXPECT_EQ(MessageRef::Parse("ab-cd")->ToString(), "ab-cd");
  for (const char* text : {"", "ab", "-cd", "ab-", "a b-c", "ab-cd-ef", "made-up!"})
    EXPECT_FALSE(MessageRef::Parse(text).has_value()) << text;
}

TEST(XsrfMemory, AReplacedTokenBelongsToItsLogin) {
  XsrfMemory memory;
  memory.Note(Login(), {{"Set-Cookie", "other=1"}, {"set-cookie", "XSRF-TOKEN=n%3D; Path=/"}});
  QwenCookie login = Login();
  memory.Apply(login);
  EXPECT_EQ(login.Header(), "tongyi_sso_ticket=Tk1; XSRF-TOKEN=n%3D");
  EXPECT_EQ(login.xsrf, "n=");
  QwenCookie other = *ParseQwenCookie("Tk2");
  memory.Apply(other);
  EXPECT_FALSE(other.xsrf.has_value());
}

TEST(Requests, TheStoreGetsLeaveInOrderAndNoCookie) {
  Settings settings;
  settings.upload_url = "https://store.example";
  UploadTicket ticket;
  ticket.access_id = "A";
  ticket.policy = "P";
  ticket.signature = "S";
  ticket.dir = "d/";
  Attachment image;
  image.filename = "image1.png";
  image.media_type = "image/png";
  image.bytes = "bytes";
  const HttpRequest request = PutObject(settings, ticket, "n.png", image, "D");
  EXPECT_EQ(request.url, "https://store.example/");
  EXPECT_FALSE(request.headers.Find("cookie").has_value());
  EXPECT_EQ(request.headers.Get("x-requested-with"), "XMLHttpRequest");
  std::string expected;
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{{"OSSAccessKeyId", "A"},
                                                                                    {"policy", "P"},
                                                                                    {"signature", "S"},
                                                                                    {"key", "d/n.png"},
                                                                                    {"dir", "d/"},
                                                                                    {"success_action_status", "200"}})
    expected +=
        "------WebKitFormBoundaryD\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
  expected +=
      "------WebKitFormBoundaryD\r\nContent-Disposition: form-data; name=\"file\"; filename=\"n.png\"\r\n"
      "Content-Type: image/png\r\n\r\nbytes\r\n------WebKitFormBoundaryD--\r\n";
  EXPECT_EQ(request.body, expected);
}

TEST(Requests, WhatWasStoredStandsBehindTheText) {
  ConversationInput input;
  input.prompt = "p";
  input.batch = "B";
  input.objects.push_back({.image = true, .url = "u", .bytes = 5});
  input.objects.push_back({.url = "v", .bytes = 6});
  const boost::json::value body = boost::json::parse(Conversation(Settings(), Login(), input).body);
  EXPECT_EQ(body.at("params"), boost::json::parse(R"({"fileUploadBatchId":"B","searchType":""})"));
  EXPECT_EQ(body.at("contents"), boost::json::parse(R"([
    {"contentType":"text","content":"p","role":"user"},
    {"role":"user","contentType":"image","content":"u"},
    {"role":"user","contentType":"file","content":"v","ext":{"fileSize":6}}])"));
  input.objects.clear();
  EXPECT_FALSE(boost::json::parse(Conversation(Settings(), Login(), input).body).as_object().contains("params"));
}

}  // namespace
}  // namespace switchyard::qwen
