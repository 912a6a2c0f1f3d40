// Hands a value from a callback, on any thread, to the one coroutine that waits for it.
//
//   Rendezvous<bool> written(executor);
//   … in the coroutine: StartWrite(&message); bool ok = co_await written.Wait();
//   … in the reaction, on another thread: written.Complete(ok);
//
// Wait() is called on the executor by one coroutine at a time; Complete() from anywhere. A value that arrives before
// the waiter is kept for it: one at most, so there is one Complete() for each Wait().
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "boost/asio/async_result.hpp"
#include "boost/asio/awaitable.hpp"
#include "boost/asio/dispatch.hpp"
#include "boost/asio/post.hpp"
#include "boost/asio/use_awaitable.hpp"
#include "services/common/async/scope.h"

namespace switchyard {

template <typename T>
class Rendezvous {
 public:
  explicit Rendezvous(Executor executor) : state_(std::make_shared<State>()), executor_(std::move(executor)) {}

  boost::asio::awaitable<T> Wait() {
    State* state = state_.get();
    if (state->value) {
      T value = std::move(*state->value);
      state->value.reset();
      co_return value;
    }
    co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(T)>(
        [state](auto handler) { state->waiter = std::move(handler); }, boost::asio::use_awaitable);
  }

  /// Any thread. The value is delivered on the executor.
  void Complete(T value) {
    boost::asio::post(executor_,
                      [state = state_, value = std::move(value)]() mutable { state->Deliver(std::move(value)); });
  }

  /// On the executor only: resumes the waiter before it returns, where there is one.
  void CompleteHere(T value) { std::shared_ptr<State>(state_)->Deliver(std::move(value)); }

 private:
  struct State {
    void Deliver(T result) {
      if (!waiter) {
        if (!value) value = std::move(result);
        return;
      }
      auto resume = std::exchange(waiter, nullptr);
      resume(std::move(result));
    }
    absl::AnyInvocable<void(T)> waiter;
    std::optional<T> value;
  };

  std::shared_ptr<State> state_;
  Executor executor_;
};

}  // namespace switchyard
