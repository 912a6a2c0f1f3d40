// Qwen, through everything: what every platform is expected to do, which parameters each id means, and its ways to
// fail.
#include "boost/json/value.hpp"
#include "tests/mesh/models_qwen.h"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

constexpr char kModel[] = "qwen3-max";
constexpr char kThinking[] = "qwen3-max-thinking";

TEST(Qwen, EveryModel) { PlatformSuite("qwen").ExpectModels(QwenModels()); }

TEST(Qwen, WhatEveryPlatformDoes) {
  PlatformSuite suite("qwen");
  suite.ExpectHistory(kModel);
  suite.ExpectReasoningFormats(kThinking);
  suite.ExpectStops(kModel);
  for (const char* knob : {"", "crlf=1", "comments=1", "word=finish", "space=0", "placeholder=0", "half=1", "shrink=1",
                           "incremental=1", "chunks=7 comments=1 crlf=1"})
    suite.ExpectAnyChunking(kThinking, knob);
  suite.ExpectAbort(kThinking);
  suite.ExpectContinuation(kModel);
}

TEST(Qwen, AnXsrfTokenThatThePlatformReplacesIsUsedFromThenOn) {
  PlatformSuite suite("qwen");
  const Whole first = Chat(suite.port(), "[[sim: text=One xsrf=new]]", "", kModel);
  EXPECT_EQ(first.text(), "One") << first.error("message");
  const Whole second = Chat(suite.port(), "[[sim: text=Two]]", "", kModel);
  EXPECT_EQ(second.text(), "Two") << second.error("message");
  suite.ExpectClean();
}

TEST(Qwen, AReviewThatStopsTheAnswerIsToldAsSuch) {
  PlatformSuite suite("qwen");
  const Whole whole = Chat(suite.port(), "[[sim: text=One+two+three fault=content_filter]]", "", kModel);
  EXPECT_EQ(whole.finish_reason(), "content_filter") << whole.error("message");
  EXPECT_EQ(whole.text(), "One two");
  suite.ExpectClean();
}

TEST(Qwen, ThinkingCanBeAskedForAndDeclined) {
  PlatformSuite suite("qwen");
  Chat(suite.port(), "[[sim: text=One]]", R"(,"reasoning_effort":"high","reasoning_format":"hidden")", kModel);
  EXPECT_EQ(suite.Recorded().at("model").as_string(), "Qwen3-Max-Thinking-Preview");
  Chat(suite.port(), "[[sim: text=One]]", R"(,"reasoning_effort":"none")", kThinking);
  EXPECT_EQ(suite.Recorded().at("model").as_string(), "Qwen3-Max");
  suite.ExpectClean();
}

TEST(QwenNewerCall, DoesWhatEveryPlatformDoes) {
  PlatformSuite suite("qwen", {{"SWITCHYARD_PROVIDERS__QWEN__DIALECT", "b"}});
  suite.ExpectModels(QwenModels());
  EXPECT_EQ(suite.Recorded().at("dialect").as_string(), "b");
  suite.ExpectHistory(kModel);
  suite.ExpectReasoningFormats(kThinking);
  suite.ExpectStops(kModel);
  for (const char* knob : {"", "parts=new"}) suite.ExpectAnyChunking(kThinking, knob);
  suite.ExpectAbort(kThinking);
}

PlatformFaults FaultsOfBoth() {
  return {
      // Within the answer.
      {"fault=cut", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=cut at=3", 502, "upstream_broken", nullptr, nullptr, "One two three"},
      {"fault=cut at=0", 502, "upstream_broken"},
      {"fault=reset", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=stall", 504, "deadline_exceeded", nullptr, nullptr, "One two"},
      {"fault=garbage", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=oversized", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=error", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=bad_utf8", 200, "stop", nullptr, nullptr, "One two three"},
      {"fault=content_filter", 200, "content_filter", nullptr, nullptr, "One two"},
      {"fault=filter_early", 400, "content_policy_violation"},
      {"fault=empty", 502, "upstream_empty"},
      // Instead of one.
      {"first_ms=5000", 504, "deadline_exceeded"},
      {"fault=ticket", 403, "credential_expired"},
      {"fault=http_401", 403, "credential_expired"},
      {"fault=redirect", 403, "credential_expired"},
      {"fault=captcha", 403, "captcha_pending"},
      {"fault=captcha_html", 403, "captcha_pending"},
      {"fault=http_403", 403, "client_refused"},
      {"fault=http_429 retry_after=7", 429, "rate_limited", "7"},
      {"fault=http_429", 429, "rate_limited", "30"},
      {"fault=http_500", 502, "upstream_unavailable"},
      {"fault=not_json", 502, "upstream_changed", nullptr, "false"},
  };
}

TEST(Qwen, Faults) {
  PlatformFaults faults = FaultsOfBoth();
  for (const PlatformFault& own : PlatformFaults{{"fault=html", 403, "credential_expired"},
                                                 {"fault=gateway", 502, "upstream_changed", nullptr, "false"},
                                                 {"fault=expired", 403, "credential_expired"},
                                                 {"fault=rate", 429, "rate_limited", "30"},
                                                 {"fault=retired", 403, "client_refused"}})
    faults.push_back(own);
  ExpectFaults("qwen", "a", kModel, faults);
}

TEST(QwenNewerCall, Faults) {
  PlatformFaults faults = FaultsOfBoth();
  for (const PlatformFault& own :
       PlatformFaults{{"fault=html", 403, "client_refused"}, {"fault=gateway", 403, "client_refused"}})
    faults.push_back(own);
  ExpectFaults("qwen", "b", kModel, faults, {}, {{"SWITCHYARD_PROVIDERS__QWEN__DIALECT", "b"}});
}

TEST(Qwen, PicturesAndDocumentsArePutIntoTheStore) {
  PlatformSuite suite("qwen");
  const Whole seen = ChatWithParts(suite.port(), "qwen-vl-max", {ImagePart(), ImagePart()});
  EXPECT_EQ(seen.status, 200) << seen.error("message");
  EXPECT_EQ(suite.Recorded().at("contents").to_number<int>(), 3);
  const std::string pdf = FilePart("report.pdf", "application/pdf", "%PDF-1.7");
  suite.platforms().Plan("look_polls=2 text=Read", 1, "", "qwen");
  const Whole read = ChatWithParts(suite.port(), "qwen-long", {pdf});
  EXPECT_EQ(read.status, 200) << read.error("message");
  EXPECT_EQ(read.text(), "Read");
  EXPECT_EQ(suite.platforms().Count("/oss/", "qwen"), 3);
  EXPECT_EQ(suite.platforms().Count("/dialog/secResult/batch", "qwen"), 2);
  suite.platforms().Plan("look=fail", 1, "", "qwen");
  const Whole refused = ChatWithParts(suite.port(), "qwen-long", {pdf});
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.error("param"), "messages[0].content[1]");
  suite.ExpectClean();
}

TEST(Qwen, TheNewerCallTakesNoPictures) {
  PlatformSuite suite("qwen", {{"SWITCHYARD_PROVIDERS__QWEN__DIALECT", "b"}});
  const Whole refused = ChatWithParts(suite.port(), "qwen-vl-max", {ImagePart()});
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.error("code"), "unsupported_parameter");
  EXPECT_EQ(refused.error("param"), "messages[0].content[1]");
  suite.ExpectClean();
}

}  // namespace
}  // namespace switchyard
