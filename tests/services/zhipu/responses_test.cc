#include "services/zhipu/responses.h"

#include <gtest/gtest.h>

#include "services/common/status/reason.h"
#include "tests/support/files.h"

namespace switchyard::zhipu {
namespace {

TEST(Responses, EveryRefusalByItsReason) {
  struct Row {
    int http;
    const char* type;
    std::string body;
    const char* reason;
  };
  for (const Row& row : std::vector<Row>{
           {401, "application/json", ReadTestFile("tests/transcripts/zhipu/t6_refused.json"), "credential_expired"},
           {200, "application/json", R"({"status":40102})", "credential_expired"},
           {200, "application/json", R"({"code":40103,"msg":"x"})", "credential_expired"},
           {400, "application/json", R"({"status":40001})", "upstream_changed"},
           {400, "application/json", R"({"status":40014})", "signature_refused"},
           {400, "application/json", R"({"status":40012})", "client_refused"},
           {403, "application/json", R"({"status":0})", "credential_expired"},
           {403, "text/html", "<html>", "client_refused"},
           {400, "text/html", "", "client_refused"},
           {200, "text/html", "<html>", "client_refused"},
           {429, "text/plain", "slow down", "rate_limited"},
           {502, "text/html", "<html>", "upstream_unavailable"},
           {200, "application/json", R"({"status":50001,"message":"param error"})", "upstream_changed"},
           {200, "application/json", R"({"status":)", "upstream_changed"},
           {200, "application/json", R"({"status":0,"result":null})", "upstream_changed"},
       }) {
    Answer answer;
    answer.http_status = row.http;
    answer.headers = {{"Content-Type", row.type}};
    answer.body = row.body;
    EXPECT_EQ(ReasonName(ReasonOf(NoStream(answer, absl::UnixEpoch()))), row.reason) << row.http << " " << row.body;
  }
}

TEST(Responses, NothingStreamedMeansTheLoginOrTheConversation) {
  EXPECT_EQ(ReasonOf(NothingStreamed(false)), Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(DetailOf(NothingStreamed(true)).field(), "conversation_id");
}

}  // namespace
}  // namespace switchyard::zhipu
