// What is left behind: by clients that go away, by relays that are killed, by queues that are full.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

constexpr char kSlow[] = "[[sim: chunks=2000 chunk_ms=20]]";

class LifeTest : public ::testing::Test {
 protected:
  std::unique_ptr<HttpProbe> StartStream(int port, const std::string& text = kSlow) {
    auto probe = std::make_unique<HttpProbe>(port);
    probe->Post("/v1/chat/completions", ChatBody(text, R"(,"stream":true)"));
    return probe;
  }
  void ExpectStoppedAndDeleted() {
    EXPECT_TRUE(Eventually([&] { return platforms_.Count("/chat/stop_stream") >= 1; }))
        << "the platform was not told to stop";
    EXPECT_TRUE(Eventually([&] { return platforms_.OpenConversations() == 0; })) << "a conversation was left over";
    EXPECT_EQ(platforms_.Violations(), "");
  }
  SimulatedPlatforms platforms_;
};

TEST_F(LifeTest, AClientThatClosesStopsThePlatform) {
  Relay relay(platforms_);
  auto stream = StartStream(relay.port());
  ASSERT_TRUE(stream->ReadUntil("piece 2"));
  stream->Close();
  ExpectStoppedAndDeleted();
  EXPECT_EQ(Chat(relay.port(), "[[sim: text=Free]]").text(), "Free") << "the account is not free";
}

TEST_F(LifeTest, AClientThatResetsStopsThePlatform) {
  Relay relay(platforms_);
  auto stream = StartStream(relay.port());
  ASSERT_TRUE(stream->ReadUntil("piece 2"));
  stream->Reset();
  ExpectStoppedAndDeleted();
}

TEST_F(LifeTest, AClientThatLeavesAWholeAnswerStopsThePlatform) {
  Relay relay(platforms_);
  HttpProbe probe(relay.port());
  probe.Post("/v1/chat/completions", ChatBody(kSlow));
  ASSERT_TRUE(Eventually([&] { return platforms_.State().at("running").to_number<int64_t>() == 1; }));
  probe.Close();
  ExpectStoppedAndDeleted();
}

TEST_F(LifeTest, AStopSequenceStopsThePlatform) {
  Relay relay(platforms_);
  const Streamed answer = Stream(relay.port(), kSlow, R"(,"stop":"piece 3")");
  EXPECT_EQ(answer.text, "piece 0 piece 1 piece 2 ");
  EXPECT_TRUE(answer.done);
  ExpectStoppedAndDeleted();
}

TEST_F(LifeTest, AKilledRelayCleansUpWhenItComesBack) {
  auto relay = std::make_unique<Relay>(platforms_);
  const std::string state = relay->state_dir();
  auto stream = StartStream(relay->port());
  ASSERT_TRUE(stream->ReadUntil("piece 2"));
  EXPECT_EQ(platforms_.OpenConversations(), 1);
  relay->process().Signal(SIGKILL);
  relay->process().WaitExit(absl::Seconds(10));
  EXPECT_EQ(platforms_.OpenConversations(), 1);
  relay = std::make_unique<Relay>(platforms_, Variables(), state);
  EXPECT_TRUE(Eventually([&] { return platforms_.OpenConversations() == 0; }))
      << "the conversation of the killed relay is still there";
}

TEST_F(LifeTest, TwoChatsOnOneAccountRunOneAfterTheOther) {
  Relay relay(platforms_);
  std::vector<std::unique_ptr<HttpProbe>> probes;
  for (int i = 0; i < 2; ++i) {
    probes.push_back(std::make_unique<HttpProbe>(relay.port()));
    probes.back()->Post("/v1/chat/completions", ChatBody("[[sim: chunks=5 chunk_ms=20]]"));
  }
  for (auto& probe : probes) EXPECT_EQ(probe->Read().status, 200);
  EXPECT_EQ(platforms_.Count("max_running"), 1);
  EXPECT_EQ(platforms_.Violations(), "");
}

TEST_F(LifeTest, SeveralInFlightWhereTheConfigurationSaysSo) {
  Relay relay(platforms_, {{"SWITCHYARD_PROVIDERS__DEEPSEEK__MAX_IN_FLIGHT_PER_ACCOUNT", "2"}});
  auto first = StartStream(relay.port());
  ASSERT_TRUE(first->ReadUntil("piece 1"));
  // The simulated account allows one at a time and says so: what counts here is that it was asked.
  EXPECT_EQ(Chat(relay.port(), "[[sim: text=x]]").status, 429);
}

TEST_F(LifeTest, AFullQueueIsBusy) {
  Relay relay(platforms_, {{"SWITCHYARD_PROVIDERS__DEEPSEEK__QUEUE_DEPTH", "1"}});
  auto running = StartStream(relay.port());
  ASSERT_TRUE(running->ReadUntil("piece 1"));
  // Which of them gets the one place in the queue is chance.
  std::vector<std::unique_ptr<HttpProbe>> others;
  for (int i = 0; i < 4; ++i) {
    others.push_back(std::make_unique<HttpProbe>(relay.port()));
    others.back()->Post("/v1/chat/completions", ChatBody("[[sim: text=Second]]"));
  }
  const auto answered = [&] {
    return std::count_if(others.begin(), others.end(), [](const auto& probe) { return probe->Readable(); });
  };
  ASSERT_TRUE(Eventually([&] { return answered() == 3; }));
  HttpProbe* waiting = nullptr;
  for (auto& probe : others) {
    if (!probe->Readable()) {
      waiting = probe.get();
      continue;
    }
    const Whole refused = ReadWhole(probe->Read());
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(refused.error("code"), "account_busy");
    EXPECT_TRUE(refused.headers.count("retry-after"));
  }
  running->Close();
  EXPECT_EQ(ReadWhole(waiting->Read()).text(), "Second");
}

TEST_F(LifeTest, AQueueThatIsTooSlowIsBusy) {
  Relay relay(platforms_, {{"SWITCHYARD_PROVIDERS__DEEPSEEK__QUEUE_LIMIT", "200ms"}});
  auto running = StartStream(relay.port());
  ASSERT_TRUE(running->ReadUntil("piece 1"));
  EXPECT_EQ(Chat(relay.port(), "x").error("code"), "account_busy");
}

TEST_F(LifeTest, SilenceIsFilledWithComments) {
  Relay relay(platforms_, {{"SWITCHYARD_SERVER__HEARTBEAT", "1s"}});
  const HttpReply reply = Fetch(relay.port(), "POST", "/v1/chat/completions",
                                ChatBody("[[sim: text=Late first_ms=2500]]", R"(,"stream":true)"));
  EXPECT_TRUE(absl::StartsWith(reply.body, ": ")) << reply.body;
  const Streamed answer = ReadStream(reply);
  EXPECT_EQ(answer.text, "Late");
  EXPECT_TRUE(answer.done);
}

TEST_F(LifeTest, AnErrorAfterTheStatusWasSettledIsAnEvent) {
  Relay relay(platforms_, {{"SWITCHYARD_SERVER__HEARTBEAT", "1s"}});
  const Streamed answer = Stream(relay.port(), "[[sim: fault=banned first_ms=1500]]");
  EXPECT_EQ(answer.status, 200);
  ASSERT_TRUE(answer.error.is_object());
  EXPECT_EQ(answer.error.at("code").as_string(), "account_banned");
  EXPECT_FALSE(answer.done);
}

TEST_F(LifeTest, TheWholeRequestIsBounded) {
  Relay relay(platforms_, {{"SWITCHYARD_SERVER__REQUEST_LIMIT", "1s"}});
  const Streamed answer = Stream(relay.port(), kSlow);
  ASSERT_TRUE(answer.error.is_object()) << answer.body;
  EXPECT_EQ(answer.error.at("code").as_string(), "deadline_exceeded");
  EXPECT_FALSE(answer.done);
  ExpectStoppedAndDeleted();
}

TEST_F(LifeTest, ACrashWouldLeaveNoCore) {
  Relay relay(platforms_);
  std::ifstream limits(absl::StrCat("/proc/", relay.process().pid(), "/limits"));
  bool none = false;
  for (std::string line; std::getline(limits, line);) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    // The soft limit, which anybody may have set, and the hard one, which cannot be raised again.
    none = none || (absl::StartsWith(line, "Max core file size") && words[4] == "0" && words[5] == "0");
  }
  EXPECT_TRUE(none) << "a core holds tokens and prompts";
}

TEST_F(LifeTest, SigtermLetsAnswersFinish) {
  Relay relay(platforms_);
  auto stream = StartStream(relay.port(), "[[sim: chunks=20 chunk_ms=30]]");
  ASSERT_TRUE(stream->ReadUntil("piece 1"));
  relay.process().Signal(SIGTERM);
  const Streamed answer = ReadStream(stream->Read());
  EXPECT_TRUE(answer.done) << answer.body;
  EXPECT_EQ(relay.process().WaitExit(absl::Seconds(20)), 0);
  EXPECT_EQ(platforms_.OpenConversations(), 0);
}

TEST_F(LifeTest, ASecondSignalEndsAnswersWithAnError) {
  Relay relay(platforms_);
  auto stream = StartStream(relay.port());
  ASSERT_TRUE(stream->ReadUntil("piece 1"));
  relay.process().Signal(SIGTERM);
  ASSERT_TRUE(relay.process().WaitForOutput("\"event\":\"stopping\""));
  relay.process().Signal(SIGTERM);
  const Streamed answer = ReadStream(stream->Read());
  EXPECT_TRUE(answer.error.is_object()) << answer.body;
  EXPECT_FALSE(answer.done);
  EXPECT_EQ(relay.process().WaitExit(absl::Seconds(5)), 0);
}

TEST_F(LifeTest, CtrlCEndsAnswersWithAnError) {
  Relay relay(platforms_);
  auto stream = StartStream(relay.port());
  ASSERT_TRUE(stream->ReadUntil("piece 1"));
  relay.process().Signal(SIGINT);
  const Streamed answer = ReadStream(stream->Read());
  EXPECT_TRUE(answer.error.is_object()) << answer.body;
  EXPECT_FALSE(answer.done);
  EXPECT_EQ(relay.process().WaitExit(absl::Seconds(5)), 0);
}

}  // namespace
}  // namespace switchyard
