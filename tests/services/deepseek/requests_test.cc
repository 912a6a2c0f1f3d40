#include "services/deepseek/requests.h"

#include <gtest/gtest.h>

namespace switchyard::deepseek {
namespace {

Settings TestSettings() {
  Settings settings;
  settings.base_url = "https://chat.deepseek.com";
  settings.user_agent = "agent";
  settings.client_platform = "web";
  settings.client_version = "2.4.0";
  settings.locale = "zh_CN";
  settings.timezone_offset = "28800";
  return settings;
}

Account TestAccount() {
  Account account;
  account.token = Secret("tok");
  return account;
}

TEST(Requests, CompletionHasTheFieldsOfTheProtocol) {
  CompletionInput input{.session = "s-1",
                        .parent_message = std::nullopt,
                        .prompt = "Hello \"you\"",
                        .model_type = "default",
                        .thinking = true,
                        .search = false,
                        .proof = "cHJvb2Y="};
  const HttpRequest request = Completion(TestSettings(), TestAccount(), input);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.url, "https://chat.deepseek.com/api/v0/chat/completion");
  EXPECT_EQ(
      request.body,
      R"({"chat_session_id":"s-1","parent_message_id":null,"model_type":"default","prompt":"Hello \"you\"","ref_file_ids":[],)"
      R"("thinking_enabled":true,"search_enabled":false,"action":null,"preempt":false})");
  EXPECT_EQ(request.headers.Get("x-ds-pow-response"), "cHJvb2Y=");
  EXPECT_EQ(request.headers.Get("authorization"), "Bearer tok");
  EXPECT_EQ(request.headers.Get("user-agent"), "agent");
  EXPECT_EQ(request.headers.Get("x-client-version"), "2.4.0");
  EXPECT_FALSE(request.repeatable);
}

TEST(Requests, ALaterTurnNamesItsParent) {
  CompletionInput input{.session = "s", .parent_message = 4, .prompt = "p", .model_type = "expert"};
  EXPECT_NE(Completion(TestSettings(), TestAccount(), input).body.find(R"("parent_message_id":4)"), std::string::npos);
}

TEST(Requests, SmallCalls) {
  EXPECT_EQ(CreateSession(TestSettings(), TestAccount()).body, "{}");
  EXPECT_EQ(CreateChallenge(TestSettings(), TestAccount(), kCompletion).body,
            R"({"target_path":"/api/v0/chat/completion"})");
  EXPECT_EQ(DeleteSession(TestSettings(), TestAccount(), "s").body, R"({"chat_session_id":"s"})");
  EXPECT_EQ(StopStream(TestSettings(), TestAccount(), {"s", 2}).body, R"({"chat_session_id":"s","message_id":2})");
  EXPECT_EQ(Continue(TestSettings(), TestAccount(), {"s", 2}, "").body,
            R"({"chat_session_id":"s","message_id":2,"fallback_to_resume":true})");
  EXPECT_FALSE(Continue(TestSettings(), TestAccount(), {"s", 2}, "").headers.Find("x-ds-pow-response"));
}

TEST(MessageRef, IsTextAndBack) {
  const auto ref = MessageRef::Parse("session-1@12");
  ASSERT_TRUE(ref);
  EXPECT_EQ(ref->session, "session-1");
  EXPECT_EQ(ref->message, 12);
  EXPECT_EQ(ref->ToString(), "session-1@12");
  for (const char* bad : {"", "x", "@1", "x@", "x@y"}) EXPECT_FALSE(MessageRef::Parse(bad)) << bad;
}

TEST(Requests, AnUploadSaysWhatItIsAndForWhichModel) {
  Attachment file;
  file.filename = "report.pdf";
  file.media_type = "application/pdf";
  file.bytes = "%PDF-1";
  UploadInput input;
  input.model_type = "default";
  input.thinking = true;
  input.proof = "P";
  input.digits = "D";
  const HttpRequest request = UploadFile(Settings(), Account(), file, input);
  EXPECT_EQ(request.url, "https://chat.deepseek.com/api/v0/file/upload_file");
  EXPECT_EQ(request.headers.Get("x-ds-pow-response"), "P");
  EXPECT_EQ(request.headers.Get("x-file-size"), "6");
  EXPECT_EQ(request.headers.Get("x-thinking-enabled"), "1");
  EXPECT_EQ(request.headers.Get("x-model-type"), "default");
  EXPECT_EQ(request.headers.Get("content-type"), "multipart/form-data; boundary=----WebKitFormBoundaryD");
  EXPECT_EQ(request.body,
            "------WebKitFormBoundaryD\r\nContent-Disposition: form-data; name=\"file\"; filename=\"report.pdf\"\r\n"
            "Content-Type: application/pdf\r\n\r\n%PDF-1\r\n------WebKitFormBoundaryD--\r\n");
  const HttpRequest question = FetchFiles(Settings(), Account(), {"file-1", "file-2"});
  EXPECT_EQ(question.method, "GET");
  EXPECT_EQ(question.url, "https://chat.deepseek.com/api/v0/file/fetch_files?file_ids=file-1,file-2");
  EXPECT_FALSE(question.headers.Find("content-type").has_value());
}

}  // namespace
}  // namespace switchyard::deepseek
