#include "services/metaso/responses.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "services/common/status/reason.h"

namespace switchyard::metaso {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1790000000);

Answer Json(const std::string& body, int status = 200) {
  return {status, HttpHeaders{{"Content-Type", "application/json"}}, body};
}
Answer Html(const std::string& body, int status = 200) {
  return {status, HttpHeaders{{"Content-Type", "text/html;charset=UTF-8"}}, body};
}

TEST(ReadPage, FindsTheTokenHoweverItIsWritten) {
  for (const std::string page : {
           R"(<html><head><meta id="meta-token" content="ab+/c=="></head>)",
           R"(<html><meta charset="utf-8"/><meta id="meta-token" content="ab+/c=="/>)",
           R"(<html><meta name="x" content="no"><meta content='ab+/c==' id='meta-token' />)",
           R"(<html><meta id="meta-token" content="ab&#43;/c&#x3D;&#61;">)",
       }) {
    const auto token = ReadPage(Html(page), kNow);
    ASSERT_TRUE(token.ok()) << page << token.status();
    EXPECT_EQ(token->Reveal(), "ab+/c==") << page;
  }
}

TEST(ReadPage, SaysWhyThereIsNoToken) {
  struct Row {
    Answer answer;
    Reason reason;
  };
  using enum common::v1::Reason;
  const std::vector<Row> rows = {
      {Html("<html><body>Metaso</body></html>"), REASON_CREDENTIAL_EXPIRED},
      {Html("<html><meta id=\"meta-token\" content=\"\"></html>"), REASON_CREDENTIAL_EXPIRED},
      {Html("<html>please move the <b>Slider</b></html>"), REASON_CAPTCHA_PENDING},
      {Html("<html>请完成安全验证</html>", 405), REASON_CAPTCHA_PENDING},
      {Html("", 403), REASON_CAPTCHA_PENDING},
      {Html("", 401), REASON_CREDENTIAL_EXPIRED},
      {Html("", 302), REASON_CREDENTIAL_EXPIRED},
      {Html("", 429), REASON_RATE_LIMITED},
      {Html("", 502), REASON_UPSTREAM_UNAVAILABLE},
      {Html("", 404), REASON_UPSTREAM_CHANGED},
      {Json("{}"), REASON_UPSTREAM_CHANGED},
  };
  for (const Row& row : rows)
    EXPECT_EQ(ReasonOf(ReadPage(row.answer, kNow).status()), row.reason) << row.answer.http_status << row.answer.body;
}

TEST(ReadEnvelope, TellsErrorsByTheirReason) {
  struct Row {
    Answer answer;
    Reason reason;
  };
  using enum common::v1::Reason;
  const std::vector<Row> rows = {
      {Json(R"({"errCode":401,"errMsg":"x"})"), REASON_CREDENTIAL_EXPIRED},
      {Json(R"({"errCode":429,"errMsg":"x"})"), REASON_RATE_LIMITED},
      {Json(R"({"errCode":4001,"errMsg":"x"})"), REASON_QUOTA_SPENT},
      {Json(R"({"errCode":4003,"errMsg":"x"})"), REASON_UPSTREAM_CHANGED},
      {Json(R"({"errCode":400,"errMsg":"x"})", 400), REASON_UPSTREAM_CHANGED},
      {Json("{", 200), REASON_UPSTREAM_CHANGED},
      {Json("[]", 200), REASON_UPSTREAM_CHANGED},
      {Json("{}", 404), REASON_UPSTREAM_CHANGED},
      {Json("", 401), REASON_CREDENTIAL_EXPIRED},
      {Json("", 403), REASON_CAPTCHA_PENDING},
      {Json("", 302), REASON_CREDENTIAL_EXPIRED},
      {Json("", 500), REASON_UPSTREAM_UNAVAILABLE},
      {Html("<html>", 200), REASON_CAPTCHA_PENDING},
      {Html("<html>", 405), REASON_CAPTCHA_PENDING},
      {Json(" <html>", 200), REASON_CAPTCHA_PENDING},
  };
  for (const Row& row : rows)
    EXPECT_EQ(ReasonOf(ReadEnvelope(row.answer, kNow).status()), row.reason)
        << row.answer.http_status << row.answer.body;
  EXPECT_TRUE(ReadEnvelope(Json(R"({"data":{}})"), kNow).ok()) << "no code is no error";
}

TEST(ReadEnvelope, SaysHowLongToWaitIfThePlatformDoes) {
  Answer answer = Json("", 429);
  EXPECT_FALSE(DetailOf(ReadEnvelope(answer, kNow).status()).has_retry_after());
  answer.headers.Add("Retry-After", "7");
  EXPECT_EQ(DetailOf(ReadEnvelope(answer, kNow).status()).retry_after().seconds(), 7);
}

TEST(ReadEnvelope, AnUnknownCodeMayBeATokenThatIsTooOld) {
  EXPECT_TRUE(IsUnknownRefusal(ReadEnvelope(Json(R"({"errCode":4003})"), kNow).status()));
  EXPECT_FALSE(IsUnknownRefusal(ReadEnvelope(Json(R"({"errCode":401})"), kNow).status()));
}

TEST(SaysAnonymous, OnlyWhereItIsSure) {
  EXPECT_TRUE(SaysAnonymous(Json(R"({"errCode":0,"data":{}})")));
  EXPECT_TRUE(SaysAnonymous(Json(R"({"errCode":401})")));
  EXPECT_TRUE(SaysAnonymous(Json("", 401)));
  for (const Answer& answer : {Json(R"({"errCode":0,"data":{"user":{}}})"), Json(R"({"errCode":7})"), Json("{}", 500),
                               Html("<html>"), Json("[]"), Json("{}")})
    EXPECT_FALSE(SaysAnonymous(answer)) << answer.body;
}

TEST(SessionId, IsADecimalStringOrANumber) {
  const auto id = [](const std::string& text) { return SessionId(*ReadEnvelope(Json(text), kNow)); };
  EXPECT_EQ(*id(R"({"errCode":0,"data":{"id":"8700000000000000100"}})"), "8700000000000000100");
  EXPECT_EQ(*id(R"({"errCode":0,"data":{"id":8700000000000000101}})"), "8700000000000000101");
  EXPECT_EQ(*id(R"({"id":"87"})"), "87");
  for (const char* bad : {R"({"data":{"id":""}})", R"({"data":{}})", R"({"data":null})", R"({"data":{"id":"a/b"}})"})
    EXPECT_EQ(ReasonOf(id(bad).status()), Reason::REASON_UPSTREAM_CHANGED) << bad;
}

TEST(NoStream, SaysWhatCameInstead) {
  EXPECT_EQ(ReasonOf(NoStream(Json(R"({"errCode":0})"), kNow)), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(ReasonOf(NoStream(Html("<html>"), kNow)), Reason::REASON_CAPTCHA_PENDING);
  EXPECT_TRUE(IsEventStream(200, HttpHeaders{{"content-type", "text/event-stream;charset=UTF-8"}}));
  EXPECT_FALSE(IsEventStream(200, HttpHeaders{{"content-type", "application/json"}}));
}

TEST(CodeError, QuotesThePlatform) {
  const absl::Status status = CodeError("SEARCH_FAILED", "搜索服务异常", true);
  EXPECT_TRUE(absl::StrContains(status.message(), "SEARCH_FAILED"));
  EXPECT_TRUE(absl::StrContains(status.message(), "搜索服务异常"));
}

}  // namespace
}  // namespace switchyard::metaso
