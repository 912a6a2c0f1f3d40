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

class DoubaoFault : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Dialect, DoubaoFault, ::testing::Values("a", "b"),
                         [](const auto& test) { return test.param; });
TEST_P(DoubaoFault, IsTold) {
  const PlatformFaults faults = {
      // Within the answer.
      {"fault=cut", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=cut at=3", 502, "upstream_broken", nullptr, nullptr, "One two three"},
      {"fault=cut at=0", 502, "upstream_broken"},
      {"fault=reset", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=stall", 504, "deadline_exceeded", nullptr, nullptr, "One two"},
      {"fault=unfinished", 502, "upstream_broken", nullptr, nullptr, "One two three"},
      {"fault=garbage", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=oversized", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=late_error", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=late_unknown", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=bad_utf8", 200, "stop", nullptr, nullptr, "One two \xEF\xBF\xBD"},
      {"fault=empty", 502, "upstream_empty"},
      // Instead of one.
      {"first_ms=5000", 504, "deadline_exceeded"},
      {"fault=expired", 403, "credential_expired"},
      {"fault=user_invalid", 403, "credential_expired"},
      {"fault=guest", 403, "credential_expired"},
      {"fault=http_401", 403, "credential_expired"},
      {"fault=redirect", 403, "credential_expired"},
      {"fault=rate", 429, "rate_limited", "300"},
      {"fault=shark", 429, "rate_limited", "300"},
      {"fault=http_429 retry_after=7", 429, "rate_limited", "7"},
      {"fault=http_429", 429, "rate_limited", "300"},
      {"fault=captcha", 403, "captcha_pending"},
      {"fault=html", 403, "captcha_pending"},
      {"fault=punished", 403, "client_refused"},
      {"fault=region", 403, "client_refused"},
      {"fault=http_403", 403, "client_refused"},
      {"fault=error", 502, "upstream_unavailable"},
      {"fault=http_500", 502, "upstream_unavailable"},
      {"fault=unknown", 502, "upstream_changed", nullptr, "false"},
      {"fault=not_json", 502, "upstream_changed", nullptr, "false"},
  };
  ExpectFaults("doubao", GetParam(), "doubao", faults, {}, {{"SWITCHYARD_PROVIDERS__DOUBAO__DIALECT", GetParam()}});
}

// A long thought is told by heartbeats alone: they keep the turn, and the caller's deadline ends it.
class DoubaoSilence : public ::testing::TestWithParam<const char*> {
 protected:
  static Variables With(const char* request_limit) {
    return {{"SWITCHYARD_PROVIDERS__DOUBAO__DIALECT", GetParam()},
            {"SWITCHYARD_HTTP__IDLE_LIMIT", "1s"},
            {"SWITCHYARD_SERVER__REQUEST_LIMIT", request_limit}};
  }
};
INSTANTIATE_TEST_SUITE_P(Dialect, DoubaoSilence, ::testing::Values("a", "b"),
                         [](const auto& test) { return test.param; });
TEST_P(DoubaoSilence, HeartbeatsKeepATurnThatThinksForLong) {
  PlatformSuite suite("doubao", With("60s"));
  const Whole answer = Chat(suite.port(), "[[sim: text=One silence_ms=2600]]", "", "doubao");
  EXPECT_EQ(answer.text(), "One") << answer.error("message");
  suite.ExpectClean();
}
TEST_P(DoubaoSilence, TheDeadlineOfTheCallerEndsOneThatNeverSpeaks) {
  PlatformSuite suite("doubao", With("2s"));
  const Whole answer = Chat(suite.port(), "[[sim: text=One silence_ms=60000]]", "", "doubao");
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.error("code"), "deadline_exceeded");
  EXPECT_TRUE(Eventually([&] { return suite.platforms().State("doubao").at("running").to_number<int64_t>() == 0; }));
}

}  // namespace
}  // namespace switchyard
