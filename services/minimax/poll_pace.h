// How long to wait before an answer is looked at again, and how often that may fail. Pure but for its randomness.
// Source: protocol notes of MiniMax, sections 4.1 and 7.
#pragma once

#include <optional>

#include "absl/time/time.h"
#include "services/common/time/random.h"
#include "services/minimax/platform.h"

namespace switchyard::minimax {

class PollPace {
 public:
  /// Both outlive it.
  PollPace(const Settings& settings, Random& random) : settings_(settings), random_(random) {}

  /// After a poll that was answered. @param elapsed since the first
  absl::Duration AfterAnswer(absl::Duration elapsed);
  /// After a poll that failed; nullopt if that was one too many in a row.
  std::optional<absl::Duration> AfterFailure(absl::Duration elapsed);

 private:
  absl::Duration Regular(absl::Duration elapsed) const;

  const Settings& settings_;
  Random& random_;
  int failures_ = 0;
};

}  // namespace switchyard::minimax
