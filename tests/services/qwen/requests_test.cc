#include "services/qwen/requests.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace switchyard::qwen
