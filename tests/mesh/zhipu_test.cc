// Zhipu, through everything: what every platform is expected to do, which parameters each id means, and what becomes of
// an account whose token is exchanged while things go wrong.
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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

TEST(Zhipu, Faults) {
  const PlatformFaults faults = {
      // Within the answer.
      {"fault=cut at=2", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=cut at=3", 502, "upstream_broken", nullptr, nullptr, "One two three"},
      {"fault=cut at=0", 502, "upstream_broken"},
      {"fault=reset at=2", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=stall at=2", 504, "deadline_exceeded", nullptr, nullptr, "One two"},
      {"fault=error at=1", 502, "upstream_broken", nullptr, nullptr, "One"},
      {"fault=last_error at=1", 502, "upstream_broken", nullptr, nullptr, "One"},
      {"fault=error_unknown at=1", 502, "upstream_changed", nullptr, "false", "One"},
      {"fault=garbage at=1", 502, "upstream_changed", nullptr, "false", "One"},
      {"fault=oversized at=1", 502, "upstream_changed", nullptr, "false", "One"},
      {"fault=bad_utf8 at=1", 200, "stop", nullptr, nullptr, "One two three"},
      {"fault=content_filter at=2", 200, "content_filter", nullptr, nullptr, "One two"},
      {"fault=filter_finish at=2", 200, "content_filter", nullptr, nullptr, "One two"},
      {"fault=filter_early", 400, "content_policy_violation"},
      {"fault=empty", 502, "upstream_empty"},
      {"fault=nothing", 403, "credential_expired"},
      // Instead of one.
      {"first_ms=5000", 504, "deadline_exceeded"},
      {"fault=expired", 403, "credential_expired"},
      {"fault=risk", 403, "client_refused"},
      {"fault=html", 403, "client_refused"},
      {"fault=http_429 retry_after=7", 429, "rate_limited", "7"},
      {"fault=http_429", 429, "rate_limited", "30"},
      {"fault=http_500", 502, "upstream_unavailable"},
      {"fault=not_json", 502, "upstream_changed", nullptr, "false"},
      {"fault=param", 502, "upstream_changed", nullptr, "false"},
      {"fault=sign", 502, "signature_refused", nullptr, "false"},
      // Of the exchange.
      {"fault=refresh_dead", 403, "credential_expired"},
      {"fault=refresh_guest", 403, "credential_expired"},
      {"fault=refresh_500", 502, "upstream_unavailable"},
  };
  // What is known of a banned account is known by a check alone; a lost reply has tests of its own, below.
  ExpectFaults("zhipu", "classic", kModel, faults, {"banned", "refresh_stall", "refresh_cut", "refresh_hold"},
               {{kRetries, "0"}});
}

TEST(Zhipu, ARiskFilterThatStaysIsToldAfterAFewTries) {
  ExpectFault("zhipu", kModel, {"fault=risk", 403, "client_refused"}, {{kPause, "1"}, {kRetries, "1"}});
  PlatformSuite suite("zhipu", {{kPause, "1"}});
  suite.platforms().Plan("fault=risk", 100, "", "zhipu");
  EXPECT_EQ(Chat(suite.port(), "x", "", kModel).error("code"), "client_refused");
  EXPECT_EQ(suite.platforms().Count("/chatglm/backend-api/assistant/stream", "zhipu"), 4)
      << "once, and three times more";
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
  // Shorter than what a turn may take: nobody gets such a token twice.
  platforms.Plan("access_s=60", 1, "", "zhipu");
  Relay relay(platforms, {{"SWITCHYARD_PROVIDERS__ZHIPU__QUEUE_DEPTH", "300"}});
  ASSERT_EQ(Chat(relay.port(), "[[sim: text=One]]", "", kModel).status, 200);
  platforms.Plan("access_s=86400", 1, "", "zhipu");
  const int64_t before = platforms.Count("exchanges", "zhipu");
  std::vector<std::thread> callers;
  for (int i = 0; i < 200; ++i) callers.emplace_back([&] { Chat(relay.port(), "[[sim: text=One]]", "", kModel); });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(platforms.Count("exchanges", "zhipu"), before + 1);
  EXPECT_EQ(platforms.Violations("zhipu"), "");
}

/// A platform of which an exchange of the token is under way, as `fault` says, and the relay whose exchange it is.
class Exchanging {
 public:
  /// @param rotation "off": the refresh token can be used again and again; "lenient": each exchange replaces it, and
  /// the old one still works; "strict": each can be used once
  Exchanging(const std::string& rotation, const char* fault, const char* reached) {
    platforms_.Plan(absl::StrCat("rotation=", rotation), 1, "", "zhipu");
    relay_ = std::make_unique<Relay>(platforms_);
    platforms_.Plan(absl::StrCat("fault=", fault), 1, "", "zhipu");
    probe_ = std::make_unique<HttpProbe>(relay_->port());
    probe_->Post("/v1/chat/completions", ChatBody("[[sim: text=One]]", "", kModel));
    EXPECT_TRUE(Eventually([&] { return platforms_.Count(reached, "zhipu") > 0; }));
  }

  const SimulatedPlatforms& platforms() const { return platforms_; }
  Relay& relay() { return *relay_; }

  /// kill -9, and a new relay with the same state.
  void Restart() {
    relay_->process().Signal(SIGKILL);
    EXPECT_EQ(relay_->process().WaitExit(absl::Seconds(10)), -SIGKILL);
    relay_ = std::make_unique<Relay>(platforms_, Variables(), relay_->state_dir());
  }

 private:
  SimulatedPlatforms platforms_;
  std::unique_ptr<Relay> relay_;
  std::unique_ptr<HttpProbe> probe_;
};

void ExpectWorks(int port) {
  const Whole answer = Chat(port, "[[sim: text=Two]]", R"(,"reasoning_format":"hidden")", kModel);
  EXPECT_EQ(answer.text(), "Two") << answer.error("message");
}

/// It says so, from the first request on, and does not try the dead token again and again.
void ExpectNeedsLogin(int port, const SimulatedPlatforms& platforms) {
  EXPECT_EQ(Chat(port, "x", "", kModel).error("code"), "credential_expired");
  const int64_t exchanges = platforms.Count("exchanges", "zhipu");
  const Whole again = Chat(port, "x", "", kModel);
  EXPECT_EQ(again.status, 403);
  EXPECT_EQ(again.error("code"), "credential_expired");
  EXPECT_TRUE(absl::StrContains(again.error("message"), "needs a new login")) << again.error("message");
  EXPECT_EQ(platforms.Count("exchanges", "zhipu"), exchanges);
}

/// Where the reply was lost with the token in it: only a token that can be used once is lost with it.
void ExpectAfterALostReply(const std::string& rotation, int port, const SimulatedPlatforms& platforms) {
  if (rotation == "strict") {
    ExpectNeedsLogin(port, platforms);
  } else {
    ExpectWorks(port);
  }
}

class ZhipuRotation : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Rotation, ZhipuRotation, testing::Values("off", "lenient", "strict"),
                         [](const auto& test) { return test.param; });

TEST_P(ZhipuRotation, KilledBetweenTheRotationAndItsReply) {
  Exchanging exchanging(GetParam(), "refresh_stall", "stalled_exchanges");
  exchanging.Restart();
  ExpectAfterALostReply(GetParam(), exchanging.relay().port(), exchanging.platforms());
}

// The whole reply has reached the machine, and the relay, which is stopped, has done nothing with it.
TEST_P(ZhipuRotation, KilledBetweenTheReplyAndTheStore) {
  Exchanging exchanging(GetParam(), "refresh_hold", "held_exchanges");
  exchanging.relay().process().Signal(SIGSTOP);
  exchanging.platforms().Plan("release=1", 1, "", "zhipu");
  ASSERT_TRUE(Eventually([&] { return exchanging.platforms().Count("exchange_replies", "zhipu") > 0; }));
  exchanging.Restart();
  ExpectAfterALostReply(GetParam(), exchanging.relay().port(), exchanging.platforms());
}

// What a turn was done with is stored, so no mode loses it.
TEST_P(ZhipuRotation, KilledBehindTheStore) {
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
  ExpectWorks(relay.port());
}

TEST_P(ZhipuRotation, AReplyThatIsLost) {
  SimulatedPlatforms platforms;
  platforms.Plan(absl::StrCat("rotation=", GetParam()), 1, "", "zhipu");
  Relay relay(platforms);
  platforms.Plan("fault=refresh_cut", 1, "", "zhipu");
  EXPECT_NE(Chat(relay.port(), "x", "", kModel).status, 200);
  ExpectAfterALostReply(GetParam(), relay.port(), platforms);
}

}  // namespace
}  // namespace switchyard
