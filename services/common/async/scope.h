// A bound on a piece of work: it ends by its deadline, by Cancel(), or with its parent. Every wait in the project takes
// a Scope, so every wait is bounded and can be cancelled, and no operation needs a timer of its own.
//
//   Scope turn(executor, deadline);
//   Scope connect(turn, absl::Seconds(3), MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, "…"));
//   auto stop = connect.OnEnd([&] { socket.cancel(); });
//   … co_await socket.async_connect(endpoint, kTuple) …
//   if (!connect.status().ok()) co_return connect.status();
//
// Not thread-safe: a Scope and all that use it live on one executor (one thread). Another thread posts to it.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "boost/asio/any_io_executor.hpp"

namespace switchyard {

using Executor = boost::asio::any_io_executor;

class Scope {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  /// Without a deadline: ends by Cancel() alone.
  explicit Scope(Executor executor);
  /// Ends with DEADLINE at `deadline`.
  Scope(Executor executor, Deadline deadline);
  /// Ends with its parent, or with `on_timeout` after `timeout`. The parent outlives it.
  Scope(Scope& parent, absl::Duration timeout, absl::Status on_timeout);
  ~Scope();

  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// OK while open, then why it ended; never changes after that.
  const absl::Status& status() const;
  bool ended() const { return !status().ok(); }

  /// Ends it with `why` (not OK). No effect once ended. Runs the registered callbacks before it returns.
  void Cancel(absl::Status why);

  /// Moves the deadline of a scope that has one; used for idle limits. No effect once ended.
  void ExtendTo(Deadline deadline);

  /// The deadline, its own or a parent's, whichever is sooner; max() if there is none.
  Deadline deadline() const;
  absl::Duration Remaining() const;

  const Executor& executor() const;

  /// Unregisters when destroyed. Must not outlive the scope.
  class Registration {
   public:
    Registration();
    Registration(Registration&& other) noexcept;
    Registration& operator=(Registration&& other) noexcept;
    ~Registration();

   private:
    friend class Scope;
    struct Place;
    std::unique_ptr<Place> place_;
  };

  /// Runs `callback` once when the scope ends; at once if it has ended. The callback must not destroy the scope.
  [[nodiscard]] Registration OnEnd(absl::AnyInvocable<void()> callback);

 private:
  struct State;
  std::shared_ptr<State> state_;
  Registration parent_;
};

}  // namespace switchyard
