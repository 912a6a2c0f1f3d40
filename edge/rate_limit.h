// How many requests a caller may make in a minute. Pure: takes the time instead of reading it.
//
//   RequestWindow window;
//   if (!window.Take(limit, now)) … window.Look(limit, now).retry_after …
//
// A sliding window and no bucket: in no minute are there more than `limit`, and what the headers say is exact.
#pragma once

#include <deque>
#include <string>

#include "absl/time/time.h"
#include "services/common/time/clock.h"

namespace switchyard {

/// Not thread-safe.
class RequestWindow {
 public:
  struct State {
    int limit = 0;
    int remaining = 0;
    absl::Duration reset;        // until all of the limit is there again
    absl::Duration retry_after;  // until there is one again; zero if there is
  };

  /// Counts a request, unless the limit is used up: what is refused does not count. @param limit 1 or more
  bool Take(int limit, Clock::Monotonic now);
  State Look(int limit, Clock::Monotonic now);

 private:
  void Forget(Clock::Monotonic now);

  std::deque<Clock::Monotonic> taken_;
};

/// As OpenAI writes it in x-ratelimit-reset-*: "20ms", "1s", "8.64s", "6m0s". Rounded up to milliseconds.
std::string ResetText(absl::Duration span);

}  // namespace switchyard
