// The gRPC client calls that an event loop has open. gRPC's threads hand their events to the loop, so a loop that goes
// away first ends its calls and waits for gRPC to be done with them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/execution_context.hpp"
#include "services/common/async/scope.h"

namespace switchyard {

class OpenCall {
 public:
  virtual ~OpenCall() = default;
  /// Cancels the call and starts nothing more on it. On the loop's thread, or when that has stopped.
  virtual void Abandon() = 0;
};

/// Thread-safe. One for each loop, made when it is first asked for.
class OpenCalls final : public boost::asio::execution_context::service {
 public:
  static boost::asio::execution_context::id id;
  using key_type = OpenCalls;

  explicit OpenCalls(boost::asio::execution_context& loop) : service(loop) {}
  static OpenCalls& Of(const Executor& executor);

  /// @return what to give to Remove(), as the last thing that the call does with the loop.
  uint64_t Add(std::shared_ptr<OpenCall> call);
  void Remove(uint64_t call);

 private:
  void shutdown() override;

  absl::Mutex mutex_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::weak_ptr<OpenCall>> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace switchyard
