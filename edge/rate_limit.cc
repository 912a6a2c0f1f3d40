#include "edge/rate_limit.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace switchyard {
namespace {

constexpr absl::Duration kWindow = absl::Minutes(1);
constexpr int64_t kMillisecondsASecond = 1000;
constexpr int64_t kSecondsAMinute = 60;
constexpr int64_t kMinutesAnHour = 60;

absl::Duration LeftOf(Clock::Monotonic taken, Clock::Monotonic now) {
  return std::max(absl::ZeroDuration(), kWindow - absl::FromChrono(now - taken));
}

}  // namespace

void RequestWindow::Forget(Clock::Monotonic now) {
  while (!taken_.empty() && LeftOf(taken_.front(), now) == absl::ZeroDuration()) taken_.pop_front();
}

bool RequestWindow::Take(int limit, Clock::Monotonic now) {
  Forget(now);
  if (taken_.size() >= static_cast<size_t>(limit)) return false;
  taken_.push_back(now);
  return true;
}

RequestWindow::State RequestWindow::Look(int limit, Clock::Monotonic now) {
  Forget(now);
  State state;
  state.limit = limit;
  // A limit that was lowered may be overdrawn.
  state.remaining = std::max(0, limit - static_cast<int>(taken_.size()));
  if (!taken_.empty()) state.reset = LeftOf(taken_.back(), now);
  if (state.remaining == 0) state.retry_after = LeftOf(taken_[taken_.size() - static_cast<size_t>(limit)], now);
  return state;
}

std::string ResetText(absl::Duration span) {
  const int64_t all = absl::ToInt64Milliseconds(absl::Ceil(span, absl::Milliseconds(1)));
  const int64_t seconds = all / kMillisecondsASecond;
  const int64_t rest = all % kMillisecondsASecond;
  if (seconds == 0) return rest == 0 ? std::string("0s") : absl::StrCat(rest, "ms");
  std::string text;
  const int64_t minutes = seconds / kSecondsAMinute;
  if (minutes >= kMinutesAnHour) absl::StrAppend(&text, minutes / kMinutesAnHour, "h");
  if (minutes > 0) absl::StrAppend(&text, minutes % kMinutesAnHour, "m");
  absl::StrAppend(&text, seconds % kSecondsAMinute);
  if (rest != 0) {
    std::string fraction = absl::StrCat(absl::Dec(rest, absl::kZeroPad3));
    fraction.erase(fraction.find_last_not_of('0') + 1);
    absl::StrAppend(&text, ".", fraction);
  }
  return text + "s";
}

}  // namespace switchyard
