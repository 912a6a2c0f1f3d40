#include "services/common/time/backoff.h"

#include <algorithm>
#include <cmath>

namespace switchyard {

absl::Duration BackoffDelay(const BackoffPolicy& policy, int attempt, Random& random) {
  // 2^60 already exceeds every cap; a larger exponent would only overflow the multiplication.
  const absl::Duration bound = std::min(policy.cap, policy.base * std::pow(policy.factor, std::min(attempt, 60)));
  if (bound <= policy.floor) return policy.floor;
  return policy.floor + (bound - policy.floor) * random.NextUnit();
}

}  // namespace switchyard
