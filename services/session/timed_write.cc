#include "services/session/timed_write.h"

#include <chrono>
#include <utility>

#include "absl/time/time.h"
#include "services/common/metrics/metrics.h"

namespace switchyard {

Store::Done Timed(Store::Done done) {
  const auto start = std::chrono::steady_clock::now();
  return [start, done = std::move(done)](absl::Status durable) mutable {
    Metrics& metrics = Metrics::Get();
    if (durable.ok()) {
      metrics.StoreWriteTime().Observe(
          absl::ToDoubleSeconds(absl::FromChrono(std::chrono::steady_clock::now() - start)));
    } else if (!absl::IsAborted(durable)) {  // that another replica was first is no failure
      metrics.StoreWriteFailures().Increment();
    }
    if (done) done(std::move(durable));
  };
}

}  // namespace switchyard
