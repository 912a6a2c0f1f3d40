#include "edge/error_body.h"

#include <gtest/gtest.h>

#include "boost/json/parse.hpp"
#include "edge/origin_guard.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

namespace json = boost::json;

TEST(ErrorAnswer, HasAllFourMembers) {
  const ErrorAnswer answer =
      MakeErrorAnswer(MakeError(Reason::REASON_MODEL_NOT_FOUND, "no \"such\" model", {.field = "model"}));
  EXPECT_EQ(answer.http_status, 404);
  const json::value body = json::parse(answer.body);
  EXPECT_EQ(body.at("error").at("message").as_string(), "no \"such\" model");
  EXPECT_EQ(body.at("error").at("type").as_string(), "invalid_request_error");
  EXPECT_EQ(body.at("error").at("param").as_string(), "model");
  EXPECT_EQ(body.at("error").at("code").as_string(), "model_not_found");
  EXPECT_TRUE(json::parse(MakeErrorAnswer(absl::InternalError("")).body).at("error").at("param").is_null());
  EXPECT_FALSE(
      json::parse(MakeErrorAnswer(absl::InternalError("")).body).at("error").at("message").as_string().empty());
}

TEST(ErrorAnswer, NamesNoAddressOfTheMesh) {
  const absl::Status grpcs =
      absl::UnavailableError("connections to all backends failing; last error: ipv4:10.0.0.7:8012");
  for (const ErrorForm form : {ErrorForm::kOpenAi, ErrorForm::kAnthropic})
    EXPECT_EQ(MakeErrorAnswer(grpcs, form).body.find("10.0.0.7"), std::string::npos);
  EXPECT_EQ(ErrorMessage(grpcs), "a service of the relay cannot be reached; ask again");
  EXPECT_EQ(ErrorMessage(MakeError(Reason::REASON_NO_BACKEND, "the relay is stopping")), "the relay is stopping");
}

TEST(ErrorAnswer, SaysWhenToComeBack) {
  const auto header = [](const absl::Status& status, const char* name) {
    return std::string(MakeErrorAnswer(status).headers.Get(name));
  };
  EXPECT_EQ(
      header(MakeError(Reason::REASON_ACCOUNT_BUSY, "m", {.retry_after = absl::Milliseconds(1200)}), "retry-after"),
      "2");
  EXPECT_EQ(header(MakeError(Reason::REASON_ACCOUNT_BUSY, "m"), "retry-after"), "5");
  EXPECT_EQ(header(MakeError(Reason::REASON_NO_BACKEND, "m"), "retry-after"), "2");
  EXPECT_EQ(header(MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, "m"), "retry-after"), "");
  EXPECT_EQ(header(MakeError(Reason::REASON_QUOTA_SPENT, "m"), "x-should-retry"), "false");
  EXPECT_EQ(header(MakeError(Reason::REASON_QUOTA_SPENT, "m"), "retry-after"), "");
  EXPECT_EQ(header(MakeError(Reason::REASON_CALLER_UNKNOWN, "m"), "www-authenticate"), "Bearer");
}

TEST(ErrorAnswer, AnthropicsForm) {
  const ErrorAnswer answer = MakeErrorAnswer(MakeError(Reason::REASON_MODEL_NOT_FOUND, "none", {.field = "model"}),
                                             ErrorForm::kAnthropic, "req_1");
  EXPECT_EQ(answer.http_status, 404);
  EXPECT_EQ(answer.headers.Get("request-id"), "req_1");
  EXPECT_EQ(
      answer.body,
      R"({"type":"error","error":{"type":"not_found_error","message":"none","details":{"error_code":"model_not_found"}},"request_id":"req_1"})");
}

TEST(ErrorAnswer, AnthropicsTypesByStatus) {
  struct Row {
    int status;
    const char* type;
  };
  for (const Row& row :
       {Row{400, "invalid_request_error"}, Row{401, "authentication_error"}, Row{403, "permission_error"},
        Row{404, "not_found_error"}, Row{405, "invalid_request_error"}, Row{413, "request_too_large"},
        Row{415, "invalid_request_error"}, Row{429, "rate_limit_error"}, Row{500, "api_error"}, Row{502, "api_error"},
        Row{503, "overloaded_error"}, Row{504, "timeout_error"}}) {
    const json::value body = json::parse(HttpErrorBody(row.status, "m", ErrorForm::kAnthropic, "r"));
    EXPECT_EQ(body.at("error").at("type").as_string(), row.type) << row.status;
  }
}

TEST(ErrorAnswer, TheFormIsThePaths) {
  for (const char* path : {"/v1/messages", "/v1/messages/count_tokens", "/v1/messages/"})
    EXPECT_EQ(ErrorFormOf(path), ErrorForm::kAnthropic) << path;
  for (const char* path : {"/v1/messagesx", "/v1/chat/completions", "/", "/v1"})
    EXPECT_EQ(ErrorFormOf(path), ErrorForm::kOpenAi) << path;
}

TEST(OriginGuard, LoopbackAndItsImitations) {
  for (const char* good :
       {"localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:80", "127.9.9.9", "[::1]", "[::1]:8000"})
    EXPECT_TRUE(IsLoopbackAuthority(good)) << good;
  for (const char* bad : {"", "localhost.evil.example", "evil.example", "127.0.0.1.evil.example", "127.0.0", "127.1",
                          "1270.0.0.1", "[::1", "[::1]x", "[::2]", "localhost:80x", "0.0.0.0", "10.0.0.1",
                          "localhost@evil.example", "127.0.0.1:80@evil.example"}) {
    EXPECT_FALSE(IsLoopbackAuthority(bad)) << bad;
  }
}

TEST(OriginGuard, HostAndOrigin) {
  EXPECT_TRUE(CheckLocal({{"Host", "localhost:8000"}}).ok());
  EXPECT_TRUE(CheckLocal({{"Host", "localhost"}, {"Origin", "http://127.0.0.1:3000"}}).ok());
  for (const char* origin :
       {"https://evil.example", "null", "", "http://localhost.evil.example", "file://", "localhost"}) {
    EXPECT_EQ(ReasonOf(CheckLocal({{"Host", "localhost"}, {"Origin", origin}})), Reason::REASON_CALLER_FORBIDDEN)
        << origin;
  }
  EXPECT_FALSE(CheckLocal({}).ok());
}

TEST(OriginGuard, ARelayThatOthersReachStillKeepsPagesOfOtherSitesAway) {
  EXPECT_TRUE(CheckOrigin({{"Host", "relay.lan:8000"}}).ok());
  EXPECT_TRUE(CheckOrigin({{"Host", "relay.lan:8000"}, {"Origin", "http://relay.lan:8000"}}).ok());
  EXPECT_TRUE(CheckOrigin({{"Host", "relay.lan:8000"}, {"Origin", "http://localhost:3000"}}).ok());
  for (const char* origin : {"https://evil.example", "null", "http://relay.lan", "relay.lan:8000", ""})
    EXPECT_FALSE(CheckOrigin({{"Host", "relay.lan:8000"}, {"Origin", origin}}).ok()) << origin;
}

}  // namespace
}  // namespace switchyard
