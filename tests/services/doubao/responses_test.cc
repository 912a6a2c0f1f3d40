#include "services/doubao/responses.h"

#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "services/common/status/reason.h"

namespace switchyard::doubao {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1793000000);

Answer Json(std::string body, int status = 200) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

TEST(CodeError, EveryCodeHasItsReason) {
  struct Row {
    int64_t code;
    Reason reason;
    int wait_s;
  };
  for (const Row& row :
       {Row{710012000, Reason::REASON_CREDENTIAL_EXPIRED, 0}, Row{710012001, Reason::REASON_CREDENTIAL_EXPIRED, 0},
        Row{710012014, Reason::REASON_CREDENTIAL_EXPIRED, 0}, Row{710022013, Reason::REASON_CREDENTIAL_EXPIRED, 0},
        Row{710022002, Reason::REASON_RATE_LIMITED, 300}, Row{710022004, Reason::REASON_RATE_LIMITED, 300},
        Row{710022019, Reason::REASON_CLIENT_REFUSED, 0}, Row{710022003, Reason::REASON_CLIENT_REFUSED, 0},
        Row{710022017, Reason::REASON_CLIENT_REFUSED, 0}, Row{710010202, Reason::REASON_UPSTREAM_CHANGED, 0},
        Row{710020202, Reason::REASON_UPSTREAM_CHANGED, 0}, Row{710020702, Reason::REASON_UPSTREAM_UNAVAILABLE, 0},
        Row{1, Reason::REASON_UPSTREAM_CHANGED, 0}}) {
    const absl::Status status = CodeError(row.code, "", false, false);
    EXPECT_EQ(ReasonOf(status), row.reason) << row.code;
    EXPECT_EQ(DetailOf(status).retry_after().seconds(), row.wait_s) << row.code;
    EXPECT_TRUE(absl::StrContains(status.message(), "doubao"));
    EXPECT_EQ(ReasonOf(CodeError(row.code, "", true, false)), Reason::REASON_CAPTCHA_PENDING);
  }
  EXPECT_EQ(ReasonOf(CodeError(710020702, "", false, true)), Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(ReasonOf(CodeError(1, "", false, true)), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(ReasonOf(CodeError(1, "登录已过期", false, false)), Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_LT(CodeError(1, std::string(5000, 'x'), false, false).message().size(), 400u);
}

TEST(StreamError, FindsTheDecisionInBothForms) {
  const auto reason = [](const char* data) { return ReasonOf(StreamError(boost::json::parse(data), false)); };
  EXPECT_EQ(reason(R"({"error_code":710022004,"extra":{"decision":{"type":"verify"}}})"),
            Reason::REASON_CAPTCHA_PENDING);
  EXPECT_EQ(reason(R"({"error_code":710022004,"extra":{"decision":"{\"type\":\"verify\"}"}})"),
            Reason::REASON_CAPTCHA_PENDING);
  EXPECT_EQ(reason(R"({"error_code":710022004,"extra":{"decision":{"type":"block"}}})"), Reason::REASON_RATE_LIMITED);
  EXPECT_EQ(reason(R"({"error_code":"710012000"})"), Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(reason(R"({})"), Reason::REASON_UPSTREAM_CHANGED);
}

TEST(GatewayError, FindsTheCodeInTheText) {
  const auto reason = [](const char* data) { return ReasonOf(GatewayError(boost::json::parse(data), false)); };
  EXPECT_EQ(reason(R"({"code":"Internal","message":"ErrorX:code=710022002 stable=true"})"),
            Reason::REASON_RATE_LIMITED);
  EXPECT_EQ(reason(R"({"code":"Internal","message":"code=710012001"})"), Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(reason(R"({"code":"Internal","message":"no number"})"), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(reason(R"({"code":"Internal"})"), Reason::REASON_UPSTREAM_CHANGED);
}

TEST(NoStream, EveryRefusalHasItsReason) {
  struct Row {
    Answer answer;
    Reason reason;
  };
  const std::vector<Row> rows = {
      {Json(R"({"code":710012001,"msg":"登录已过期"})"), Reason::REASON_CREDENTIAL_EXPIRED},
      {Json(R"({"code":710012001,"message":"x"})", 400), Reason::REASON_CREDENTIAL_EXPIRED},
      {Json(R"({"code":710020202,"msg":"common invalid param"})"), Reason::REASON_UPSTREAM_CHANGED},
      {Json(R"({"code":710022002})", 403), Reason::REASON_RATE_LIMITED},
      {Json("{}", 401), Reason::REASON_CREDENTIAL_EXPIRED},
      {{302, {{"Location", "/login"}}, ""}, Reason::REASON_CREDENTIAL_EXPIRED},
      {{403, {}, ""}, Reason::REASON_CLIENT_REFUSED},
      {{403, {{"Content-Type", "text/html"}}, "<html>"}, Reason::REASON_CAPTCHA_PENDING},
      {{200, {{"Content-Type", "text/html"}}, "<html>"}, Reason::REASON_CAPTCHA_PENDING},
      {{429, {}, ""}, Reason::REASON_RATE_LIMITED},
      {{500, {}, "x"}, Reason::REASON_UPSTREAM_UNAVAILABLE},
      {{503, {{"Content-Type", "text/html"}}, "<html>"}, Reason::REASON_UPSTREAM_UNAVAILABLE},
      {{404, {}, "x"}, Reason::REASON_UPSTREAM_CHANGED},
      {Json("not json"), Reason::REASON_UPSTREAM_CHANGED},
      {Json("[]"), Reason::REASON_UPSTREAM_CHANGED},
      {Json(R"({"code":0})"), Reason::REASON_UPSTREAM_CHANGED},
  };
  for (const Row& row : rows) {
    const absl::Status status = NoStream(row.answer, kNow);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(ReasonOf(status), row.reason) << row.answer.http_status << " " << row.answer.body << " " << status;
  }
  EXPECT_EQ(DetailOf(NoStream({429, {{"Retry-After", "7"}}, ""}, kNow)).retry_after().seconds(), 7);
  EXPECT_EQ(DetailOf(NoStream({429, {}, ""}, kNow)).retry_after().seconds(), 300);
}

TEST(IsEventStream, GoesByTheType) {
  EXPECT_TRUE(IsEventStream({{"Content-Type", "text/event-stream; charset=utf-8"}}));
  EXPECT_FALSE(IsEventStream({{"Content-Type", "application/json"}}));
  EXPECT_FALSE(IsEventStream({}));
}

TEST(ReadDeletion, TheStatusCodeDecides) {
  const auto result = [](const char* value) {
    return Json(absl::StrCat(
        R"({"status_code":0,"downlink_body":{"batch_delete_user_conversation_downlink_body":{"result":{"5":)", value,
        "}}}}"));
  };
  EXPECT_TRUE(ReadDeletion(result("true"), "5", kNow).ok());
  EXPECT_TRUE(absl::IsNotFound(ReadDeletion(result("false"), "5", kNow)));
  EXPECT_TRUE(ReadDeletion(Json(R"({"status_code":0})"), "5", kNow).ok());
  EXPECT_EQ(ReasonOf(ReadDeletion(Json(R"({"status_code":710012000})"), "5", kNow)), Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(ReasonOf(ReadDeletion(Json("{}"), "5", kNow)), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(ReasonOf(ReadDeletion(Json(R"({"status_code":0})", 500), "5", kNow)), Reason::REASON_UPSTREAM_UNAVAILABLE);
}

}  // namespace
}  // namespace switchyard::doubao
