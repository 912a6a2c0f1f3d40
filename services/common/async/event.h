// A wake-up between coroutines of one executor: Set() lets the one waiter go on, now or when it next waits.
//
//   while (queue.empty() && !scope.ended()) co_await arrived.Wait(scope);
//
// Not thread-safe. Set() resumes the waiter through the executor, never inside the call.
#pragma once

#include <utility>

#include "boost/asio/awaitable.hpp"
#include "services/common/async/rendezvous.h"
#include "services/common/async/scope.h"

namespace switchyard {

class Event {
 public:
  explicit Event(Executor executor) : executor_(std::move(executor)) {}

  /// Returns when Set() was called since the last Wait(), or when `scope` ends. The caller looks which.
  boost::asio::awaitable<void> Wait(Scope& scope) {
    if (std::exchange(set_, false) || scope.ended()) co_return;
    Rendezvous<bool> wake(executor_);
    wake_ = &wake;
    auto end = scope.OnEnd([this] { Set(); });
    co_await wake.Wait();
  }

  void Set() {
    if (Rendezvous<bool>* wake = std::exchange(wake_, nullptr)) {
      wake->Complete(true);
    } else {
      set_ = true;
    }
  }

 private:
  Executor executor_;
  Rendezvous<bool>* wake_ = nullptr;  // on the waiter's frame, while it waits
  bool set_ = false;
};

}  // namespace switchyard
