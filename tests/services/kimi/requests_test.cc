#include "services/kimi/requests.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "tests/support/files.h"

namespace switchyard::kimi {
namespace {

Settings TestSettings() {
  Settings settings;
  settings.user_agent = "agent";
  return settings;
}

Account TestAccount() {
  Account account;
  account.token = Secret("tok");
  account.identity["device_id"] = "7300000000000000001";
  return account;
}

TEST(Requests, TheSmallestChatIsTheDocumentedOne) {
  ChatInput input;
  input.prompt = "Say ok";
  input.generation = "k2.5";
  const HttpRequest request = Chat(TestSettings(), TestAccount(), input);
  EXPECT_EQ(request.url, "https://www.kimi.com/apiv2/kimi.gateway.chat.v1.ChatService/Chat");
  EXPECT_EQ(request.headers.Get("authorization"), "Bearer tok");
  EXPECT_EQ(request.headers.Get("content-type"), "application/connect+json");
  EXPECT_EQ(request.headers.Get("connect-protocol-version"), "1");
  EXPECT_EQ(request.headers.Get("x-msh-device-id"), "7300000000000000001");
  EXPECT_FALSE(request.repeatable);
  EXPECT_EQ(request.body, ReadTestFile("tests/transcripts/kimi/request.bin"));
}

TEST(Requests, AHandshakeTellsWhatTheCallTells) {
  Settings settings = TestSettings();
  settings.web_socket_path = "/guess";
  const HttpRequest handshake = ChatHandshake(settings, TestAccount());
  EXPECT_EQ(handshake.method, "GET");
  EXPECT_EQ(handshake.url, "https://www.kimi.com/guess");
  EXPECT_EQ(handshake.body, "");
  ChatInput input;
  input.prompt = "Say ok";
  input.generation = "k2.5";
  const HttpRequest chat = Chat(settings, TestAccount(), input);
  for (const char* name :
       {"authorization", "user-agent", "origin", "connect-protocol-version", "x-msh-platform", "x-msh-device-id"})
    EXPECT_EQ(handshake.headers.Find(name), chat.headers.Find(name)) << name;
  EXPECT_EQ(ChatEnvelope(settings, input), chat.body);
}

TEST(Requests, ALaterTurnNamesChatAndParent) {
  ChatInput input;
  input.prompt = "More";
  input.generation = "k2.6";
  input.after = MessageRef::Parse("chat-1@m-2");
  input.files = {"f-1"};
  Settings settings = TestSettings();
  settings.k26_scenario = "SCENARIO_K2D6";
  const std::string body = Chat(settings, TestAccount(), input).body;
  EXPECT_TRUE(absl::StrContains(body, R"("scenario":"SCENARIO_K2D6","chat_id":"chat-1")")) << body;
  EXPECT_TRUE(absl::StrContains(body, R"("message":{"parent_id":"m-2")")) << body;
  EXPECT_TRUE(absl::StrContains(body, R"("blocks":[{"message_id":"","file":{"id":"f-1"}},{"message_id":"","text")"));
}

TEST(Requests, TheNewestFormNamesTheModel) {
  ChatInput input;
  input.prompt = "x";
  input.generation = "k3";
  input.thinking = input.search = true;
  Settings settings = TestSettings();
  settings.chat_form = true;
  const std::string body = Chat(settings, TestAccount(), input).body;
  EXPECT_TRUE(absl::StrContains(body, R"("reasoning_effort":"REASONING_EFFORT_LOW","model":"k3-agent")")) << body;
  EXPECT_TRUE(absl::StrContains(body, R"("tools":[{"type":"TOOL_TYPE_SEARCH","search":{}}])")) << body;
  EXPECT_FALSE(CanName(settings, "k1.5"));
  EXPECT_TRUE(CanName(TestSettings(), "k1.5"));
}

TEST(Requests, DeletionAndUpload) {
  EXPECT_EQ(DeleteChat(TestSettings(), TestAccount(), kDeleteChat, "c").body, R"({"chat_id":"c"})");
  Attachment image;
  image.filename = "image2.png";
  image.media_type = "image/png";
  image.bytes = "bytes";
  const HttpRequest upload = Upload(TestSettings(), TestAccount(), image, "B");
  EXPECT_EQ(upload.headers.Get("content-type"), "multipart/form-data; boundary=----WebKitFormBoundaryB");
  EXPECT_EQ(upload.body,
            "------WebKitFormBoundaryB\r\nContent-Disposition: form-data; name=\"file\"; filename=\"image2.png\"\r\n"
            "Content-Type: image/png\r\n\r\nbytes\r\n------WebKitFormBoundaryB--\r\n");
}

TEST(MessageRef, IsTextAndBack) {
  EXPECT_EQ(MessageRef::Parse("c@m")->ToString(), "c@m");
  for (const char* bad : {"", "x", "@m", "c@"}) EXPECT_FALSE(MessageRef::Parse(bad)) << bad;
}

}  // namespace
}  // namespace switchyard::kimi
