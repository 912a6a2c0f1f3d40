// What an account's last outcomes mean for its use. Pure; times come in.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/common/time/random.h"
#include "switchyard/session/v1/session.pb.h"

namespace switchyard {

class AccountHealth {
 public:
  using State = session::v1::Account::State;
  using Report = session::v1::ReportOutcome;

  AccountHealth() = default;
  /// As remembered from an earlier process. A cool-down is not remembered: it is short.
  AccountHealth(State state, absl::Time until) : state_(state), until_(until) {}

  /// Takes an outcome. A success does not end a refusal that is under way, nor a limit shorten one: the turn may have
  /// begun before it. @param longest_cool_down the platform's, 1 s and up, whatever a limit asks for
  /// @return whether the state changed in a way worth remembering.
  bool Apply(const Report& report, absl::Time now, Random& random,
             absl::Duration longest_cool_down = absl::Minutes(10));

  /// The state at `now`: a mute or cool-down that is over is STATE_READY.
  State StateAt(absl::Time now) const;
  bool Usable(absl::Time now) const { return StateAt(now) == session::v1::Account::STATE_READY; }

  /// Takes what another process says of the account.
  void Adopt(State state, absl::Time until) {
    state_ = state;
    until_ = until;
  }

  State stored_state() const { return state_; }
  /// When the state ends by itself; InfinitePast() if it does not.
  absl::Time until() const { return until_; }
  void Reset() { *this = AccountHealth(); }

 private:
  State state_ = session::v1::Account::STATE_READY;
  absl::Time until_ = absl::InfinitePast();
  int limited_in_a_row_ = 0;
};

/// The error a caller gets for an account in `state`.
absl::Status StateError(AccountHealth::State state, absl::Time until, absl::Time now, absl::string_view label);

/// What its owner should do, in one sentence; empty for a ready one.
std::string AdviceFor(AccountHealth::State state);

}  // namespace switchyard
