// Coroutines that outlive the call that started them, counted so that a shutdown can wait for them.
//
//   TaskGroup clean_ups;
//   clean_ups.Spawn(executor, DeleteConversation(…));
//   … at exit: clean_ups.WaitIdle(absl::Seconds(5));
//
// Thread-safe. An exception that escapes a task is logged; it never ends the process.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"

namespace switchyard {

/// Runs `task` on `executor` to its end; uncounted.
void SpawnDetached(const Executor& executor, boost::asio::awaitable<void> task);

class TaskGroup {
 public:
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  /// The tasks must have ended.
  ~TaskGroup() = default;

  void Spawn(const Executor& executor, boost::asio::awaitable<void> task);

  /// Waits, blocking, until no task runs. For the main thread. @return false if `timeout` passed first.
  bool WaitIdle(absl::Duration timeout);

  /// Waits until no task runs, or `scope` ends. One coroutine at a time.
  boost::asio::awaitable<void> Join(Scope& scope);

  int running() const;

 private:
  void Done();

  mutable absl::Mutex mutex_;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::AnyInvocable<void()> on_idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace switchyard
