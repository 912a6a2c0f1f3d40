// Many askers, one execution: who asks while an answer is being got waits for that one.
//
//   SingleFlight<Token> refreshes;
//   auto token = co_await refreshes.Run(scope, label, [this, label] { return Refresh(label); });
//
// Thread-safe. The work belongs to nobody who asked: it goes on when the first asker leaves, and every waiter is
// bounded by its own scope. An answer, error or not, goes to those who waited for it and is not kept.
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/rendezvous.h"
#include "services/common/async/scope.h"
#include "services/common/async/task_group.h"
#include "services/common/status/reason.h"

namespace switchyard {

template <typename T>
class SingleFlight {
 public:
  /// Bounds itself, and refers to nothing that ends with an asker.
  using Work = std::function<boost::asio::awaitable<absl::StatusOr<T>>()>;

  /// The answer of `work`, or of the same key's work that is already under way; the scope's status if it ends first.
  boost::asio::awaitable<absl::StatusOr<T>> Run(Scope& scope, std::string key, Work work) {
    Rendezvous<absl::StatusOr<T>> answered(scope.executor());
    bool first = false;
    {
      absl::MutexLock lock(&state_->mutex);
      const auto [flight, fresh] = state_->flights.try_emplace(key);
      flight->second.push_back(answered);
      first = fresh;
    }
    if (first) SpawnDetached(scope.executor(), Fly(state_, std::move(key), std::move(work)));
    auto stop = scope.OnEnd([answered, &scope]() mutable { answered.Complete(scope.status()); });
    co_return co_await answered.Wait();
  }

 private:
  struct State {
    absl::Mutex mutex;
    std::map<std::string, std::vector<Rendezvous<absl::StatusOr<T>>>> flights ABSL_GUARDED_BY(mutex);
  };

  static boost::asio::awaitable<void> Fly(std::shared_ptr<State> state, std::string key, Work work) {
    absl::StatusOr<T> answer =
        MakeError(Reason::REASON_INTERNAL, "the relay failed unexpectedly", {.cause = "exception"});
    try {
      answer = co_await work();
    } catch (const std::exception&) {
      // The waiters get the error above; none of them waits for ever.
    }
    std::vector<Rendezvous<absl::StatusOr<T>>> waiters;
    {
      absl::MutexLock lock(&state->mutex);
      auto flight = state->flights.extract(key);
      waiters = std::move(flight.mapped());
    }
    for (auto& waiter : waiters) waiter.Complete(answer);
  }

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace switchyard
