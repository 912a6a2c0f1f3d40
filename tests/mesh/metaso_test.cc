// Metaso, through everything: what every platform is expected to do, which parameters each id means, and what is
// particular to a search engine.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "tests/mesh/models_metaso.h"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr char kModel[] = "metaso";
constexpr char kDialect[] = "SWITCHYARD_PROVIDERS__METASO__DIALECT";
constexpr char kHistory[] = "SWITCHYARD_PROVIDERS__METASO__OPTIONS__HISTORY";
constexpr char kMarkers[] = "SWITCHYARD_PROVIDERS__METASO__OPTIONS__CITATION_MARKERS";

constexpr char kTurns[] =
    R"("messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"One"},)"
    R"({"role":"assistant","content":"Two"},{"role":"user","content":[{"type":"text","text":"简洁搜索：Three"}]}])";
constexpr char kFlattened[] = "[System]\nBe brief.\n\n[User]\nOne\n\n[Assistant]\nTwo\n\n[User]\nThree";

Whole Ask(const PlatformSuite& suite, const std::string& more) {
  const std::string body = absl::StrCat(R"({"model":"metaso",)", kTurns, more, "}");
  return ReadWhole(Fetch(suite.port(), "POST", "/v1/chat/completions", body));
}

std::string Notices(const Whole& whole) {
  const json::value* notices = whole.json.as_object().if_contains("notices");
  return notices == nullptr ? "" : json::serialize(*notices);
}

class Metaso : public testing::TestWithParam<const char*> {
 protected:
  static Variables Dialect(Variables more = {}) {
    more[kDialect] = GetParam();
    return more;
  }
};
INSTANTIATE_TEST_SUITE_P(Dialect, Metaso, testing::Values("a", "b"), [](const auto& test) { return test.param; });

TEST_P(Metaso, EveryModel) {
  PlatformSuite suite("metaso", Dialect());
  suite.ExpectModels(MetasoModels());
  EXPECT_EQ(json::value(suite.Recorded()).at("dialect").as_string(), GetParam());
}

TEST_P(Metaso, WhatEveryPlatformDoes) {
  PlatformSuite suite("metaso", Dialect());
  suite.ExpectStops(kModel);
  for (const char* knob : {"", "space=1", "crlf=1", "comments=1", "chunks=7 comments=1 crlf=1", "ai_label=1"})
    suite.ExpectAnyChunking(kModel, knob);
  suite.ExpectAbort(kModel);
}

TEST_P(Metaso, TheLastMessageAloneIsSearchedForUnlessAskedOtherwise) {
  PlatformSuite suite("metaso", Dialect());
  const Whole last = Ask(suite, "");
  EXPECT_EQ(last.status, 200) << last.error("message");
  EXPECT_EQ(suite.Prompt(), "Three");
  EXPECT_TRUE(absl::StrContains(Notices(last), R"("code":"history_not_sent")")) << Notices(last);
  EXPECT_TRUE(absl::StrContains(Notices(last), "3 earlier messages")) << Notices(last);
  const Whole all = Ask(suite, R"(,"history":"flatten")");
  EXPECT_EQ(all.status, 200) << all.error("message");
  EXPECT_EQ(suite.Prompt(), kFlattened);
  EXPECT_EQ(Notices(all), "");
  EXPECT_TRUE(Contains(json::value(suite.Recorded()), json::parse(R"({"mode":"concise"})")));
  suite.ExpectClean();
}

TEST_P(Metaso, TheConfigurationMaySendTheWholeHistory) {
  PlatformSuite suite("metaso", Dialect({{kHistory, "flatten"}}));
  EXPECT_EQ(Notices(Ask(suite, "")), "");
  EXPECT_EQ(suite.Prompt(), kFlattened);
  EXPECT_TRUE(absl::StrContains(Notices(Ask(suite, R"(,"history":"last")")), "history_not_sent"));
  EXPECT_EQ(suite.Prompt(), "Three");
}

TEST_P(Metaso, TemperatureChoosesAModeWhereTheNameDoesNot) {
  PlatformSuite suite("metaso", Dialect());
  const auto mode = [&](const std::string& model, const std::string& more) {
    EXPECT_EQ(Chat(suite.port(), "x", more, model).status, 200);
    return std::string(suite.Recorded().at("mode").as_string().c_str());
  };
  EXPECT_EQ(mode(kModel, R"(,"temperature":0.2)"), "concise");
  EXPECT_EQ(mode(kModel, R"(,"temperature":1)"), "research");
  EXPECT_EQ(mode(kModel, ""), "detail");
  EXPECT_EQ(mode("metaso-fast", R"(,"temperature":1)"), "fast");
}

TEST_P(Metaso, SourcesBecomeCitations) {
  const std::string script = "[[sim: text=Red+blue cite=1 split=1 think=Hm]]";
  const std::string hidden = R"(,"reasoning_format":"hidden")";
  {
    PlatformSuite suite("metaso", Dialect());
    const Streamed answer = Stream(suite.port(), script, hidden, kModel);
    EXPECT_EQ(answer.text, "Red[1] blue[2]");
    const std::string annotations = json::serialize(answer.annotations);
    EXPECT_TRUE(absl::StrContains(annotations, "https://source.example/1")) << annotations;
    EXPECT_TRUE(absl::StrContains(annotations, R"("start_index":3)")) << annotations;
    EXPECT_TRUE(absl::StrContains(annotations, R"("end_index":14)")) << annotations;
  }
  PlatformSuite suite("metaso", Dialect({{kMarkers, "strip"}}));
  const Whole answer = Chat(suite.port(), script, hidden, kModel);
  EXPECT_EQ(answer.text(), "Red blue");
  EXPECT_TRUE(absl::StrContains(json::serialize(answer.json), "https://source.example/2"));
}

TEST_P(Metaso, Faults) {
  const PlatformFaults faults = {
      // Within the answer.
      {"fault=cut at=2", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=reset at=2", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=cut at=3", 502, "upstream_broken", nullptr, nullptr, "One two three"},
      {"fault=cut at=0", 502, "upstream_broken"},
      {"fault=stall at=1", 504, "deadline_exceeded", nullptr, nullptr, "One"},
      {"fault=error at=1", 502, "upstream_broken", nullptr, nullptr, "One"},
      {"fault=error_unknown at=1", 502, "upstream_changed", nullptr, "false", "One"},
      {"fault=word at=1", 502, "upstream_changed", nullptr, "false", "One"},
      {"fault=word at=0", 502, "upstream_changed", nullptr, "false"},
      {"fault=garbage at=1", 502, "upstream_changed", nullptr, "false", "One"},
      {"fault=oversized at=1", 502, "upstream_changed", nullptr, "false", "One"},
      {"fault=envelope at=1", 403, "credential_expired", nullptr, nullptr, "One"},
      {"fault=bad_utf8 at=2", 200, "stop", nullptr, nullptr, "One two\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"fault=rate", 429, "rate_limited", "120"},
      {"fault=quota", 429, "insufficient_quota", nullptr, "false"},
      {"fault=anonymous", 403, "credential_expired"},
      {"fault=empty", 502, "upstream_empty"},
      // Instead of one.
      {"first_ms=5000", 504, "deadline_exceeded"},
      {"fault=expired", 403, "credential_expired"},
      {"fault=redirect", 403, "credential_expired"},
      {"fault=captcha", 403, "captcha_pending"},
      {"fault=html", 403, "captcha_pending"},
      {"fault=http_403", 403, "captcha_pending"},
      {"fault=http_429 retry_after=7", 429, "rate_limited", "7"},
      {"fault=http_429", 429, "rate_limited", "120"},
      {"fault=http_500", 502, "upstream_unavailable"},
      {"fault=not_json", 502, "upstream_changed", nullptr, "false"},
      {"fault=code", 502, "upstream_changed", nullptr, "false"},
      {"fault=no_id", 502, "upstream_changed", nullptr, "false"},
      {"fault=page_captcha", 403, "captcha_pending"},
      {"fault=page_bare", 403, "credential_expired"},
      {"fault=page_429", 429, "rate_limited", "120"},
      {"fault=page_500", 502, "upstream_unavailable"},
  };
  ExpectFaults("metaso", GetParam(), kModel, faults, {"stale_token"}, Dialect());
}

TEST(MetasoSearch, FaultsOfItsOwnCalls) {
  for (const PlatformFault& fault : std::vector<PlatformFault>{
           {"fault=captcha where=search", 403, "captcha_pending"},
           {"fault=expired where=search", 403, "credential_expired"},
           {"fault=http_429 where=search retry_after=9", 429, "rate_limited", "9"},
           {"fault=not_json where=search", 502, "upstream_changed", nullptr, "false"},
           {"fault=error at=0", 502, "upstream_unavailable"},
       }) {
    ExpectFault("metaso", kModel, fault);
  }
}

TEST_P(Metaso, ThePagesTokenIsKeptAndFetchedAgainWhenItIsRefused) {
  PlatformSuite suite("metaso", Dialect());
  suite.ExpectAnswers(kModel);
  suite.ExpectAnswers(kModel);
  EXPECT_EQ(suite.platforms().Count("tokens_issued", "metaso"), 1);
  suite.platforms().Plan("fault=stale_token", 1, "", "metaso");
  suite.ExpectAnswers(kModel);
  EXPECT_EQ(suite.platforms().Count("tokens_issued", "metaso"), 2);
}

TEST(MetasoSearch, CannotContinueAndSaysSo) {
  PlatformSuite suite("metaso");
  const Whole kept = Chat(suite.port(), "x", R"(,"keep_conversation":true)", kModel);
  EXPECT_EQ(kept.status, 200);
  EXPECT_FALSE(kept.json.as_object().contains("conversation_id"));
  EXPECT_TRUE(absl::StrContains(Notices(kept), "conversation_not_kept")) << Notices(kept);
  suite.ExpectClean();
}

TEST(MetasoSearch, AQuestionTooLongForAUrlIsRefused) {
  PlatformSuite suite("metaso");
  const Whole answer = Chat(suite.port(), std::string(5000, 'x'), "", kModel);
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error("code"), "context_length_exceeded");
  EXPECT_EQ(Chat(suite.port(), "\u3000", "", kModel).status, 400);
  suite.ExpectClean();
}

TEST(MetasoChat, ReasonsAndContinues) {
  PlatformSuite suite("metaso", {{kDialect, "b"}});
  suite.ExpectReasoningFormats(kModel);
  const std::string keep = R"(,"reasoning_format":"hidden","keep_conversation":true)";
  const Whole first = Chat(suite.port(), "[[sim: text=One]]", keep, kModel);
  ASSERT_EQ(first.status, 200) << first.error("message");
  ASSERT_TRUE(first.json.as_object().contains("conversation_id"));
  const std::string id(first.json.at("conversation_id").as_string().c_str());
  const Whole second =
      Chat(suite.port(), "[[sim: text=More]]", absl::StrCat(keep, R"(,"conversation_id":")", id, "\""), kModel);
  EXPECT_EQ(second.text(), "More") << second.error("message");
  EXPECT_NE(suite.Recorded().at("conversation").as_string(), "");
  EXPECT_EQ(Chat(suite.port(), "x", R"(,"conversation_id":"made-up")", kModel).status, 400);
  suite.ExpectClean();
}

}  // namespace
}  // namespace switchyard
