// A bounded pool of threads for work that would block an event loop: proofs of work.
//
//   if (auto status = pool.Submit([=] { … Complete(result); }); !status.ok()) … the queue is full …
//
// Thread-safe. Its threads run at a lower priority than the event loops, so streams go on while it is busy.
#pragma once

#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace switchyard {

class CpuPool {
 public:
  struct Options {
    int threads = 0;        // 1 to 256; 0 is one a core
    int queue_depth = 256;  // jobs waiting, beside those running
  };
  explicit CpuPool(Options options);
  /// Waits for running jobs; those still waiting are dropped.
  ~CpuPool();

  /// RESOURCE_EXHAUSTED if the queue is full. A job throws nothing.
  absl::Status Submit(absl::AnyInvocable<void()> job);

  /// Jobs running and waiting.
  int load() const;

 private:
  void Work();

  const int queue_depth_;
  mutable absl::Mutex mutex_;
  std::deque<absl::AnyInvocable<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace switchyard
