// A clock that moves when a test says so.
#pragma once

#include <atomic>
#include <chrono>

#include "services/common/time/clock.h"

namespace switchyard {

/// Thread-safe.
class FakeClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixSeconds(1793000000) + passed(); }
  Monotonic MonotonicNow() const override {
    return Monotonic(std::chrono::hours(1)) + absl::ToChronoNanoseconds(passed());
  }
  void Advance(absl::Duration by) { passed_ns_ += absl::ToInt64Nanoseconds(by); }

 private:
  absl::Duration passed() const { return absl::Nanoseconds(passed_ns_.load()); }

  std::atomic<int64_t> passed_ns_{0};
};

}  // namespace switchyard
