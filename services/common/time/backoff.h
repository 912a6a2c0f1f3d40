// The delay before the next try: capped exponential with full jitter. Pure.
#pragma once

#include "absl/time/time.h"
#include "services/common/time/random.h"

namespace switchyard {

struct BackoffPolicy {
  absl::Duration base = absl::Seconds(1);       // bound of the first delay
  absl::Duration cap = absl::Seconds(60);       // no delay is longer
  double factor = 2.0;                          // bound grows by this each attempt
  absl::Duration floor = absl::ZeroDuration();  // no delay is shorter
};

/// Uniform between `floor` and the attempt's bound. @param attempt 0 for the first retry.
absl::Duration BackoffDelay(const BackoffPolicy& policy, int attempt, Random& random);

}  // namespace switchyard
