#include "services/common/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, ARequestIsCountedByWhatBoundedLabelsSay) {
  Metrics metrics;
  metrics.RequestDone({.api = "chat/completions",
                       .platform = "kimi",
                       .model = "kimi-k2",
                       .http_status = 429,
                       .status = MakeError(Reason::REASON_ACCOUNT_BUSY, "busy"),
                       .duration = absl::Milliseconds(300)});
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("switchyard_requests_total{api=\"chat/completions\",code=\"429\",model=\"kimi-k2\","
                              "platform=\"kimi\",reason=\"account_busy\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("switchyard_request_duration_seconds_bucket{api=\"chat/completions\",le=\"0.25\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("switchyard_request_duration_seconds_bucket{api=\"chat/completions\",le=\"0.5\"} 1\n"));
}

TEST(Metrics, WhatIsRareIsShownAsZeroBeforeItHappens) {
  Metrics metrics;
  metrics.ShowEdge({"messages"});
  metrics.ShowSession({"kimi"});
  const std::string before = metrics.Text();
  EXPECT_THAT(before, HasSubstr("switchyard_internal_errors_total{api=\"messages\"} 0\n"));
  EXPECT_THAT(before, HasSubstr("switchyard_token_refresh_failures_total{platform=\"kimi\"} 0\n"));
  EXPECT_THAT(before, HasSubstr("switchyard_store_contact 0\n"));
  metrics.RequestDone({.api = "messages", .http_status = 500, .status = MakeError(Reason::REASON_INTERNAL, "bug")});
  metrics.RequestDone({.api = "messages", .http_status = 400, .status = MakeError(Reason::REASON_INVALID_REQUEST, "")});
  metrics.RequestDone({.api = "messages", .http_status = 200});
  metrics.RefreshDone("kimi", absl::OkStatus());
  metrics.RefreshDone("kimi", MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "expired"));
  const std::string after = metrics.Text();
  EXPECT_THAT(after, HasSubstr("switchyard_internal_errors_total{api=\"messages\"} 1\n"));
  EXPECT_THAT(after, HasSubstr("switchyard_token_refresh_failures_total{platform=\"kimi\"} 1\n"));
}

TEST(Metrics, WhatACallerWroteIsInNoLabel) {
  Metrics metrics;
  for (int i = 0; i < 100; ++i) {
    const std::string word = absl::StrCat("canary-", i);
    metrics.RequestDone({.api = "chat/completions", .platform = word, .model = word, .http_status = 404});
    metrics.TurnDone({.platform = word, .model = word});
    metrics.TimeToFirstToken(word, word);
    metrics.SignJobDone(word, absl::OkStatus());
    metrics.UpstreamConnects(word);
  }
  const std::string text = metrics.Text();
  EXPECT_THAT(text, Not(HasSubstr("canary")));
  EXPECT_THAT(text, HasSubstr("model=\"other\",platform=\"other\""));
  EXPECT_THAT(text,
              HasSubstr("switchyard_turns_total{code=\"OK\",model=\"other\",platform=\"other\",reason=\"ok\"} 100"));
}

TEST(Metrics, ACallerWhoLeftIsNoFaultOfTheRelay) {
  Metrics metrics;
  metrics.RequestDone({.api = "messages", .status = absl::CancelledError("left")});
  EXPECT_THAT(metrics.Text(), HasSubstr("code=\"499\",model=\"other\",platform=\"other\",reason=\"cancelled\"} 1"));
  EXPECT_EQ(ReasonLabel(absl::OkStatus()), "ok");
  EXPECT_EQ(ReasonLabel(MakeError(Reason::REASON_DEADLINE, "")), "deadline");
}

TEST(Metrics, OneInsteadOfEveryStatusOfAPlatform) {
  Metrics metrics;
  metrics.UpstreamRequestDone("qwen", 418, absl::Milliseconds(1));
  metrics.UpstreamRequestDone("qwen", 0, absl::Milliseconds(1));
  metrics.UpstreamRequestDone("qwen", 999, absl::Milliseconds(1));
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("switchyard_upstream_requests_total{code=\"4xx\",platform=\"qwen\"} 1"));
  EXPECT_THAT(text, HasSubstr("switchyard_upstream_requests_total{code=\"none\",platform=\"qwen\"} 2"));
}

TEST(Metrics, AccountsAreReadWhenSomebodyAsks) {
  Metrics metrics;
  int in_flight = 0;
  auto watch = metrics.WatchAccounts([&in_flight] {
    return std::vector<Metrics::AccountSample>{{"kimi", "kimi", "ready", in_flight, 3, 4},
                                               {"kimi", "kimi-2", "muted", 0, 3, 1}};
  });
  in_flight = 2;
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("switchyard_account_in_flight{account=\"kimi\",platform=\"kimi\"} 2"));
  EXPECT_THAT(text, HasSubstr("switchyard_account_state{account=\"kimi-2\",platform=\"kimi\",state=\"muted\"} 1"));
  EXPECT_THAT(text, HasSubstr("switchyard_account_state{account=\"kimi-2\",platform=\"kimi\",state=\"ready\"} 0"));
  EXPECT_THAT(text, HasSubstr("switchyard_lease_queue_length{platform=\"kimi\"} 3"));
  EXPECT_THAT(text, HasSubstr("switchyard_ledger_conversations{platform=\"kimi\"} 5"));
  watch = Metrics::Watch();
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("switchyard_account_state")));
}

TEST(Metrics, AGaugeIsHeldForALifeAndGoesWithAMove) {
  Metrics metrics;
  {
    Held first(metrics.TurnsInFlight("zhipu"));
    Held second = std::move(first);
    EXPECT_EQ(metrics.TurnsInFlight("zhipu").Value(), 1);
    second = Held();
    EXPECT_EQ(metrics.TurnsInFlight("zhipu").Value(), 0);
  }
  EXPECT_EQ(metrics.TurnsInFlight("zhipu").Value(), 0);
}

TEST(Metrics, TheProcessItself) {
  Metrics metrics;
  metrics.SetBuildInfo("switchyard-test", "1.2.3");
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("switchyard_build_info{program=\"switchyard-test\",version=\"1.2.3\"} 1"));
  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes",
                           "process_open_fds", "process_max_fds", "process_start_time_seconds", "process_threads"})
    EXPECT_THAT(text, HasSubstr(absl::StrCat("\n", name, " "))) << name;
  const size_t at = text.find("\nprocess_start_time_seconds ");
  const double started = std::stod(text.substr(at + 28));
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(started, now, 120);
}

}  // namespace
}  // namespace switchyard
