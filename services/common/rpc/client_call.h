// The client side of gRPC calls as coroutines.
//
//   auto call = ClientReader<ChatEvent>::Start(scope, context, [&](grpc::ClientContext* c, auto* reactor) {
//     stub->async()->Chat(c, &request, reactor);   // `request` is copied by gRPC before Start returns
//   });
//   while (auto event = co_await call->Read()) { … }
//   absl::Status status = co_await call->Finish();
//
// The end of the scope cancels the call; so does destroying the handle before Finish(). The reactor keeps itself and
// its ClientContext until gRPC is done with both. A handle is used by one coroutine chain on the scope's executor.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "boost/asio/awaitable.hpp"
#include "boost/asio/post.hpp"
#include "grpcpp/client_context.h"
#include "grpcpp/support/client_callback.h"
#include "services/common/async/rendezvous.h"
#include "services/common/async/scope.h"
#include "services/common/rpc/call_context.h"
#include "services/common/rpc/open_calls.h"
#include "services/common/status/grpc_status.h"

namespace switchyard {
namespace rpc_internal {

/// What every client call has: its context, itself until OnDone, and one status.
template <typename Derived, typename Reactor>
class ClientCallState : public Reactor, public OpenCall, public std::enable_shared_from_this<Derived> {
 public:
  explicit ClientCallState(Executor executor) : executor_(executor), done_(std::move(executor)) {}

  grpc::ClientContext* client() { return &client_; }
  void TryCancel() { client_.TryCancel(); }

  boost::asio::awaitable<absl::Status> WaitDone() { co_return co_await done_.Wait(); }

  void OnDone(const grpc::Status& status) final {
    done_.Complete(FromGrpcStatus(status));
    OpenCalls& open = *open_;
    const uint64_t id = id_;
    // What was posted before still holds references; this one goes on the executor, after them.
    boost::asio::post(executor_, [self = std::move(self_)] {});
    open.Remove(id);
  }

 protected:
  const Executor& executor() const { return executor_; }
  void KeepUntilDone() {
    self_ = this->shared_from_this();
    open_ = &OpenCalls::Of(executor_);
    id_ = open_->Add(self_);
  }

 private:
  Executor executor_;
  grpc::ClientContext client_;
  Rendezvous<absl::Status> done_;
  std::shared_ptr<Derived> self_;
  OpenCalls* open_ = nullptr;
  uint64_t id_ = 0;
};

}  // namespace rpc_internal

/// A server-streaming call as its caller sees it.
template <typename Response>
class ClientReader {
 public:
  /// @param start called with (grpc::ClientContext*, grpc::ClientReadReactor<Response>*): starts the call on a stub.
  template <typename StartCall>
  static std::unique_ptr<ClientReader> Start(Scope& scope, const CallContext& context, StartCall start) {
    auto state = std::make_shared<State>(scope.executor());
    context.Until(scope.deadline()).ApplyTo(*state->client());
    state->Begin(start);
    return std::unique_ptr<ClientReader>(new ClientReader(scope, std::move(state)));
  }

  ~ClientReader() {
    if (!finished_) state_->Abandon();
  }

  /// The next message, or nullopt at the end, whichever kind it is; Finish() tells.
  boost::asio::awaitable<std::optional<Response>> Read() { co_return co_await state_->Read(); }

  /// Cancels what is left of the call and waits for its status. Call it once.
  boost::asio::awaitable<absl::Status> Finish() {
    finished_ = true;
    state_->Release();
    absl::Status status = co_await state_->WaitDone();
    if (!status.ok() && scope_.ended()) co_return scope_.status();
    co_return status;
  }

 private:
  class State final : public rpc_internal::ClientCallState<State, grpc::ClientReadReactor<Response>> {
   public:
    explicit State(Executor executor)
        : rpc_internal::ClientCallState<State, grpc::ClientReadReactor<Response>>(executor), read_(executor) {}

    template <typename StartCall>
    void Begin(StartCall& start) {
      this->KeepUntilDone();
      start(this->client(), this);
      this->AddHold();  // reads start outside reactions
      this->StartCall();
    }

    boost::asio::awaitable<std::optional<Response>> Read() {
      if (ended_) co_return std::nullopt;
      this->StartRead(&message_);
      const bool ok = co_await read_.Wait();
      if (!ok) {
        ended_ = true;
        co_return std::nullopt;
      }
      co_return std::move(message_);
    }

    void OnReadDone(bool ok) override { read_.Complete(ok); }

    void Release() {
      if (std::exchange(released_, true)) return;
      if (!ended_) this->TryCancel();
      this->RemoveHold();
    }
    void Abandon() override {
      this->TryCancel();
      Release();
    }

   private:
    Response message_;
    Rendezvous<bool> read_;
    bool ended_ = false;
    bool released_ = false;
  };

  ClientReader(Scope& scope, std::shared_ptr<State> state) : scope_(scope), state_(std::move(state)) {
    end_ = scope_.OnEnd([raw = state_.get()] { raw->TryCancel(); });
  }

  Scope& scope_;
  std::shared_ptr<State> state_;
  Scope::Registration end_;
  bool finished_ = false;
};

/// A bidirectional call as its caller sees it.
template <typename Request, typename Response>
class ClientBidi {
 public:
  /// @param start called with (grpc::ClientContext*, grpc::ClientBidiReactor<Request, Response>*).
  template <typename StartCall>
  static std::unique_ptr<ClientBidi> Start(Scope& scope, const CallContext& context, StartCall start) {
    auto state = std::make_shared<State>(scope.executor());
    context.Until(scope.deadline()).ApplyTo(*state->client());
    state->Begin(start);
    return std::unique_ptr<ClientBidi>(new ClientBidi(scope, std::move(state)));
  }

  ~ClientBidi() {
    if (!finished_) state_->Abandon();
  }

  /// Queues a message. After Close() or the end of the call: no effect.
  void Send(Request request) { state_->Send(std::move(request)); }

  /// Nothing more to send: the server sees the end after what is queued.
  void Close() { state_->Close(); }

  /// The next message, or nullopt at the end. One reader at a time.
  boost::asio::awaitable<std::optional<Response>> Read() { co_return co_await state_->Read(); }

  /// Closes, reads and drops what still comes, and waits for the status. Call it once, with no Read() outstanding.
  boost::asio::awaitable<absl::Status> Finish() {
    finished_ = true;
    state_->Close();
    for (;;) {
      auto rest = co_await state_->Read();
      if (!rest) break;
    }
    state_->Release();
    absl::Status status = co_await state_->WaitDone();
    if (!status.ok() && scope_.ended()) co_return scope_.status();
    co_return status;
  }

  void Cancel() { state_->TryCancel(); }

 private:
  class State final : public rpc_internal::ClientCallState<State, grpc::ClientBidiReactor<Request, Response>> {
   public:
    explicit State(Executor executor)
        : rpc_internal::ClientCallState<State, grpc::ClientBidiReactor<Request, Response>>(executor), read_(executor) {}

    template <typename StartCall>
    void Begin(StartCall& start) {
      this->KeepUntilDone();
      start(this->client(), this);
      this->AddHold();
      this->StartCall();
    }

    boost::asio::awaitable<std::optional<Response>> Read() {
      if (ended_) co_return std::nullopt;
      this->StartRead(&message_);
      const bool ok = co_await read_.Wait();
      if (!ok) {
        ended_ = true;
        co_return std::nullopt;
      }
      co_return std::move(message_);
    }

    void Send(Request request) {
      if (closing_ || broken_ || released_) return;
      queue_.push_back(std::move(request));
      Pump();
    }

    void Close() {
      closing_ = true;
      Pump();
    }

    void OnReadDone(bool ok) override { read_.Complete(ok); }
    void OnWriteDone(bool ok) override {
      boost::asio::post(this->executor(), [self = this->shared_from_this(), ok] {
        self->writing_ = false;
        self->queue_.pop_front();
        if (!ok) {
          self->broken_ = true;
          self->queue_.clear();
        }
        self->Pump();
        self->ReleaseIfIdle();
      });
    }

    void Release() {
      releasing_ = true;
      ReleaseIfIdle();
    }
    // An operation on its way keeps the call by itself, so the hold may go although one is.
    void Abandon() override {
      this->TryCancel();
      queue_.resize(writing_ ? 1 : 0);
      if (!std::exchange(released_, true)) this->RemoveHold();
    }

   private:
    void Pump() {
      if (writing_ || broken_ || released_) return;
      if (!queue_.empty()) {
        writing_ = true;
        this->StartWrite(&queue_.front());
      } else if (closing_ && !closed_) {
        closed_ = true;
        this->StartWritesDone();
      }
    }

    // The hold is given back when no further operation can start from outside a reaction.
    void ReleaseIfIdle() {
      if (!releasing_ || writing_ || released_) return;
      released_ = true;
      this->RemoveHold();
    }

    Response message_;
    Rendezvous<bool> read_;
    std::deque<Request> queue_;
    bool ended_ = false;
    bool writing_ = false;
    bool broken_ = false;
    bool closing_ = false;
    bool closed_ = false;
    bool releasing_ = false;
    bool released_ = false;
  };

  ClientBidi(Scope& scope, std::shared_ptr<State> state) : scope_(scope), state_(std::move(state)) {
    end_ = scope_.OnEnd([raw = state_.get()] { raw->TryCancel(); });
  }

  Scope& scope_;
  std::shared_ptr<State> state_;
  Scope::Registration end_;
  bool finished_ = false;
};

/// A unary call. @param start called with (grpc::ClientContext*, const Request*, Response*,
/// std::function<void(grpc::Status)>).
template <typename Response, typename Request, typename StartCall>
boost::asio::awaitable<absl::StatusOr<Response>> CallUnary(Scope& scope, CallContext context, Request request,
                                                           StartCall start) {
  struct State final : OpenCall {
    explicit State(Executor executor) : done(std::move(executor)) {}
    void Abandon() override { client.TryCancel(); }
    grpc::ClientContext client;
    Request request;
    Response response;
    Rendezvous<absl::Status> done;
  };
  auto state = std::make_shared<State>(scope.executor());
  state->request = std::move(request);
  context.Until(scope.deadline()).ApplyTo(state->client);
  OpenCalls& open = OpenCalls::Of(scope.executor());
  std::function<void(grpc::Status)> finished = [state, &open, id = open.Add(state)](grpc::Status status) {
    state->done.Complete(FromGrpcStatus(status));
    open.Remove(id);
  };
  start(&state->client, &state->request, &state->response, std::move(finished));
  auto end = scope.OnEnd([raw = state.get()] { raw->client.TryCancel(); });
  absl::Status status = co_await state->done.Wait();
  if (!status.ok() && scope.ended()) co_return scope.status();
  if (!status.ok()) co_return status;
  co_return std::move(state->response);
}

}  // namespace switchyard
