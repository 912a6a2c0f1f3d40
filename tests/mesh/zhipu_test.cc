// Zhipu, through everything: what every platform is expected to do, which parameters each id means, and what becomes of
// an account whose token is exchanged while things go wrong.
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "boost/json/serialize.hpp"
#include "tests/mesh/models_zhipu.h"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr char kModel[] = "glm-5";
constexpr char kThinking[] = "glm-5-thinking";
constexpr char kDialect[] = "SWITCHYARD_PROVIDERS__ZHIPU__DIALECT";
constexpr char kRetries[] = "SWITCHYARD_PROVIDERS__ZHIPU__OPTIONS__RISK_RETRIES";
constexpr char kPause[] = "SWITCHYARD_PROVIDERS__ZHIPU__OPTIONS__RISK_PAUSE_MS";

TEST(Zhipu, EveryModel) { PlatformSuite("zhipu").ExpectModels(ZhipuClassicModels()); }
TEST(Zhipu, EveryModelOfTheCurrentDialect) {
  PlatformSuite("zhipu", {{kDialect, "current"}}).ExpectModels(ZhipuCurrentModels());
}

TEST(Zhipu, WhatEveryPlatformDoes) {
  PlatformSuite suite("zhipu");
  suite.ExpectHistory(kModel);
  suite.ExpectReasoningFormats(kThinking);
  suite.ExpectStops(kModel);
  for (const char* knob : {"", "mode=delta", "space=0 event=1", "crlf=1", "comments=1 mode=delta", "terminal=parts"})
    suite.ExpectAnyChunking(kThinking, knob);
  suite.ExpectAbort(kModel);
  suite.ExpectContinuation(kModel);
}

TEST(Zhipu, SourcesBecomeLinks) {
  PlatformSuite suite("zhipu");
  const Streamed answer =
      Stream(suite.port(), "[[sim: text=Red+blue cite=1 split=1]]", R"(,"reasoning_format":"hidden")", "glm-5-search");
  EXPECT_EQ(answer.text, "Red [1](https://source.example/1) blue [2](https://source.example/2)");
  const std::string annotations = json::serialize(answer.annotations);
  EXPECT_TRUE(absl::StrContains(annotations, "First source")) << annotations;
  EXPECT_TRUE(absl::StrContains(annotations, R"("start_index":4)")) << annotations;
  suite.ExpectClean();
}

TEST(Zhipu, PicturesAndDocumentsAreUploadedAndDescribed) {
  PlatformSuite suite("zhipu");
  const Whole answer = ChatWithParts(suite.port(), kModel,
                                     {ImagePart(), FilePart("report.pdf", "application/pdf", "%PDF-1.7"), ImagePart()});
  EXPECT_EQ(answer.status, 200) << answer.error("message");
  EXPECT_EQ(suite.platforms().Count("uploads", "zhipu"), 3);
  EXPECT_EQ(suite.Recorded().at("blocks").to_number<int>(), 3) << "text, files, pictures";
  suite.platforms().Plan("fault=upload", 1, "", "zhipu");
  const Whole refused = ChatWithParts(suite.port(), kModel, {ImagePart()});
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.error("param"), "messages[0].content[1]");
  suite.ExpectClean();
}

TEST(Zhipu, TheRiskFilterIsTriedAgainAFewTimes) {
  PlatformSuite suite("zhipu", {{kPause, "1"}});
  suite.platforms().Plan("fault=risk", 3, "", "zhipu");
  suite.ExpectAnswers(kModel);
}

TEST(Zhipu, TheOlderDeletionWhereTheNewerIsNotThere) {
  PlatformSuite suite("zhipu");
  suite.platforms().Plan("delete=404", 1, "", "zhipu");
  suite.ExpectAnswers(kModel);
}

TEST(Zhipu, FaultsInTheStream) {
  for (const PlatformFault& fault : std::vector<PlatformFault>{
           {"fault=cut at=2", 502, "upstream_broken", nullptr, nullptr, "One two"},
           {"fault=reset at=2", 502, "upstream_broken", nullptr, nullptr, "One two"},
           {"fault=error at=1", 502, "upstream_broken", nullptr, nullptr, "One"},
           {"fault=last_error at=1", 502, "upstream_broken", nullptr, nullptr, "One"},
           {"fault=garbage at=1", 502, "upstream_changed", nullptr, "false", "One"},
           {"fault=oversized at=1", 502, "upstream_changed", nullptr, "false", "One"},
           {"fault=empty", 502, "upstream_empty"},
           {"fault=nothing", 403, "credential_expired"},
       }) {
    ExpectFault("zhipu", kModel, fault);
  }
}

TEST(Zhipu, FaultsInPlaceOfAnAnswer) {
  for (const PlatformFault& fault : std::vector<PlatformFault>{
           {"fault=expired", 403, "credential_expired"},
           {"fault=http_429 retry_after=7", 429, "rate_limited", "7"},
           {"fault=http_500", 502, "upstream_unavailable"},
           {"fault=not_json", 502, "upstream_changed", nullptr, "false"},
           {"fault=param", 502, "upstream_changed", nullptr, "false"},
           {"fault=sign", 502, "signature_refused", nullptr, "false"},
           {"fault=refresh_dead", 403, "credential_expired"},
           {"fault=refresh_guest", 403, "credential_expired"},
       }) {
    ExpectFault("zhipu", kModel, fault, {{kRetries, "0"}});
  }
}

TEST(Zhipu, AnAnswerThatThePlatformStepsInto) {
  PlatformSuite suite("zhipu");
  for (const char* fault : {"content_filter", "filter_finish"}) {
    SCOPED_TRACE(fault);
    const Streamed answer = Stream(suite.port(), absl::StrCat("[[sim: text=One+two+three at=2 fault=", fault, "]]"),
                                   R"(,"reasoning_format":"hidden")", kModel);
    EXPECT_EQ(answer.finish_reason, "content_filter");
    EXPECT_TRUE(absl::StartsWith(answer.text, "One two")) << answer.text;
    suite.ExpectClean();
  }
}

// ---- the exchange of tokens

TEST(ZhipuTokens, AStampedeMakesOneExchange) {
  SimulatedPlatforms platforms;
  platforms.Plan("access_s=2", 1, "", "zhipu");
  Relay relay(platforms, {{"SWITCHYARD_PROVIDERS__ZHIPU__QUEUE_DEPTH", "300"}});
  ASSERT_EQ(Chat(relay.port(), "[[sim: text=One]]", "", kModel).status, 200);
  platforms.Plan("access_s=86400", 1, "", "zhipu");
  const absl::Time expired = absl::Now() + absl::Seconds(3);
  ASSERT_TRUE(Eventually([&] { return absl::Now() > expired; }));
  const int64_t before = platforms.Count("exchanges", "zhipu");
  std::vector<std::thread> callers;
  for (int i = 0; i < 200; ++i) callers.emplace_back([&] { Chat(relay.port(), "[[sim: text=One]]", "", kModel); });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(platforms.Count("exchanges", "zhipu"), before + 1);
  EXPECT_EQ(platforms.Violations("zhipu"), "");
}

/// It works, or says that somebody has to log in; nothing else.
void ExpectNotSilentlyDead(int port) {
  const Whole answer = Chat(port, "[[sim: text=One]]", R"(,"reasoning_format":"hidden")", kModel);
  if (answer.status == 200) {
    EXPECT_EQ(answer.text(), "One");
    return;
  }
  EXPECT_EQ(answer.error("code"), "credential_expired") << answer.error("message");
  EXPECT_TRUE(absl::StrContains(answer.error("message"), "og in") ||
              absl::StrContains(answer.error("message"), "ign in"))
      << answer.error("message");
}

class ZhipuRotation : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Rotation, ZhipuRotation, testing::Values("off", "lenient", "strict"),
                         [](const auto& test) { return test.param; });

TEST_P(ZhipuRotation, KilledBetweenTheRotationAndItsReply) {
  SimulatedPlatforms platforms;
  platforms.Plan(absl::StrCat("rotation=", GetParam()), 1, "", "zhipu");
  std::string state;
  {
    Relay relay(platforms);
    state = relay.state_dir();
    platforms.Plan("fault=refresh_stall", 1, "", "zhipu");
    HttpProbe probe(relay.port());
    probe.Post("/v1/chat/completions", ChatBody("[[sim: text=One]]", "", kModel));
    ASSERT_TRUE(Eventually([&] { return platforms.Count("stalled_exchanges", "zhipu") > 0; }));
    relay.process().Signal(SIGKILL);
    relay.process().WaitExit(absl::Seconds(10));
  }
  Relay relay(platforms, {}, state);
  ExpectNotSilentlyDead(relay.port());
}

TEST_P(ZhipuRotation, KilledRightAfterTheReply) {
  SimulatedPlatforms platforms;
  platforms.Plan(absl::StrCat("rotation=", GetParam()), 1, "", "zhipu");
  std::string state;
  {
    Relay relay(platforms);
    state = relay.state_dir();
    ASSERT_EQ(Chat(relay.port(), "[[sim: text=One]]", "", kModel).status, 200);
    relay.process().Signal(SIGKILL);
    relay.process().WaitExit(absl::Seconds(10));
  }
  Relay relay(platforms, {}, state);
  const Whole answer = Chat(relay.port(), "[[sim: text=Two]]", R"(,"reasoning_format":"hidden")", kModel);
  EXPECT_EQ(answer.text(), "Two") << answer.error("message");
}

TEST_P(ZhipuRotation, AReplyThatIsLost) {
  SimulatedPlatforms platforms;
  platforms.Plan(absl::StrCat("rotation=", GetParam()), 1, "", "zhipu");
  Relay relay(platforms);
  platforms.Plan("fault=refresh_cut", 1, "", "zhipu");
  EXPECT_NE(Chat(relay.port(), "x", "", kModel).status, 200);
  ExpectNotSilentlyDead(relay.port());
}

}  // namespace
}  // namespace switchyard
