#include "edge/model_list.h"

#include <exception>
#include <utility>

#include "absl/time/time.h"
#include "services/common/async/task_group.h"
#include "services/common/status/reason.h"

namespace switchyard {

namespace asio = boost::asio;
using chat::v1::ListModelsResponse;

namespace {

constexpr absl::Duration kFresh = absl::Seconds(1);

}  // namespace

asio::awaitable<absl::StatusOr<ListModelsResponse>> ModelList::Get(Scope& scope, const CallContext& context) {
  Rendezvous<Answer> answered(scope.executor());
  bool first = false;
  {
    absl::MutexLock lock(&state_->mutex);
    if (state_->last && state_->clock.MonotonicNow() - state_->asked < absl::ToChronoNanoseconds(kFresh))
      co_return *state_->last;
    first = state_->waiters.empty();
    state_->waiters.push_back(answered);
  }
  if (first) SpawnDetached(scope.executor(), Ask(state_, scope.executor(), context));
  auto stop = scope.OnEnd([answered, &scope]() mutable { answered.Complete(scope.status()); });
  co_return co_await answered.Wait();
}

// Bounded by ListModels() itself.
asio::awaitable<void> ModelList::Ask(std::shared_ptr<State> state, Executor executor, CallContext context) {
  Answer answer = MakeError(Reason::REASON_INTERNAL, "the relay failed unexpectedly", {.cause = "exception"});
  try {
    Scope scope(std::move(executor));
    answer = co_await state->chat.ListModels(scope, std::move(context));
  } catch (const std::exception&) {
    // Those who wait get the error above; none of them waits for ever.
  }
  std::vector<Rendezvous<Answer>> waiters;
  {
    absl::MutexLock lock(&state->mutex);
    state->last = answer;
    state->asked = state->clock.MonotonicNow();
    waiters = std::exchange(state->waiters, {});
  }
  for (auto& waiter : waiters) waiter.Complete(answer);
}

}  // namespace switchyard
