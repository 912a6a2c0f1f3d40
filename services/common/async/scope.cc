#include "services/common/async/scope.h"

#include <utility>

#include "absl/time/clock.h"
#include "boost/asio/steady_timer.hpp"
#include "services/common/status/reason.h"

namespace switchyard {

namespace asio = boost::asio;

using Callbacks = std::list<absl::AnyInvocable<void()>>;

struct Scope::State : std::enable_shared_from_this<Scope::State> {
  explicit State(Executor ex) : executor(std::move(ex)) {}

  void End(absl::Status why) {
    if (!status.ok()) return;
    status = std::move(why);
    if (timer) timer->cancel();
    // A callback may unregister others, so they are taken one at a time from the front.
    while (!callbacks.empty()) {
      auto callback = std::move(callbacks.front());
      callbacks.pop_front();
      callback();
    }
  }

  // One wait is outstanding at a time. ExtendTo only moves `deadline`; the wait re-arms itself when it fires early,
  // so an idle limit costs nothing per event.
  void Arm() {
    timer->expires_at(deadline);
    timer->async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      auto self = weak.lock();
      if (!self || error || !self->status.ok()) return;
      if (std::chrono::steady_clock::now() < self->deadline) {
        self->Arm();
      } else {
        self->End(self->on_timeout);
      }
    });
  }

  Executor executor;
  std::optional<asio::steady_timer> timer;
  Deadline deadline = Deadline::max();         // its own
  Deadline parent_deadline = Deadline::max();  // the chain's
  absl::Status on_timeout;
  absl::Status status;
  Callbacks callbacks;
};

struct Scope::Registration::Place {
  std::weak_ptr<State> state;
  Callbacks::iterator at;
  ~Place() {
    auto locked = state.lock();
    // Once ended, the list has been emptied and the iterator is gone.
    if (locked && locked->status.ok()) locked->callbacks.erase(at);
  }
};

Scope::Registration::Registration() = default;
Scope::Registration::Registration(Registration&& other) noexcept = default;
Scope::Registration& Scope::Registration::operator=(Registration&& other) noexcept = default;
Scope::Registration::~Registration() = default;

Scope::Scope(Executor executor) : state_(std::make_shared<State>(std::move(executor))) {}

Scope::Scope(Executor executor, Deadline deadline) : Scope(std::move(executor)) {
  if (deadline == Deadline::max()) return;
  state_->deadline = deadline;
  state_->on_timeout = MakeError(Reason::REASON_DEADLINE, "the request's deadline passed", {.cause = "deadline"});
  state_->timer.emplace(state_->executor);
  state_->Arm();
}

Scope::Scope(Scope& parent, absl::Duration timeout, absl::Status on_timeout) : Scope(parent.state_->executor) {
  state_->parent_deadline = parent.deadline();
  if (timeout < absl::InfiniteDuration()) {
    state_->deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
    state_->on_timeout = std::move(on_timeout);
    state_->timer.emplace(state_->executor);
    state_->Arm();
  }
  parent_ = parent.OnEnd([state = state_.get(), above = parent.state_.get()] { state->End(above->status); });
}

Scope::~Scope() {
  parent_ = Registration();
  // Nobody can be waiting on it any more: a Scope outlives its registrations.
  if (state_->timer) state_->timer->cancel();
}

const absl::Status& Scope::status() const { return state_->status; }

void Scope::Cancel(absl::Status why) {
  const auto keep = state_;  // a callback may resume a coroutine that destroys this scope
  keep->End(std::move(why));
}

void Scope::ExtendTo(Deadline deadline) {
  if (!state_->timer || ended()) return;
  const bool sooner = deadline < state_->deadline;
  state_->deadline = deadline;
  if (sooner) state_->Arm();  // cancels the outstanding wait
}

Scope::Deadline Scope::deadline() const { return std::min(state_->deadline, state_->parent_deadline); }

absl::Duration Scope::Remaining() const {
  if (deadline() == Deadline::max()) return absl::InfiniteDuration();
  return absl::FromChrono(deadline() - std::chrono::steady_clock::now());
}

const Executor& Scope::executor() const { return state_->executor; }

Scope::Registration Scope::OnEnd(absl::AnyInvocable<void()> callback) {
  Registration registration;
  if (ended()) {
    callback();
    return registration;
  }
  state_->callbacks.push_back(std::move(callback));
  registration.place_ = std::make_unique<Registration::Place>();
  registration.place_->state = state_;
  registration.place_->at = std::prev(state_->callbacks.end());
  return registration;
}

}  // namespace switchyard
