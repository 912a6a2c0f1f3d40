#include "services/session/account_health.h"

#include <gtest/gtest.h>

#include "services/common/status/reason.h"

namespace switchyard {
namespace {

using session::v1::Account;
using session::v1::ReportOutcome;

const absl::Time kNow = absl::FromUnixSeconds(1'793'000'000);

// Always the same fraction of the range.
class FixedRandom final : public Random {
 public:
  explicit FixedRandom(double unit) : bits_(static_cast<uint64_t>(unit * 0x1.0p53) << 11) {}
  uint64_t Next() override { return bits_; }

 private:
  uint64_t bits_;
};

ReportOutcome Outcome(ReportOutcome::Outcome outcome) {
  ReportOutcome report;
  report.set_outcome(outcome);
  return report;
}
ReportOutcome Limited(int64_t retry_after_seconds) {
  ReportOutcome report = Outcome(ReportOutcome::OUTCOME_RATE_LIMITED);
  report.mutable_retry_after()->set_seconds(retry_after_seconds);
  return report;
}
ReportOutcome Until(ReportOutcome::Outcome outcome, absl::Time until) {
  ReportOutcome report = Outcome(outcome);
  report.mutable_until()->set_seconds(absl::ToUnixSeconds(until));
  return report;
}

class AccountHealthTest : public ::testing::Test {
 protected:
  FixedRandom random_{0.999999};
  AccountHealth health_;
};

TEST_F(AccountHealthTest, RetryAfterIsHonouredWithinASecondAndTenMinutes) {
  const std::vector<std::pair<int64_t, absl::Duration>> cases = {
      {30, absl::Seconds(30)}, {0, absl::Seconds(1)}, {-5, absl::Seconds(1)}, {86'400, absl::Minutes(10)}};
  for (const auto& [asked, expected] : cases) {
    AccountHealth health;
    health.Apply(Limited(asked), kNow, random_);
    EXPECT_EQ(health.StateAt(kNow), Account::STATE_COOLING_DOWN) << asked;
    EXPECT_EQ(health.until(), kNow + expected) << asked;
    EXPECT_FALSE(health.Usable(kNow + expected - absl::Milliseconds(1))) << asked;
    EXPECT_TRUE(health.Usable(kNow + expected)) << asked;
  }
}

TEST_F(AccountHealthTest, APlatformMayHaveALongerCoolDown) {
  const std::vector<std::pair<int64_t, absl::Duration>> cases = {
      {1800, absl::Minutes(30)}, {0, absl::Seconds(1)}, {86'400, absl::Hours(1)}};
  for (const auto& [asked, expected] : cases) {
    AccountHealth health;
    health.Apply(Limited(asked), kNow, random_, absl::Hours(1));
    EXPECT_EQ(health.until(), kNow + expected) << asked;
  }
  absl::Time now = kNow;
  for (int i = 0; i < 14; ++i) {
    now = std::max(now, health_.until());
    health_.Apply(Outcome(ReportOutcome::OUTCOME_RATE_LIMITED), now, random_, absl::Hours(1));
  }
  EXPECT_GT(health_.until() - now, absl::Minutes(50));
  EXPECT_LE(health_.until() - now, absl::Hours(1));
}

TEST_F(AccountHealthTest, BackOffGrowsWithEveryLimitUpToTenMinutesAndIsResetBySuccess) {
  absl::Time now = kNow;
  absl::Duration last = absl::ZeroDuration();
  for (int i = 0; i < 12; ++i) {
    health_.Apply(Outcome(ReportOutcome::OUTCOME_RATE_LIMITED), now, random_);
    const absl::Duration wait = health_.until() - now;
    EXPECT_GE(wait, absl::Seconds(1));
    EXPECT_LE(wait, absl::Minutes(10));
    if (last < absl::Minutes(9)) {
      EXPECT_GT(wait, last) << i;
    }
    last = wait;
    now = health_.until();
  }
  EXPECT_GT(last, absl::Minutes(9));
  health_.Apply(Outcome(ReportOutcome::OUTCOME_OK), now, random_);
  health_.Apply(Outcome(ReportOutcome::OUTCOME_RATE_LIMITED), now, random_);
  EXPECT_LE(health_.until() - now, absl::Seconds(2));
}

TEST_F(AccountHealthTest, TheBackOffIsJittered) {
  FixedRandom low(0.0);
  AccountHealth other;
  absl::Time now = kNow;
  for (int i = 0; i < 5; ++i) {
    health_.Apply(Outcome(ReportOutcome::OUTCOME_RATE_LIMITED), now, random_);
    other.Apply(Outcome(ReportOutcome::OUTCOME_RATE_LIMITED), now, low);
    now += absl::Minutes(10);
  }
  EXPECT_GT(health_.until(), other.until() + absl::Seconds(10));
}

TEST_F(AccountHealthTest, TurnsThatWereLimitedTogetherCountOnceAndDoNotShortenTheWait) {
  health_.Apply(Limited(60), kNow, random_);
  health_.Apply(Limited(5), kNow + absl::Seconds(1), random_);
  EXPECT_EQ(health_.until(), kNow + absl::Seconds(60));
  for (int i = 0; i < 10; ++i) health_.Apply(Outcome(ReportOutcome::OUTCOME_RATE_LIMITED), kNow, random_);
  EXPECT_EQ(health_.until(), kNow + absl::Seconds(60));
}

TEST_F(AccountHealthTest, AMuteLastsUntilItsEndAndIsRemembered) {
  const absl::Time end = kNow + absl::Hours(20);
  EXPECT_TRUE(health_.Apply(Until(ReportOutcome::OUTCOME_MUTED, end), kNow, random_));
  EXPECT_EQ(health_.StateAt(end - absl::Seconds(1)), Account::STATE_MUTED);
  EXPECT_EQ(health_.StateAt(end), Account::STATE_READY);
  const AccountHealth remembered(health_.stored_state(), health_.until());
  EXPECT_EQ(remembered.StateAt(end - absl::Seconds(1)), Account::STATE_MUTED);
}

TEST_F(AccountHealthTest, AMuteWithoutAUsefulEndIsLookedAtAgainLater) {
  for (const absl::Time told : {absl::UnixEpoch(), kNow - absl::Hours(1)}) {
    AccountHealth health;
    health.Apply(Until(ReportOutcome::OUTCOME_MUTED, told), kNow, random_);
    EXPECT_FALSE(health.Usable(kNow + absl::Minutes(59)));
    EXPECT_TRUE(health.Usable(kNow + absl::Hours(2)));
  }
  AccountHealth centuries;
  centuries.Apply(Until(ReportOutcome::OUTCOME_MUTED, kNow + absl::Hours(24 * 365 * 500)), kNow, random_);
  EXPECT_LT(centuries.until(), kNow + absl::Hours(24 * 500));
}

TEST_F(AccountHealthTest, ALateSuccessOrLimitDoesNotEndAMute) {
  const absl::Time end = kNow + absl::Hours(20);
  health_.Apply(Until(ReportOutcome::OUTCOME_MUTED, end), kNow, random_);
  health_.Apply(Outcome(ReportOutcome::OUTCOME_OK), kNow, random_);
  health_.Apply(Limited(1), kNow, random_);
  EXPECT_EQ(health_.StateAt(kNow + absl::Seconds(10)), Account::STATE_MUTED);
  EXPECT_EQ(health_.until(), end);
}

TEST_F(AccountHealthTest, ExpiredAndBannedAreFinal) {
  for (const auto outcome : {ReportOutcome::OUTCOME_EXPIRED, ReportOutcome::OUTCOME_BANNED}) {
    AccountHealth health;
    EXPECT_TRUE(health.Apply(Outcome(outcome), kNow, random_));
    for (const auto later :
         {ReportOutcome::OUTCOME_OK, ReportOutcome::OUTCOME_RATE_LIMITED, ReportOutcome::OUTCOME_MUTED}) {
      EXPECT_FALSE(health.Apply(Outcome(later), kNow, random_));
    }
    EXPECT_FALSE(health.Usable(kNow + absl::Hours(24 * 365)));
    health.Reset();
    EXPECT_TRUE(health.Usable(kNow));
  }
}

TEST_F(AccountHealthTest, UpstreamTroubleSaysNothing) {
  EXPECT_FALSE(health_.Apply(Outcome(ReportOutcome::OUTCOME_FAILED), kNow, random_));
  EXPECT_FALSE(health_.Apply(Outcome(ReportOutcome::OUTCOME_UNSPECIFIED), kNow, random_));
  EXPECT_TRUE(health_.Usable(kNow));
}

TEST(StateError, EveryStateHasItsReasonAndAnAdvice) {
  const std::vector<std::pair<Account::State, Reason>> cases = {
      {Account::STATE_COOLING_DOWN, Reason::REASON_RATE_LIMITED},
      {Account::STATE_EXPIRED, Reason::REASON_CREDENTIAL_EXPIRED},
      {Account::STATE_MUTED, Reason::REASON_ACCOUNT_MUTED},
      {Account::STATE_BANNED, Reason::REASON_ACCOUNT_BANNED},
      {Account::STATE_CAPTCHA_PENDING, Reason::REASON_CAPTCHA_PENDING},
      {Account::STATE_QUOTA_SPENT, Reason::REASON_QUOTA_SPENT},
      {Account::STATE_NEEDS_LOGIN, Reason::REASON_CREDENTIAL_EXPIRED},
      {Account::STATE_CLIENT_REFUSED, Reason::REASON_CLIENT_REFUSED},
      {Account::STATE_WRONG_FORM, Reason::REASON_CREDENTIAL_EXPIRED}};
  for (const auto& [state, reason] : cases) {
    const absl::Status error = StateError(state, kNow + absl::Seconds(90), kNow, "deepseek-2");
    EXPECT_EQ(ReasonOf(error), reason);
    EXPECT_NE(error.message().find("deepseek-2"), absl::string_view::npos);
    EXPECT_FALSE(AdviceFor(state).empty());
  }
  EXPECT_EQ(AdviceFor(Account::STATE_READY), "");
}

TEST(StateError, SaysWhenToComeBack) {
  const ErrorDetail limited =
      DetailOf(StateError(Account::STATE_COOLING_DOWN, kNow + absl::Milliseconds(4'200), kNow, "a"));
  EXPECT_EQ(limited.retry_after().seconds(), 5);
  EXPECT_FALSE(limited.has_until());
  const ErrorDetail muted = DetailOf(StateError(Account::STATE_MUTED, kNow + absl::Hours(1), kNow, "a"));
  EXPECT_EQ(muted.until().seconds(), absl::ToUnixSeconds(kNow + absl::Hours(1)));
}

}  // namespace
}  // namespace switchyard
