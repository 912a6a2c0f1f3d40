// Which models there are, for those who only ask: probes and lists of models. One of them asks every provider, and each
// provider asks session, so an answer serves everybody for a second.
//
//   ModelList models(chat, clock);
//   auto list = co_await models.Get(scope, context);
//
// Thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/awaitable.hpp"
#include "edge/chat_client.h"
#include "services/common/async/rendezvous.h"
#include "services/common/async/scope.h"
#include "services/common/rpc/call_context.h"
#include "services/common/time/clock.h"

namespace switchyard {

class ModelList {
 public:
  /// Both outlive it, and the executors of those who ask.
  ModelList(ChatClient& chat, const Clock& clock) : state_(std::make_shared<State>(chat, clock)) {}

  /// What ChatClient::ListModels() says, or said within the last second, errors included; the scope's status if it ends
  /// first. `context` is of whoever happens to be the first to ask.
  boost::asio::awaitable<absl::StatusOr<chat::v1::ListModelsResponse>> Get(Scope& scope, const CallContext& context);

 private:
  using Answer = absl::StatusOr<chat::v1::ListModelsResponse>;
  struct State {
    State(ChatClient& client, const Clock& time) : chat(client), clock(time) {}
    ChatClient& chat;
    const Clock& clock;
    absl::Mutex mutex;
    std::optional<Answer> last ABSL_GUARDED_BY(mutex);
    Clock::Monotonic asked ABSL_GUARDED_BY(mutex);  // when `last` came
    std::vector<Rendezvous<Answer>> waiters ABSL_GUARDED_BY(mutex);
  };
  static boost::asio::awaitable<void> Ask(std::shared_ptr<State> state, Executor executor, CallContext context);

  std::shared_ptr<State> state_;  // also of the asking, which goes on when the first who asked leaves
};

}  // namespace switchyard
