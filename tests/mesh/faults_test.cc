// What the platform can do wrong, and what the caller is told: the same streamed and whole.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

struct Fault {
  const char* script;
  int status;
  const char* type;
  const char* code;
  const char* retry_after = nullptr;   // header, if one is due
  const char* should_retry = nullptr;  // header, if one is due
  const char* text = "";               // what comes out of a stream before the error; the error is then inside it
};

std::ostream& operator<<(std::ostream& out, const Fault& fault) { return out << fault.script; }

class FaultsTest : public ::testing::TestWithParam<Fault> {
 protected:
  // An account is spoilt by most of these, so every case has a relay of its own.
  SimulatedPlatforms platforms_;
};

std::string Member(const boost::json::value& error, const char* name) {
  return error.is_object() && error.at(name).is_string() ? std::string(error.at(name).as_string().c_str())
                                                         : std::string();
}

TEST_P(FaultsTest, Streamed) {
  const Fault& fault = GetParam();
  Relay relay(platforms_);
  platforms_.Plan(absl::StrCat("text=One+two+three ", fault.script), 2);
  const Streamed answer = Stream(relay.port(), "x");
  const bool inside = *fault.text != '\0';
  EXPECT_EQ(answer.status, inside ? 200 : fault.status);
  EXPECT_EQ(answer.text, fault.text);
  EXPECT_EQ(Member(answer.error, "type"), fault.type);
  EXPECT_EQ(Member(answer.error, "code"), fault.code);
  EXPECT_NE(Member(answer.error, "message"), "");
  EXPECT_FALSE(answer.done) << "an answer that failed looks whole";
  EXPECT_EQ(answer.finish_reason, "");
  EXPECT_TRUE(answer.headers.count("x-request-id"));
  EXPECT_TRUE(Eventually([&] { return platforms_.OpenConversations() == 0; }));
}

TEST_P(FaultsTest, Whole) {
  const Fault& fault = GetParam();
  Relay relay(platforms_);
  platforms_.Plan(absl::StrCat("text=One+two+three ", fault.script), 2);
  const switchyard::Whole answer = Chat(relay.port(), "x");
  EXPECT_EQ(answer.status, fault.status);
  EXPECT_EQ(answer.error("type"), fault.type);
  EXPECT_EQ(answer.error("code"), fault.code);
  EXPECT_TRUE(absl::StrContains(answer.error("message"), "deepseek")) << answer.error("message");
  const auto header = [&](const char* name) {
    return answer.headers.count(name) ? answer.headers.at(name) : std::string("none");
  };
  EXPECT_EQ(header("retry-after"), fault.retry_after == nullptr ? "none" : fault.retry_after);
  EXPECT_EQ(header("x-should-retry"), fault.should_retry == nullptr ? "none" : fault.should_retry);
  EXPECT_TRUE(Eventually([&] { return platforms_.OpenConversations() == 0; }));
}

constexpr char kAccount[] = "upstream_account_error";
constexpr char kUpstream[] = "upstream_error";

INSTANTIATE_TEST_SUITE_P(
    DeepSeek, FaultsTest,
    ::testing::Values(
        Fault{"fault=expired", 403, kAccount, "credential_expired"},
        Fault{"fault=muted", 403, kAccount, "account_muted"}, Fault{"fault=banned", 403, kAccount, "account_banned"},
        Fault{"fault=device", 403, kAccount, "client_refused"}, Fault{"fault=waf_202", 403, kAccount, "client_refused"},
        Fault{"fault=waf_403", 403, kAccount, "client_refused"}, Fault{"fault=html", 403, kAccount, "client_refused"},
        Fault{"fault=http_429", 429, "rate_limit_error", "rate_limited", "7"},
        Fault{"fault=rate_code", 429, "rate_limit_error", "rate_limited", "30"},
        Fault{"fault=hint_rate", 429, "rate_limit_error", "rate_limited", "30"},
        Fault{"fault=hint_length", 400, "invalid_request_error", "context_length_exceeded"},
        Fault{"fault=hint_other", 502, kUpstream, "upstream_unavailable"},
        Fault{"fault=http_500", 502, kUpstream, "upstream_unavailable"},
        Fault{"fault=pow", 502, kUpstream, "signature_refused", nullptr, "false"},
        Fault{"fault=not_json", 502, kUpstream, "upstream_changed", nullptr, "false"},
        Fault{"fault=empty", 502, kUpstream, "upstream_empty"},
        Fault{"fault=filter_early", 400, "invalid_request_error", "content_policy_violation"},
        Fault{"fault=cut at=0", 502, kUpstream, "upstream_broken"},
        Fault{"fault=cut at=2 chunk_ms=20", 502, kUpstream, "upstream_broken", nullptr, nullptr, "One two"},
        Fault{"fault=reset at=2 chunk_ms=20", 502, kUpstream, "upstream_broken", nullptr, nullptr, "One two"},
        Fault{"fault=garbage at=2 chunk_ms=20", 502, kUpstream, "upstream_broken", nullptr, nullptr, "One two"},
        Fault{"fault=closed_unfinished at=2", 502, kUpstream, "upstream_broken", nullptr, nullptr, "One two"},
        Fault{"fault=oversized at=2 chunk_ms=20", 502, kUpstream, "upstream_changed", nullptr, "false", "One two"}));

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
