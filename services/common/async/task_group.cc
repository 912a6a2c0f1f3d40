#include "services/common/async/task_group.h"

#include <exception>
#include <utility>

#include "boost/asio/co_spawn.hpp"
#include "services/common/async/rendezvous.h"
#include "services/common/log/log.h"

namespace switchyard {
namespace {

void LogEscaped(const std::exception_ptr& error) {
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& escaped) {
    LogError("task_failed", {{"error", escaped.what()}});
  } catch (...) {
    LogError("task_failed", {{"error", "unknown exception"}});
  }
}

}  // namespace

void SpawnDetached(const Executor& executor, boost::asio::awaitable<void> task) {
  boost::asio::co_spawn(executor, std::move(task), [](const std::exception_ptr& error) { LogEscaped(error); });
}

void TaskGroup::Spawn(const Executor& executor, boost::asio::awaitable<void> task) {
  {
    absl::MutexLock lock(&mutex_);
    ++running_;
  }
  boost::asio::co_spawn(executor, std::move(task), [this](const std::exception_ptr& error) {
    LogEscaped(error);
    Done();
  });
}

void TaskGroup::Done() {
  absl::AnyInvocable<void()> on_idle;
  {
    absl::MutexLock lock(&mutex_);
    if (--running_ == 0) on_idle = std::exchange(on_idle_, nullptr);
  }
  // `this` may be gone from here on: a blocked WaitIdle() returns as soon as the lock is free.
  if (on_idle) on_idle();
}

bool TaskGroup::WaitIdle(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return running_ == 0; };
  return mutex_.AwaitWithTimeout(absl::Condition(&idle), timeout);
}

boost::asio::awaitable<void> TaskGroup::Join(Scope& scope) {
  Rendezvous<bool> idle(scope.executor());
  {
    absl::MutexLock lock(&mutex_);
    if (running_ == 0 || scope.ended()) co_return;
    on_idle_ = [idle]() mutable { idle.Complete(true); };
  }
  auto stop = scope.OnEnd([idle]() mutable { idle.Complete(false); });
  co_await idle.Wait();
}

int TaskGroup::running() const {
  absl::MutexLock lock(&mutex_);
  return running_;
}

}  // namespace switchyard
