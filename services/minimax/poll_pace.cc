#include "services/minimax/poll_pace.h"

#include "services/common/time/backoff.h"

namespace switchyard::minimax {
namespace {

constexpr absl::Duration kQuickPolls = absl::Seconds(20);
constexpr int kFailedPolls = 5;

}  // namespace

absl::Duration PollPace::Regular(absl::Duration elapsed) const {
  return elapsed < kQuickPolls ? settings_.poll : settings_.poll_later;
}

absl::Duration PollPace::AfterAnswer(absl::Duration elapsed) {
  failures_ = 0;
  return Regular(elapsed);
}

std::optional<absl::Duration> PollPace::AfterFailure(absl::Duration elapsed) {
  if (++failures_ >= kFailedPolls) return std::nullopt;
  const BackoffPolicy policy{.base = settings_.poll_backoff, .cap = 8 * settings_.poll_backoff};
  return Regular(elapsed) + BackoffDelay(policy, failures_ - 1, random_);
}

}  // namespace switchyard::minimax
