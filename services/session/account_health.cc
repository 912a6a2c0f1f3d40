#include "services/session/account_health.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"
#include "services/common/time/backoff.h"

namespace switchyard {
namespace {

using session::v1::Account;
using session::v1::ReportOutcome;

constexpr absl::Duration kShortest = absl::Seconds(1);
// An address or a captcha is looked at again after this.
constexpr absl::Duration kRefusal = absl::Minutes(10);
// A mute or spent quota whose end the platform did not tell is looked at again after this.
constexpr absl::Duration kUnknownEnd = absl::Hours(1);
// A slip of units on the platform's side must not retire an account for centuries.
constexpr absl::Duration kLongestTold = absl::Hours(24 * 400);

struct Row {
  Account::State state;
  Reason reason;
  absl::string_view what;
  absl::string_view advice;
};
constexpr std::array kRows = {
    Row{Account::STATE_COOLING_DOWN, Reason::REASON_RATE_LIMITED, "is being limited by the platform",
        "Wait; it is used again by itself."},
    Row{Account::STATE_EXPIRED, Reason::REASON_CREDENTIAL_EXPIRED, "has an expired token",
        "Log in on the platform's site and put the new token into .env."},
    Row{Account::STATE_MUTED, Reason::REASON_ACCOUNT_MUTED, "is muted by the platform",
        "Wait until the mute ends, and send less."},
    Row{Account::STATE_BANNED, Reason::REASON_ACCOUNT_BANNED, "is banned by the platform",
        "Ask the platform's support, or use another account of yours."},
    Row{Account::STATE_CAPTCHA_PENDING, Reason::REASON_CAPTCHA_PENDING,
        "is asked by the platform to prove that a human uses it",
        "Open the platform's site in a browser and answer what it asks."},
    Row{Account::STATE_QUOTA_SPENT, Reason::REASON_QUOTA_SPENT, "has spent its quota",
        "Wait for the platform's next period, or use another account of yours."},
    Row{Account::STATE_NEEDS_LOGIN, Reason::REASON_CREDENTIAL_EXPIRED, "needs a new login",
        "Log in on the platform's site and put the new token into .env."},
    Row{Account::STATE_CLIENT_REFUSED, Reason::REASON_CLIENT_REFUSED,
        "cannot be used from here: the platform refuses this address or client",
        "Use the platform's site from this machine to see what it says; check for a newer Switchyard."},
    Row{Account::STATE_WRONG_FORM, Reason::REASON_CREDENTIAL_EXPIRED, "has a value that cannot be a token",
        "Copy the token again as the README says."},
};

const Row* RowOf(Account::State state) {
  const auto* found = std::find_if(kRows.begin(), kRows.end(), [&](const Row& row) { return row.state == state; });
  return found == kRows.end() ? nullptr : found;
}

// 1, 2, 4, 8, 16 s and on, with jitter. Source: protocol notes of DeepSeek, section 7; bounds: fault list, Q1.
BackoffPolicy CoolDown(absl::Duration longest) {
  return {.base = absl::Seconds(2), .cap = longest, .floor = kShortest};
}

absl::Time UntilOf(const ReportOutcome& report, absl::Time now) {
  const absl::Time told = report.has_until() ? absl::FromUnixSeconds(report.until().seconds()) : absl::InfinitePast();
  return told > now ? std::min(told, now + kLongestTold) : now + kUnknownEnd;
}

}  // namespace

bool AccountHealth::Apply(const Report& report, absl::Time now, Random& random, absl::Duration longest_cool_down) {
  const State before = state_;
  const bool usable = Usable(now);
  const bool final = !usable && until_ == absl::InfinitePast();
  if (final && report.outcome() != ReportOutcome::OUTCOME_BANNED) return false;
  switch (report.outcome()) {
    case ReportOutcome::OUTCOME_OK:
      if (!usable) return false;
      *this = AccountHealth();
      return before != state_ && before != Account::STATE_COOLING_DOWN;
    case ReportOutcome::OUTCOME_RATE_LIMITED: {
      if (!usable && state_ != Account::STATE_COOLING_DOWN) return false;
      // Turns that were limited together count as one, and the second does not shorten the wait.
      const int attempt = usable ? limited_in_a_row_++ : std::max(limited_in_a_row_ - 1, 0);
      absl::Duration wait = BackoffDelay(CoolDown(longest_cool_down), attempt, random);
      if (report.has_retry_after())
        wait = absl::Seconds(report.retry_after().seconds()) + absl::Nanoseconds(report.retry_after().nanos());
      const absl::Time until = now + std::clamp(wait, kShortest, longest_cool_down);
      until_ = usable ? until : std::max(until_, until);
      state_ = Account::STATE_COOLING_DOWN;
      return false;
    }
    case ReportOutcome::OUTCOME_MUTED:
      state_ = Account::STATE_MUTED;
      until_ = UntilOf(report, now);
      return true;
    case ReportOutcome::OUTCOME_QUOTA_SPENT:
      state_ = Account::STATE_QUOTA_SPENT;
      until_ = UntilOf(report, now);
      return true;
    case ReportOutcome::OUTCOME_CLIENT_REFUSED:
      // Not the account's fault, and often a matter of minutes: tried again later, never in a loop.
      state_ = Account::STATE_CLIENT_REFUSED;
      until_ = now + kRefusal;
      return false;
    case ReportOutcome::OUTCOME_EXPIRED:
      state_ = Account::STATE_EXPIRED;
      until_ = absl::InfinitePast();
      return before != state_;
    case ReportOutcome::OUTCOME_BANNED:
      state_ = Account::STATE_BANNED;
      until_ = absl::InfinitePast();
      return before != state_;
    case ReportOutcome::OUTCOME_CAPTCHA:
      state_ = Account::STATE_CAPTCHA_PENDING;
      until_ = now + kRefusal;
      return false;
    default:
      return false;
  }
}

AccountHealth::State AccountHealth::StateAt(absl::Time now) const {
  return until_ != absl::InfinitePast() && now >= until_ ? Account::STATE_READY : state_;
}

absl::Status StateError(AccountHealth::State state, absl::Time until, absl::Time now, absl::string_view label) {
  const Row* row = RowOf(state);
  if (row == nullptr) return MakeError(Reason::REASON_INTERNAL, "the account has no error");
  ErrorExtras extras;
  std::string when;
  if (until != absl::InfinitePast()) {
    // Rounded up: who comes back after it finds the account ready.
    if (row->reason == Reason::REASON_RATE_LIMITED)
      extras.retry_after = absl::Ceil(std::max(until - now, kShortest), absl::Seconds(1));
    if (row->reason == Reason::REASON_ACCOUNT_MUTED || row->reason == Reason::REASON_QUOTA_SPENT) {
      extras.until = until;
      when = absl::StrCat(" until ", absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", until, absl::UTCTimeZone()));
    }
  }
  return MakeError(row->reason, absl::StrCat("The account ", label, " ", row->what, when, ". ", row->advice),
                   std::move(extras));
}

std::string AdviceFor(AccountHealth::State state) {
  const Row* row = RowOf(state);
  return row == nullptr ? std::string() : std::string(row->advice);
}

}  // namespace switchyard
