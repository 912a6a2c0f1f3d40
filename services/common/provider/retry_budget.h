// Bounds retries to a share of the requests, so that a failing platform sees little more than the offered load.
// Source: fault list, invariant I2: at most 10 % of the requests.
#pragma once

#include <algorithm>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace switchyard {

/// Thread-safe. A token bucket: a request puts in a share of a token, by default a tenth; a retry takes a whole one.
class RetryBudget {
 public:
  explicit RetryBudget(double share = 0.1) : share_(share) {}

  void OnRequest() {
    absl::MutexLock lock(&mutex_);
    tokens_ = std::min(tokens_ + share_, kCapacity);
  }
  bool TakeRetry() {
    absl::MutexLock lock(&mutex_);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  // Also the allowance at start: a person's own relay sees a handful of requests an hour and should still retry one.
  static constexpr double kCapacity = 10;
  const double share_;
  absl::Mutex mutex_;
  double tokens_ ABSL_GUARDED_BY(mutex_) = kCapacity;
};

}  // namespace switchyard
