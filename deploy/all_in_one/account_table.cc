#include "deploy/all_in_one/account_table.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "switchyard/common/v1/error.pb.h"

namespace switchyard {

using common::v1::Reason;
using session::v1::Account;
using session::v1::CheckAccountResponse;

namespace {

struct StateRow {
  Account::State state;
  absl::string_view words;
};
constexpr std::array kStates = {
    StateRow{Account::STATE_READY, "ok"},
    StateRow{Account::STATE_COOLING_DOWN, "cooling down"},
    StateRow{Account::STATE_EXPIRED, "expired"},
    StateRow{Account::STATE_MUTED, "muted"},
    StateRow{Account::STATE_BANNED, "banned"},
    StateRow{Account::STATE_CAPTCHA_PENDING, "wants a human"},
    StateRow{Account::STATE_QUOTA_SPENT, "quota spent"},
    StateRow{Account::STATE_NEEDS_LOGIN, "needs a new login"},
    StateRow{Account::STATE_CLIENT_REFUSED, "refused"},
    StateRow{Account::STATE_WRONG_FORM, "wrong form"},
};

// What a check that came to no answer says, and what its owner can do.
struct FailureRow {
  Reason reason;
  absl::string_view words;
  absl::string_view advice;
};
constexpr std::array kFailures = {
    FailureRow{Reason::REASON_UPSTREAM_CHANGED, "platform changed",
               "The platform's answer was not understood: look for a newer Switchyard."},
    FailureRow{Reason::REASON_SIGNATURE_REFUSED, "platform changed",
               "The platform refused the request's signature: check this machine's clock, then look for a newer "
               "Switchyard."},
    FailureRow{Reason::REASON_UPSTREAM_UNAVAILABLE, "not reached",
               "The platform could not be reached: check the network and the proxy settings, then try again."},
    FailureRow{Reason::REASON_DEADLINE, "not reached", "The platform did not answer in time: try again."},
};
constexpr absl::string_view kUnknownFailure = "not checked";

const FailureRow* FailureOf(const CheckAccountResponse& checked) {
  const auto* found = std::find_if(kFailures.begin(), kFailures.end(),
                                   [&](const FailureRow& row) { return row.reason == checked.detail().reason(); });
  return found == kFailures.end() ? nullptr : found;
}

// A state that came of itself stands, whatever became of the check; a ready account is only as good as its check.
bool StateCounts(const CheckAccountResponse& checked) {
  return checked.checked() || checked.account().state() != Account::STATE_READY;
}

std::string Advice(const CheckAccountResponse& checked) {
  if (StateCounts(checked)) return checked.account().advice();
  if (const FailureRow* failure = FailureOf(checked)) return std::string(failure->advice);
  return checked.message();
}

}  // namespace

std::string StateWords(const CheckAccountResponse& checked) {
  const Account& account = checked.account();
  if (!StateCounts(checked)) {
    const FailureRow* failure = FailureOf(checked);
    return std::string(failure == nullptr ? kUnknownFailure : failure->words);
  }
  std::string words = "unknown";
  for (const StateRow& row : kStates) {
    if (row.state == account.state()) words = std::string(row.words);
  }
  if (account.state() != Account::STATE_READY && account.has_until()) {
    const absl::Time until = absl::FromUnixSeconds(account.until().seconds());
    absl::StrAppend(&words, " until ", absl::FormatTime("%Y-%m-%d %H:%M UTC", until, absl::UTCTimeZone()));
  }
  return words;
}

std::string AccountTable(const std::vector<CheckAccountResponse>& checked) {
  using Row = std::array<std::string, 4>;
  std::vector<Row> rows = {{"PLATFORM", "ACCOUNT", "STATE", "WHAT TO DO"}};
  for (const CheckAccountResponse& one : checked)
    rows.push_back({one.account().platform(), one.account().label(), StateWords(one), Advice(one)});
  std::array<size_t, 3> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string table;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i)
      absl::StrAppend(&line, row[i], std::string(widths[i] - row[i].size() + 2, ' '));
    line += row.back();
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&table, line, "\n");
  }
  return table;
}

bool AllWell(const std::vector<CheckAccountResponse>& checked) {
  return std::all_of(checked.begin(), checked.end(), [](const CheckAccountResponse& one) {
    return one.checked() && one.account().state() == Account::STATE_READY;
  });
}

}  // namespace switchyard
