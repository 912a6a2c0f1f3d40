// The server side of gRPC calls as coroutines. A reactor owns itself until OnDone; one coroutine on one executor is the
// only caller of its operations.
//
//   grpc::ServerWriteReactor<ChatEvent>* Chat(grpc::CallbackServerContext* context, const ChatRequest* request)
//   override {
//     return ServeStream<ChatEvent>(runtime_.Next(), context, [this, request = *request](StreamWriter<ChatEvent>& out)
//     mutable {
//       return Run(std::move(request), out);   // asio::awaitable<absl::Status>
//     });
//   }
//
// The body's status ends the call, once. A cancelled call and a passed deadline end the body's scope; the body returns
// when it notices. The body closure lives until the call is over, so its coroutine may refer to what the closure holds.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "boost/asio/awaitable.hpp"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/post.hpp"
#include "grpcpp/support/server_callback.h"
#include "services/common/async/event.h"
#include "services/common/async/rendezvous.h"
#include "services/common/async/scope.h"
#include "services/common/rpc/call_context.h"
#include "services/common/status/grpc_status.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace rpc_internal {

/// What every server call has: its scope, its context, itself until OnDone, and one ending.
template <typename Derived, typename Reactor>
class ServerCall : public Reactor, public std::enable_shared_from_this<Derived> {
 public:
  ServerCall(Executor executor, grpc::CallbackServerContext* server)
      : server_(server), context_(CallContext::FromServer(*server)), scope_(executor, context_.deadline) {}

  Scope& scope() { return scope_; }
  const CallContext& context() const { return context_; }

  template <typename Body>
  Reactor* Start(Body body) {
    self_ = this->shared_from_this();
    auto run = [self = self_, body = std::move(body)]() mutable { return Run(*self, body); };
    boost::asio::co_spawn(
        scope_.executor(), std::move(run), [self = self_](const std::exception_ptr& error, absl::Status status) {
          if (error)
            status = MakeError(Reason::REASON_INTERNAL, "the service failed unexpectedly", {.cause = "exception"});
          static_cast<ServerCall&>(*self).End(std::move(status));
        });
    return this;
  }

  void OnCancel() final {
    boost::asio::post(scope_.executor(), [self = this->shared_from_this()] {
      self->scope_.Cancel(absl::CancelledError("the caller went away"));
    });
  }

  // Another thread's last touch: what still runs on the executor holds its own reference.
  void OnDone() final {
    boost::asio::post(scope_.executor(), [self = std::move(self_)] {});
  }

 protected:
  virtual void End(absl::Status status) = 0;
  grpc::CallbackServerContext& server() { return *server_; }

 private:
  template <typename Body>
  static boost::asio::awaitable<absl::Status> Run(Derived& self, Body& body) {
    absl::Status status = co_await body(self);
    // A caller that went away gets no answer, and one that ran out of time is told so, whatever the body made of it.
    if (!status.ok() && self.scope().ended()) status = self.scope().status();
    co_return status;
  }

  grpc::CallbackServerContext* server_;
  CallContext context_;
  Scope scope_;
  std::shared_ptr<Derived> self_;
};

}  // namespace rpc_internal

/// A server-streaming call. Messages are queued and leave in order, the first at once; while one is on its way, further
/// ones may merge, so a slow caller gets fewer and larger messages, and none ever waits to be merged.
template <typename Response>
class StreamWriter final : public rpc_internal::ServerCall<StreamWriter<Response>, grpc::ServerWriteReactor<Response>> {
 public:
  using Base = rpc_internal::ServerCall<StreamWriter<Response>, grpc::ServerWriteReactor<Response>>;
  /// Adds the second message to the first, if that loses nothing; returns whether it did.
  using Merge = bool (*)(Response& queued, Response& next);

  StreamWriter(Executor executor, grpc::CallbackServerContext* server)
      : Base(executor, server), room_(std::move(executor)) {}

  void set_merge(Merge merge) { merge_ = merge; }

  /// Queues a message. On the executor only. After the call ended: no effect.
  void Send(Response message) {
    if (ending_ || broken_) return;
    queued_bytes_ += message.ByteSizeLong();
    if (merge_ != nullptr && !queue_.empty() && merge_(queue_.back(), message)) return;
    queue_.push_back(std::move(message));
    Pump();
  }

  /// Waits until less than `bytes` are queued: back-pressure. @return false if the caller is gone.
  boost::asio::awaitable<bool> Room(size_t bytes) {
    while (queued_bytes_ >= bytes && !broken_ && !this->scope().ended()) co_await room_.Wait(this->scope());
    co_return !broken_ && !this->scope().ended();
  }

  /// Forbids the caller's gRPC library to repeat the call: something outside is about to be asked to act. The status
  /// will say so; in case that this process does not live to send one, the header goes out now, and what has been
  /// answered, however little, is not repeated.
  void ForbidRetry() {
    if (std::exchange(retry_forbidden_, true)) return;
    this->server().AddTrailingMetadata("grpc-retry-pushback-ms", "-1");
    if (!written_ && !finished_) this->StartSendInitialMetadata();
  }

  /// Sends one message and waits until gRPC took all before it.
  boost::asio::awaitable<bool> Write(Response message) {
    Send(std::move(message));
    co_return co_await Room(1);
  }

  void OnWriteDone(bool ok) override {
    boost::asio::post(this->scope().executor(), [self = this->shared_from_this(), ok] {
      self->writing_ = false;
      if (!ok) {
        self->broken_ = true;
        self->queue_.clear();
      }
      self->Pump();
      self->room_.Set();
    });
  }

 private:
  void End(absl::Status status) override {
    ending_ = std::move(status);
    Pump();
  }

  void Pump() {
    if (writing_ || finished_) return;
    if (!queue_.empty()) {
      writing_ = written_ = true;
      message_ = std::move(queue_.front());  // gRPC reads it until OnWriteDone
      queue_.pop_front();
      if (queue_.empty()) queued_bytes_ = 0;
      this->StartWrite(&message_);
    } else if (ending_) {
      finished_ = true;
      this->Finish(ToGrpcStatus(*ending_));
    }
  }

  Merge merge_ = nullptr;
  Response message_;
  std::deque<Response> queue_;
  size_t queued_bytes_ = 0;
  Event room_;
  std::optional<absl::Status> ending_;
  bool writing_ = false;
  bool written_ = false;  // the header went out with it
  bool retry_forbidden_ = false;
  bool broken_ = false;
  bool finished_ = false;
};

/// A bidirectional call. Messages out are queued and leave in order; the call ends after the last of them.
template <typename Request, typename Response>
class ServerBidi final
    : public rpc_internal::ServerCall<ServerBidi<Request, Response>, grpc::ServerBidiReactor<Request, Response>> {
 public:
  using Base = rpc_internal::ServerCall<ServerBidi<Request, Response>, grpc::ServerBidiReactor<Request, Response>>;
  ServerBidi(Executor executor, grpc::CallbackServerContext* server)
      : Base(executor, server), read_(std::move(executor)) {}

  /// The next message, or nullopt once the caller sent its last or is gone. One reader at a time.
  boost::asio::awaitable<std::optional<Request>> Read() {
    this->StartRead(&request_);
    const bool ok = co_await read_.Wait();
    if (!ok) co_return std::nullopt;
    co_return std::move(request_);
  }

  /// Queues a message. On the executor only. After the call ended: no effect.
  void Send(Response response) {
    if (ending_) return;
    queue_.push_back(std::move(response));
    Pump();
  }

  /// Lets the reader go on as if the caller had sent its last: the service ends the call. On the executor only.
  void StopReading() { read_.CompleteHere(false); }

  void OnReadDone(bool ok) override { read_.Complete(ok); }
  void OnWriteDone(bool ok) override {
    boost::asio::post(this->scope().executor(), [self = this->shared_from_this(), ok] {
      self->writing_ = false;
      self->queue_.pop_front();
      if (!ok) self->queue_.clear();
      self->Pump();
    });
  }

 private:
  void End(absl::Status status) override {
    ending_ = std::move(status);
    Pump();
  }

  void Pump() {
    if (writing_ || finished_) return;
    if (!queue_.empty()) {
      writing_ = true;
      this->StartWrite(&queue_.front());
    } else if (ending_) {
      finished_ = true;
      this->Finish(ToGrpcStatus(*ending_));
    }
  }

  Request request_;
  Rendezvous<bool> read_;
  std::deque<Response> queue_;
  std::optional<absl::Status> ending_;
  bool writing_ = false;
  bool finished_ = false;
};

/// A unary call.
class UnaryCall final : public rpc_internal::ServerCall<UnaryCall, grpc::ServerUnaryReactor> {
 public:
  using ServerCall::ServerCall;

 private:
  void End(absl::Status status) override { this->Finish(ToGrpcStatus(status)); }
};

/// Serves a server-streaming call with `body(StreamWriter<Response>&) -> awaitable<absl::Status>`.
template <typename Response, typename Body>
grpc::ServerWriteReactor<Response>* ServeStream(Executor executor, grpc::CallbackServerContext* server, Body body) {
  return std::make_shared<StreamWriter<Response>>(std::move(executor), server)->Start(std::move(body));
}

/// Serves a bidirectional call with `body(ServerBidi<Request, Response>&) -> awaitable<absl::Status>`.
template <typename Request, typename Response, typename Body>
grpc::ServerBidiReactor<Request, Response>* ServeBidi(Executor executor, grpc::CallbackServerContext* server,
                                                      Body body) {
  return std::make_shared<ServerBidi<Request, Response>>(std::move(executor), server)->Start(std::move(body));
}

/// Serves a unary call with `body(UnaryCall&) -> awaitable<absl::Status>`; the body fills the response, which gRPC
/// keeps until the call ends.
template <typename Body>
grpc::ServerUnaryReactor* ServeUnary(Executor executor, grpc::CallbackServerContext* server, Body body) {
  return std::make_shared<UnaryCall>(std::move(executor), server)->Start(std::move(body));
}

}  // namespace switchyard
