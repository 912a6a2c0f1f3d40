// Doubao, through everything: what every platform is expected to do, which parameters each id means, and every way in
// which it fails.
#include "boost/json/serialize.hpp"
#include "tests/mesh/models_doubao.h"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

TEST(Doubao, EveryModel) { PlatformSuite("doubao").ExpectModels(DoubaoModels()); }

TEST(Doubao, EverythingElse) {
  PlatformSuite suite("doubao");
  suite.ExpectHistory("doubao");
  suite.ExpectReasoningFormats("doubao-thinking");
  suite.ExpectStops("doubao");
  for (const char* script : {"", "crlf=1", "oneline=1", "blocks=1", "numeric=1", "comments=1"})
    suite.ExpectAnyChunking("doubao-thinking", script);
  suite.ExpectAbort("doubao");
  suite.ExpectContinuation("doubao");
  suite.ExpectForgetting("doubao");
}

TEST(Doubao, AnAccountKeepsItsDeviceOverARestart) {
  const SimulatedPlatforms platforms;
  std::string state_dir;
  {
    Relay relay(platforms);
    state_dir = relay.state_dir();
    EXPECT_EQ(Chat(relay.port(), "[[sim: text=One]]", "", "doubao").text(), "One");
  }
  Relay relay(platforms, {}, state_dir);
  EXPECT_EQ(Chat(relay.port(), "[[sim: text=Two]]", "", "doubao").text(), "Two");
  EXPECT_EQ(platforms.Violations("doubao"), "");
}

TEST(Doubao, TheLiteAssistantIsConfigured) {
  PlatformSuite suite("doubao", {{"SWITCHYARD_PROVIDERS__DOUBAO__OPTIONS__LITE_BOT_ID", "7234781073513644036"}});
  suite.ExpectModels(
      {{"doubao-lite", R"({"bot_id":"7234781073513644036"})"}, {"doubao", R"({"bot_id":"7338286299411103781"})"}});
}

TEST(Doubao, WhatWasFoundIsCited) {
  PlatformSuite suite("doubao");
  const Streamed answer = Stream(suite.port(), "[[sim: text=Here search=1]]", "", "doubao");
  EXPECT_EQ(answer.text, "Here");
  const std::string annotations = boost::json::serialize(answer.annotations);
  for (const char* wanted : {"https://source.example/1", "First source", "https://source.example/2", "Second source"})
    EXPECT_NE(annotations.find(wanted), std::string::npos) << annotations;
  EXPECT_EQ(annotations.find("Again"), std::string::npos) << annotations;
  suite.ExpectClean();
}

TEST(Doubao, PicturesComeBehindTheText) {
  PlatformSuite suite("doubao");
  EXPECT_EQ(Stream(suite.port(), "[[sim: text=Here image=1]]", "", "doubao").text,
            "Here\n\n![image](https://images.example/1.png)");
  suite.ExpectClean();
}

const Variables kOlder = {{"SWITCHYARD_PROVIDERS__DOUBAO__DIALECT", "b"}};

TEST(Doubao, TheOlderDialect) {
  PlatformSuite suite("doubao", kOlder);
  suite.ExpectModels({{"doubao", R"({"use_deep_think":false})"},
                      {"doubao-thinking", R"({"use_deep_think":true})"},
                      {"doubao-expert", R"({"use_deep_think":true})"}});
  suite.ExpectHistory("doubao");
  suite.ExpectReasoningFormats("doubao-thinking");
  suite.ExpectStops("doubao");
  for (const char* script : {"", "crlf=1", "comments=1"}) suite.ExpectAnyChunking("doubao-thinking", script);
  suite.ExpectAbort("doubao");
}

TEST(Doubao, TheOlderDialectFails) {
  for (const PlatformFault& fault :
       {PlatformFault{"fault=cut", 502, "upstream_broken", nullptr, nullptr, "One two"},
        PlatformFault{"fault=late_error", 502, "upstream_broken", nullptr, nullptr, "One two"},
        PlatformFault{"fault=garbage", 502, "upstream_changed", nullptr, "false", "One two"},
        PlatformFault{"fault=expired", 403, "credential_expired"}, PlatformFault{"fault=empty", 502, "upstream_empty"}})
    ExpectFault("doubao", "doubao", fault, kOlder);
}

TEST(Doubao, BytesThatAreNoUtf8AreReplaced) {
  PlatformSuite suite("doubao");
  EXPECT_EQ(Stream(suite.port(), "[[sim: text=One+two+three fault=bad_utf8]]", "", "doubao").text,
            "One two \xEF\xBF\xBD");
  suite.ExpectClean();
}

class DoubaoFault : public ::testing::TestWithParam<PlatformFault> {};
TEST_P(DoubaoFault, IsTold) { ExpectFault("doubao", "doubao", GetParam(), {{"SWITCHYARD_HTTP__IDLE_LIMIT", "1s"}}); }

constexpr char kUnchanged[] = "false";
INSTANTIATE_TEST_SUITE_P(
    Doubao, DoubaoFault,
    ::testing::Values(
        // Within the answer.
        PlatformFault{"fault=cut", 502, "upstream_broken", nullptr, nullptr, "One two"},
        PlatformFault{"fault=reset", 502, "upstream_broken", nullptr, nullptr, "One two"},
        PlatformFault{"fault=stall", 504, "deadline_exceeded", nullptr, nullptr, "One two"},
        PlatformFault{"fault=unfinished", 502, "upstream_broken", nullptr, nullptr, "One two three"},
        PlatformFault{"fault=garbage", 502, "upstream_changed", nullptr, kUnchanged, "One two"},
        PlatformFault{"fault=oversized", 502, "upstream_changed", nullptr, kUnchanged, "One two"},
        PlatformFault{"fault=late_error", 502, "upstream_broken", nullptr, nullptr, "One two"},
        PlatformFault{"fault=empty", 502, "upstream_empty"}, PlatformFault{"fault=cut at=0", 502, "upstream_broken"},
        // Instead of one.
        PlatformFault{"fault=expired", 403, "credential_expired"},
        PlatformFault{"fault=user_invalid", 403, "credential_expired"},
        PlatformFault{"fault=guest", 403, "credential_expired"},
        PlatformFault{"fault=http_401", 403, "credential_expired"},
        PlatformFault{"fault=redirect", 403, "credential_expired"},
        PlatformFault{"fault=rate", 429, "rate_limited", "300"},
        PlatformFault{"fault=shark", 429, "rate_limited", "300"},
        PlatformFault{"fault=http_429 retry_after=7", 429, "rate_limited", "7"},
        PlatformFault{"fault=captcha", 403, "captcha_pending"}, PlatformFault{"fault=html", 403, "captcha_pending"},
        PlatformFault{"fault=punished", 403, "client_refused"}, PlatformFault{"fault=region", 403, "client_refused"},
        PlatformFault{"fault=http_403", 403, "client_refused"},
        PlatformFault{"fault=error", 502, "upstream_unavailable"},
        PlatformFault{"fault=http_500", 502, "upstream_unavailable"},
        PlatformFault{"fault=unknown", 502, "upstream_changed", nullptr, kUnchanged},
        PlatformFault{"fault=not_json", 502, "upstream_changed", nullptr, kUnchanged}));

}  // namespace
}  // namespace switchyard
