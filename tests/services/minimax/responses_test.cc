#include "services/minimax/responses.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "services/common/status/reason.h"
#include "tests/support/files.h"

namespace switchyard::minimax {
namespace {

Answer Of(int status, const std::string& type, std::string body) {
  Answer answer;
  answer.http_status = status;
  if (!type.empty()) answer.headers.Add("Content-Type", type);
  answer.body = std::move(body);
  return answer;
}

std::string Base(int64_t code, const std::string& said) {
  return R"({"base_resp":{"status_code":)" + std::to_string(code) + R"(,"status_msg":")" + said + "\"}}";
}

TEST(ReadAnswer, EveryWayToSayNoHasItsReason) {
  const std::string json = "application/json";
  struct Row {
    int status;
    std::string type, body;
    std::optional<Reason> reason;
  };
  for (const Row& row : {
           Row{200, json, Base(0, "success"), std::nullopt},
           Row{200, "", Base(0, ""), std::nullopt},
           Row{200, json, R"({"statusInfo":{"code":0},"data":{}})", std::nullopt},
           Row{401, "", "", Reason::REASON_CREDENTIAL_EXPIRED},
           Row{401, json, R"({"statusInfo":{"code":1000021,"msg":"x"}})", Reason::REASON_CREDENTIAL_EXPIRED},
           Row{200, json, R"({"statusInfo":{"code":1000022,"message":"x"}})", Reason::REASON_CREDENTIAL_EXPIRED},
           Row{200, json, Base(1000023, ""), Reason::REASON_CREDENTIAL_EXPIRED},
           Row{200, json, R"({"statusInfo":{"code":1001}})", Reason::REASON_CREDENTIAL_EXPIRED},
           Row{200, json, ReadTestFile("tests/transcripts/minimax/m5_failing_poll.json"),
               Reason::REASON_CREDENTIAL_EXPIRED},
           Row{200, json, ReadTestFile("tests/transcripts/minimax/m3_credits.json"), Reason::REASON_QUOTA_SPENT},
           Row{200, json, Base(30101, ""), Reason::REASON_QUOTA_SPENT},
           Row{200, json, Base(30102, ""), Reason::REASON_QUOTA_SPENT},
           Row{200, json, Base(5, "Credit exhausted"), Reason::REASON_QUOTA_SPENT},
           Row{200, json, Base(5, "daily limit reached"), Reason::REASON_QUOTA_SPENT},
           Row{429, "", "", Reason::REASON_RATE_LIMITED},
           Row{200, json, Base(429, "x"), Reason::REASON_RATE_LIMITED},
           Row{200, json, Base(5, "服务繁忙"), Reason::REASON_RATE_LIMITED},
           Row{200, json, Base(5, "请稍后再试"), Reason::REASON_RATE_LIMITED},
           Row{403, "text/html", "<html>Just a moment...</html>", Reason::REASON_CLIENT_REFUSED},
           Row{200, "text/html", "<html></html>", Reason::REASON_CLIENT_REFUSED},
           Row{403, json, Base(1000403, "signature"), Reason::REASON_SIGNATURE_REFUSED},
           Row{409, "", "", Reason::REASON_ACCOUNT_BUSY},
           Row{500, "text/html", "<html></html>", Reason::REASON_UPSTREAM_UNAVAILABLE},
           Row{503, "", "", Reason::REASON_UPSTREAM_UNAVAILABLE},
           Row{404, "", "", Reason::REASON_UPSTREAM_CHANGED},
           Row{200, json, "nothing", Reason::REASON_UPSTREAM_CHANGED},
           Row{200, json, "{}", Reason::REASON_UPSTREAM_CHANGED},
           Row{200, json, Base(1000500, "internal"), Reason::REASON_UPSTREAM_CHANGED},
       }) {
    const absl::Status status = ReadAnswer(Of(row.status, row.type, row.body), absl::UnixEpoch()).status();
    if (!row.reason) {
      EXPECT_TRUE(status.ok()) << row.body << status;
    } else {
      EXPECT_EQ(ReasonName(ReasonOf(status)), ReasonName(*row.reason)) << row.status << " " << row.body;
    }
  }
}

TEST(ReadSent, IdsComeAsNumbersOrText) {
  auto object = ReadAnswer(Of(200, "", ReadTestFile("tests/transcripts/minimax/m1_sent.json")), absl::UnixEpoch());
  ASSERT_TRUE(object.ok()) << object.status();
  auto sent = ReadSent(*object);
  ASSERT_TRUE(sent.ok());
  EXPECT_EQ(sent->chat.ToString(), "360000000000200");
  EXPECT_EQ(sent->message.digits, "360000000000201");
  object =
      ReadAnswer(Of(200, "", R"({"chat_id":"36","msg_id":"37","base_resp":{"status_code":0}})"), absl::UnixEpoch());
  sent = ReadSent(*object);
  ASSERT_TRUE(sent.ok());
  EXPECT_EQ(sent->chat.ToString(), "36s");
  object = ReadAnswer(Of(200, "", Base(0, "")), absl::UnixEpoch());
  EXPECT_EQ(ReasonOf(ReadSent(*object).status()), Reason::REASON_UPSTREAM_CHANGED);
}

TEST(Deleting, AChatThatRunsAndOneThatIsGone) {
  const auto status = [](const char* said) {
    return ReadAnswer(Of(200, "", Base(1000400, said)), absl::UnixEpoch()).status();
  };
  EXPECT_TRUE(IsStillRunning(status("the chat is running, try later")));
  EXPECT_FALSE(IsStillRunning(status("internal")));
  EXPECT_TRUE(IsUnknownChat(status("chat not found")));
}

}  // namespace
}  // namespace switchyard::minimax
