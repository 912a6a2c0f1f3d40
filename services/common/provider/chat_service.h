// ChatService for any set of platforms: lease, run, stream, release. One class serves a platform's own program and the
// all-in-one.
//
//   ChatService service(dependencies, {.log_turns = true});
//   service.Add(std::make_unique<DeepSeekProvider>(settings), 2048);
//   auto host = ServerHost::Start({.listen = "127.0.0.1:8021"}, {&service});
//   … at exit: (*host)->Shutdown(…); service.FinishCleanUps(absl::Seconds(5));
//
// Thread-safe once the providers have been added.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/support/server_callback.h"
#include "services/common/async/in_flight.h"
#include "services/common/async/runtime.h"
#include "services/common/async/task_group.h"
#include "services/common/http/http_client.h"
#include "services/common/http/public_fetch.h"
#include "services/common/provider/provider.h"
#include "services/common/provider/retry_budget.h"
#include "services/common/rpc/server_call.h"
#include "services/common/time/clock.h"
#include "services/common/time/random.h"
#include "services/session/client/session_client.h"
#include "services/signing/client/signing_client.h"
#include "switchyard/chat/v1/chat.grpc.pb.h"

namespace switchyard {

class ChatService final : public chat::v1::ChatService::CallbackService {
 public:
  /// What it borrows; all outlive it.
  struct Dependencies {
    Runtime& runtime;
    SessionClient& sessions;
    SigningClient& signing;
    HttpClient& http;
    const Clock& clock;
    Random& random;
  };
  struct Options {
    chat::v1::ReasoningFormat reasoning_format = chat::v1::REASONING_FORMAT_THINK;
    bool ignore_unsupported = false;
    bool log_turns = true;  // one line a turn; off where the edge in the same process writes one
  };

  ChatService(Dependencies dependencies, Options options);
  ~ChatService() override;

  /// @param max_in_flight turns at once, 1 and up; more are refused, so that a platform that hangs takes no more of the
  /// relay than this
  void Add(std::unique_ptr<Provider> provider, int max_in_flight);

  /// Starts deleting what earlier processes left on the platforms, now and from time to time. Once.
  void StartCleanUps();
  /// Ends every running turn with an error, now, and those that come later: for an exit that does not wait.
  void EndTurns();
  /// Ends StartCleanUps() and waits, blocking, until running clean-ups are done. @return false after `timeout`.
  bool FinishCleanUps(absl::Duration timeout);

  grpc::ServerWriteReactor<ChatEvent>* Chat(grpc::CallbackServerContext* context, const ChatRequest* request) override;
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context, const chat::v1::ListModelsRequest* request,
                                       chat::v1::ListModelsResponse* response) override;

 private:
  boost::asio::awaitable<absl::Status> Observe(ChatRequest& request, StreamWriter<ChatEvent>& out);
  boost::asio::awaitable<absl::Status> Serve(ChatRequest& request, StreamWriter<ChatEvent>& out, CallContext context);
  boost::asio::awaitable<absl::Status> List(Scope& scope, CallContext context, chat::v1::ListModelsResponse& response);
  boost::asio::awaitable<void> DeletePending(Provider& provider, std::shared_ptr<Scope> life);

  Dependencies dependencies_;
  Options options_;
  PublicFetcher fetcher_;
  struct Served {
    Served(std::unique_ptr<Provider> served, int max_in_flight) : provider(std::move(served)), turns(max_in_flight) {}
    const std::unique_ptr<Provider> provider;
    InFlightLimit turns;
  };
  std::map<std::string, Served, std::less<>> providers_;
  RetryBudget retries_;
  RetryBudget repairs_{0.5};  // of answers in the wrong format; each is a whole turn of the platform
  TaskGroup clean_ups_;
  TaskGroup sweepers_;
  std::vector<std::shared_ptr<Scope>> sweeper_scopes_;

  // The scope of a running turn; null once the turn is over. Looked into on the turn's executor alone.
  struct TurnSlot {
    Scope* scope;
  };
  class TurnEntry;
  absl::Mutex turns_mutex_;
  std::map<std::shared_ptr<TurnSlot>, Executor> turns_ ABSL_GUARDED_BY(turns_mutex_);
  bool ending_ ABSL_GUARDED_BY(turns_mutex_) = false;
};

/// Adds a text or reasoning delta to the one queued before it.
bool MergeDeltas(ChatEvent& queued, ChatEvent& next);

}  // namespace switchyard
