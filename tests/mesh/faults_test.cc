// What follows from a fault: withdrawals, retries, other accounts, silence. Which fault is told how is in each
// platform's own test.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

std::string Member(const boost::json::value& error, const char* name) {
  return error.is_object() && error.at(name).is_string() ? std::string(error.at(name).as_string().c_str())
                                                         : std::string();
}

TEST(Withdrawal, AnAnswerThatHadBegunEndsWithTheRefusal) {
  SimulatedPlatforms platforms;
  Relay relay(platforms);
  const std::string prompt = "[[sim: text=One+two+three fault=content_filter at=2]]";
  const Streamed streamed = Stream(relay.port(), prompt);
  EXPECT_EQ(streamed.text, "One two");
  EXPECT_EQ(streamed.refusal, "Let us talk about something else.");
  EXPECT_EQ(streamed.finish_reason, "content_filter");
  EXPECT_TRUE(streamed.done);
  const Whole whole = Chat(relay.port(), prompt);
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.finish_reason(), "content_filter");
  EXPECT_EQ(whole.json.at("choices").at(0).at("message").at("refusal").as_string(),
            "Let us talk about something else.");
}

TEST(Retries, OneMoreTryBeforeAnyContent) {
  SimulatedPlatforms platforms;
  Relay relay(platforms);
  for (const char* fault : {"http_500", "pow"}) {
    platforms.Plan(absl::StrCat("fault=", fault), 1);
    EXPECT_EQ(Chat(relay.port(), "[[sim: text=Fine]]").text(), "Fine") << fault;
  }
  const int64_t before = platforms.Count("/chat/completion");
  platforms.Plan("fault=http_500", 5);
  EXPECT_EQ(Chat(relay.port(), "x").status, 502);
  EXPECT_EQ(platforms.Count("/chat/completion"), before + 2);
}

TEST(Retries, NoneOnceTheAnswerMayHaveBegun) {
  SimulatedPlatforms platforms;
  Relay relay(platforms);
  for (const char* fault : {"empty", "cut at=0", "cut at=1", "reset at=0"}) {
    const int64_t before = platforms.Count("/chat/completion");
    platforms.Plan(absl::StrCat("fault=", fault), 1);
    EXPECT_EQ(Chat(relay.port(), "x").status, 502) << fault;
    EXPECT_EQ(platforms.Count("/chat/completion"), before + 1) << fault;
  }
}

TEST(Accounts, AnotherOneTakesOver) {
  for (const char* fault : {"expired", "muted", "banned", "http_429", "hint_rate"}) {
    SimulatedPlatforms platforms;
    Relay relay(platforms, {{"DEEPSEEK_TOKEN_2", "sim-canary-token-2"}});
    platforms.Plan(absl::StrCat("fault=", fault), 100, "sim-canary-token-1");
    for (int i = 0; i < 4; ++i) EXPECT_EQ(Chat(relay.port(), "[[sim: text=Fine]]").text(), "Fine") << fault;
    EXPECT_EQ(platforms.Violations(), "");
  }
}

TEST(Accounts, ARefusedOneIsLeftAlone) {
  SimulatedPlatforms platforms;
  Relay relay(platforms);
  platforms.Plan("fault=muted mute_s=3600", 1);
  EXPECT_EQ(Chat(relay.port(), "x").error("code"), "account_muted");
  const int64_t before = platforms.Count("/chat/completion");
  const Whole again = Chat(relay.port(), "x");
  EXPECT_EQ(again.status, 403);
  EXPECT_EQ(again.error("code"), "account_muted");
  EXPECT_EQ(platforms.Count("/chat/completion"), before) << "the platform was asked in spite of the mute";
}

TEST(Accounts, NoneAtAll) {
  SimulatedPlatforms platforms;
  Variables none;
  for (const auto& [name, credential] : platforms.Credentials()) none[name] = "";
  Relay relay(platforms, none);
  EXPECT_EQ(Fetch(relay.port(), "GET", "/v1/models").body, R"({"object":"list","data":[]})");
  const Whole answer = Chat(relay.port(), "x");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.error("code"), "credential_missing");
}

TEST(Upstream, NotThere) {
  SimulatedPlatforms platforms;
  Relay relay(platforms, {{"SWITCHYARD_PROVIDERS__DEEPSEEK__BASE_URL", "http://127.0.0.1:9"}});
  const Whole answer = Chat(relay.port(), "x");
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.error("code"), "upstream_unavailable");
}

TEST(Upstream, SilentForTooLong) {
  SimulatedPlatforms platforms;
  Relay relay(platforms, {{"SWITCHYARD_HTTP__IDLE_LIMIT", "1s"}, {"SWITCHYARD_HTTP__FIRST_BYTE_LIMIT", "1s"}});
  const Streamed inside = Stream(relay.port(), "[[sim: text=One+two+three fault=stall at=2]]");
  EXPECT_EQ(inside.text, "One two");
  EXPECT_EQ(Member(inside.error, "code"), "deadline_exceeded");
  EXPECT_FALSE(inside.done);
  const Whole before = Chat(relay.port(), "[[sim: first_ms=5000]]");
  EXPECT_EQ(before.status, 504);
  EXPECT_EQ(before.error("type"), "timeout_error");
  EXPECT_TRUE(Eventually([&] { return platforms.OpenConversations() == 0; }));
}

}  // namespace
}  // namespace switchyard
