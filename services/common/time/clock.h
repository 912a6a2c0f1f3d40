// Where time comes from. Wall time is for display, for protocols and for token expiry; every timer, age and rate uses
// the monotonic reading, which no clock change touches.
#pragma once

#include <chrono>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace switchyard {

/// Thread-safe. Outlives whatever borrows it.
class Clock {
 public:
  using Monotonic = std::chrono::steady_clock::time_point;

  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
  virtual Monotonic MonotonicNow() const = 0;
};

class SystemClock final : public Clock {
 public:
  static const SystemClock& Get() {
    static const SystemClock clock;
    return clock;
  }
  absl::Time Now() const override { return absl::Now(); }
  Monotonic MonotonicNow() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace switchyard
