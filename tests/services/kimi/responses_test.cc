#include "services/kimi/responses.h"

#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "services/common/status/reason.h"
#include "tests/support/files.h"

namespace switchyard::kimi {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1793000000);

TEST(Responses, EveryCodeHasItsReason) {
  const std::vector<std::pair<const char*, Reason>> rows = {
      {"unauthenticated", Reason::REASON_CREDENTIAL_EXPIRED},
      {"permission_denied", Reason::REASON_CLIENT_REFUSED},
      {"resource_exhausted", Reason::REASON_RATE_LIMITED},
      {"invalid_argument", Reason::REASON_UPSTREAM_CHANGED},
      {"failed_precondition", Reason::REASON_UPSTREAM_CHANGED},
      {"out_of_range", Reason::REASON_UPSTREAM_CHANGED},
      {"unimplemented", Reason::REASON_UPSTREAM_CHANGED},
      {"not_found", Reason::REASON_UPSTREAM_CHANGED},
      {"deadline_exceeded", Reason::REASON_DEADLINE},
      {"unavailable", Reason::REASON_UPSTREAM_UNAVAILABLE},
      {"internal", Reason::REASON_UPSTREAM_UNAVAILABLE},
      {"auth.account_abnormal", Reason::REASON_ACCOUNT_BANNED},
      {"something_new", Reason::REASON_UPSTREAM_CHANGED},
  };
  for (const auto& [code, reason] : rows) {
    const auto error = boost::json::parse(absl::StrCat(R"({"code":")", code, "\"}"));
    EXPECT_EQ(ReasonOf(ConnectError(error, false)), reason) << code;
  }
  const auto late = boost::json::parse(R"({"code":"unavailable"})");
  EXPECT_EQ(ReasonOf(ConnectError(late, true)), Reason::REASON_UPSTREAM_BROKEN);
}

TEST(Responses, EveryAnswerHasItsReason) {
  struct Row {
    int status;
    std::string type, body;
    Reason reason;
  };
  const std::string json = "application/json";
  const std::vector<Row> rows = {
      {401, json, ReadTestFile("tests/transcripts/kimi/t8_unauthenticated.json"), Reason::REASON_CREDENTIAL_EXPIRED},
      {401, "", "", Reason::REASON_CREDENTIAL_EXPIRED},
      {200, json, R"({"error_type":"auth.token.invalid","message":"m"})", Reason::REASON_CREDENTIAL_EXPIRED},
      {403, "text/html", "<html>", Reason::REASON_CLIENT_REFUSED},
      {200, "text/html", "<html>", Reason::REASON_CLIENT_REFUSED},
      {429, "", "", Reason::REASON_RATE_LIMITED},
      {415, "", "", Reason::REASON_UPSTREAM_CHANGED},
      {302, "", "", Reason::REASON_UPSTREAM_CHANGED},
      {504, "", "", Reason::REASON_UPSTREAM_UNAVAILABLE},
      {200, json, "{}", Reason::REASON_UPSTREAM_CHANGED},
  };
  for (const Row& row : rows) {
    const Answer answer{row.status, {{"Content-Type", row.type}}, row.body};
    EXPECT_EQ(ReasonOf(NoStream(answer, kNow)), row.reason) << row.status << " " << row.body;
  }
  const Answer limited{429, {{"Retry-After", "7"}}, ""};
  EXPECT_EQ(DetailOf(NoStream(limited, kNow)).retry_after().seconds(), 7);
}

}  // namespace
}  // namespace switchyard::kimi
