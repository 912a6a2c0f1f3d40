// The gRPC bridge over an in-process channel: order, back-pressure, cancellation from either side, deadlines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

#include "boost/asio/co_spawn.hpp"
#include "boost/asio/detached.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/async/sleep.h"
#include "services/common/rpc/client_call.h"
#include "services/common/rpc/server_call.h"
#include "services/common/rpc/server_host.h"
#include "switchyard/chat/v1/chat.grpc.pb.h"
#include "switchyard/signing/v1/signing.grpc.pb.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using chat::v1::ChatEvent;
using chat::v1::ChatRequest;
using signing::v1::SignRequest;
using signing::v1::SignResponse;

using StreamBody = std::function<asio::awaitable<absl::Status>(StreamWriter<ChatEvent>&)>;
using BidiBody = std::function<asio::awaitable<absl::Status>(ServerBidi<SignRequest, SignResponse>&)>;

class ScriptedChat final : public chat::v1::ChatService::CallbackService {
 public:
  explicit ScriptedChat(Runtime& runtime) : runtime_(runtime) {}
  grpc::ServerWriteReactor<ChatEvent>* Chat(grpc::CallbackServerContext* context, const ChatRequest*) override {
    return ServeStream<ChatEvent>(runtime_.Next(), context, stream);
  }
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context, const chat::v1::ListModelsRequest*,
                                       chat::v1::ListModelsResponse* response) override {
    auto body = [response](UnaryCall&) -> asio::awaitable<absl::Status> {
      response->add_models()->set_id("only");
      co_return absl::OkStatus();
    };
    return ServeUnary(runtime_.Next(), context, body);
  }
  StreamBody stream;

 private:
  Runtime& runtime_;
};

class ScriptedSigning final : public signing::v1::SigningService::CallbackService {
 public:
  explicit ScriptedSigning(Runtime& runtime) : runtime_(runtime) {}
  grpc::ServerBidiReactor<SignRequest, SignResponse>* Sign(grpc::CallbackServerContext* context) override {
    return ServeBidi<SignRequest, SignResponse>(runtime_.Next(), context, body);
  }
  BidiBody body;

 private:
  Runtime& runtime_;
};

class CallsTest : public ::testing::Test {
 protected:
  CallsTest() : chat_(runtime_), signing_(runtime_) {
    auto host = ServerHost::Start({.listen = "127.0.0.1:0"}, {&chat_, &signing_});
    EXPECT_TRUE(host.ok()) << host.status();
    host_ = std::move(*host);
    channel_ = host_->InProcessChannel();
    chat_stub_ = chat::v1::ChatService::NewStub(channel_);
    signing_stub_ = signing::v1::SigningService::NewStub(channel_);
  }
  ~CallsTest() override {
    host_->Shutdown(absl::Seconds(5));
    runtime_.Stop();
  }

  /// Runs a client coroutine to its end.
  template <typename Result>
  Result Run(std::function<asio::awaitable<Result>(Scope&)> body, absl::Duration limit = absl::Seconds(20)) {
    auto task = [&]() -> asio::awaitable<Result> {
      Scope scope(co_await asio::this_coro::executor,
                  std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(limit));
      co_return co_await body(scope);
    };
    return asio::co_spawn(runtime_.Next(), task, asio::use_future).get();
  }

  std::unique_ptr<ClientReader<ChatEvent>> StartChat(Scope& scope, CallContext context = {}) {
    return ClientReader<ChatEvent>::Start(scope, context, [&](grpc::ClientContext* client, auto* reactor) {
      chat_stub_->async()->Chat(client, &request_, reactor);
    });
  }
  std::unique_ptr<ClientBidi<SignRequest, SignResponse>> StartSign(Scope& scope) {
    return ClientBidi<SignRequest, SignResponse>::Start(
        scope, CallContext(),
        [&](grpc::ClientContext* client, auto* reactor) { signing_stub_->async()->Sign(client, reactor); });
  }

  Runtime runtime_{{.threads = 2}};
  ScriptedChat chat_;
  ScriptedSigning signing_;
  std::unique_ptr<ServerHost> host_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<chat::v1::ChatService::Stub> chat_stub_;
  std::unique_ptr<signing::v1::SigningService::Stub> signing_stub_;
  ChatRequest request_;
};

ChatEvent Text(int number) {
  ChatEvent event;
  event.mutable_text()->set_text(std::to_string(number));
  return event;
}

TEST_F(CallsTest, AThousandMessagesArriveInOrder) {
  chat_.stream = [](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    for (int i = 0; i < 1000; ++i) {
      if (!co_await out.Write(Text(i))) co_return absl::InternalError("the caller left");
    }
    co_return absl::OkStatus();
  };
  std::function<asio::awaitable<absl::Status>(Scope&)> body = [this](Scope& scope) -> asio::awaitable<absl::Status> {
    auto call = StartChat(scope);
    int expected = 0;
    for (;;) {
      auto event = co_await call->Read();
      if (!event) break;
      EXPECT_EQ(event->text().text(), std::to_string(expected++));
    }
    EXPECT_EQ(expected, 1000);
    co_return co_await call->Finish();
  };
  EXPECT_EQ(Run(body), absl::OkStatus());
}

TEST_F(CallsTest, AnErrorArrivesWithItsDetail) {
  chat_.stream = [](StreamWriter<ChatEvent>&) -> asio::awaitable<absl::Status> {
    co_return MakeError(Reason::REASON_ACCOUNT_MUTED, "muted", {.until = absl::FromUnixSeconds(1793003600)});
  };
  std::function<asio::awaitable<absl::Status>(Scope&)> body = [this](Scope& scope) -> asio::awaitable<absl::Status> {
    auto call = StartChat(scope);
    auto event = co_await call->Read();
    EXPECT_FALSE(event.has_value());
    co_return co_await call->Finish();
  };
  const absl::Status status = Run(body);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(DetailOf(status).reason(), Reason::REASON_ACCOUNT_MUTED);
  EXPECT_EQ(DetailOf(status).until().seconds(), 1793003600);
}

TEST_F(CallsTest, TheEndOfTheCallersScopeReachesTheServer) {
  std::promise<absl::Status> seen;
  chat_.stream = [&](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    co_await out.Write(Text(0));
    co_await Sleep(out.scope(), absl::Seconds(15));
    seen.set_value(out.scope().status());
    co_return out.scope().status();
  };
  std::function<asio::awaitable<absl::Status>(Scope&)> body = [this](Scope& scope) -> asio::awaitable<absl::Status> {
    auto call = StartChat(scope);
    co_await call->Read();
    scope.Cancel(absl::CancelledError("enough"));
    auto event = co_await call->Read();
    EXPECT_FALSE(event.has_value());
    co_return co_await call->Finish();
  };
  EXPECT_EQ(Run(body), absl::CancelledError("enough"));
  EXPECT_EQ(seen.get_future().get().code(), absl::StatusCode::kCancelled);
}

TEST_F(CallsTest, DroppingTheHandleCancelsTheCall) {
  std::promise<absl::Status> seen;
  chat_.stream = [&](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    co_await out.Write(Text(0));
    co_await Sleep(out.scope(), absl::Seconds(15));
    seen.set_value(out.scope().status());
    co_return out.scope().status();
  };
  std::function<asio::awaitable<int>(Scope&)> body = [this](Scope& scope) -> asio::awaitable<int> {
    auto call = StartChat(scope);
    co_await call->Read();
    call.reset();
    co_return 0;
  };
  Run(body);
  EXPECT_EQ(seen.get_future().get().code(), absl::StatusCode::kCancelled);
}

TEST_F(CallsTest, TheDeadlineTravelsAndShrinks) {
  std::promise<absl::Duration> remaining;
  chat_.stream = [&](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    remaining.set_value(out.scope().Remaining());
    co_await Sleep(out.scope(), absl::Seconds(15));
    co_return out.scope().status();
  };
  std::function<asio::awaitable<absl::Status>(Scope&)> body = [this](Scope& scope) -> asio::awaitable<absl::Status> {
    Scope shorter(scope, absl::Milliseconds(300), MakeError(Reason::REASON_DEADLINE, "short"));
    auto call = StartChat(shorter);
    co_await call->Read();
    co_return co_await call->Finish();
  };
  EXPECT_EQ(Run(body).code(), absl::StatusCode::kDeadlineExceeded);
  const absl::Duration seen = remaining.get_future().get();
  EXPECT_GT(seen, absl::ZeroDuration());
  EXPECT_LE(seen, absl::Milliseconds(301));
}

TEST_F(CallsTest, RequestIdAndTraceTravel) {
  std::promise<CallContext> seen;
  chat_.stream = [&](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    seen.set_value(out.context());
    co_return absl::OkStatus();
  };
  std::function<asio::awaitable<int>(Scope&)> body = [this](Scope& scope) -> asio::awaitable<int> {
    CallContext context;
    context.request_id = "req-1";
    context.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    auto call = StartChat(scope, context);
    co_await call->Read();
    co_await call->Finish();
    co_return 0;
  };
  Run(body);
  const CallContext context = seen.get_future().get();
  EXPECT_EQ(context.request_id, "req-1");
  EXPECT_EQ(context.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
}

TEST_F(CallsTest, AnExceptionInTheBodyIsAnInternalErrorOfThatCallAlone) {
  chat_.stream = [](StreamWriter<ChatEvent>&) -> asio::awaitable<absl::Status> {
    throw std::runtime_error("bug");
    co_return absl::OkStatus();
  };
  std::function<asio::awaitable<absl::Status>(Scope&)> body = [this](Scope& scope) -> asio::awaitable<absl::Status> {
    auto call = StartChat(scope);
    co_await call->Read();
    co_return co_await call->Finish();
  };
  EXPECT_EQ(ReasonOf(Run(body)), Reason::REASON_INTERNAL);
}

TEST_F(CallsTest, AnUnaryCallAnswers) {
  std::function<asio::awaitable<std::string>(Scope&)> body = [this](Scope& scope) -> asio::awaitable<std::string> {
    auto response = co_await CallUnary<chat::v1::ListModelsResponse>(
        scope, CallContext(), chat::v1::ListModelsRequest(), [&](auto* client, auto* request, auto* out, auto done) {
          chat_stub_->async()->ListModels(client, request, out, done);
        });
    co_return response.ok() ? response->models(0).id() : response.status().ToString();
  };
  EXPECT_EQ(Run(body), "only");
}

TEST_F(CallsTest, ABidirectionalCallEchoesAndEndsAfterItsQueue) {
  signing_.body = [](ServerBidi<SignRequest, SignResponse>& call) -> asio::awaitable<absl::Status> {
    for (;;) {
      auto request = co_await call.Read();
      if (!request) break;
      SignResponse response;
      response.set_id(request->job().id());
      call.Send(response);
      call.Send(response);
    }
    co_return absl::OkStatus();
  };
  std::function<asio::awaitable<int>(Scope&)> body = [this](Scope& scope) -> asio::awaitable<int> {
    auto call = StartSign(scope);
    for (int i = 0; i < 100; ++i) {
      SignRequest request;
      request.mutable_job()->set_id(std::to_string(i));
      call->Send(std::move(request));
    }
    call->Close();
    int received = 0;
    for (;;) {
      auto response = co_await call->Read();
      if (!response) break;
      EXPECT_EQ(response->id(), std::to_string(received / 2));
      ++received;
    }
    auto status = co_await call->Finish();
    EXPECT_EQ(status, absl::OkStatus());
    co_return received;
  };
  EXPECT_EQ(Run(body), 200);
}

TEST_F(CallsTest, TheServerMayEndABidirectionalCallFirst) {
  signing_.body = [](ServerBidi<SignRequest, SignResponse>& call) -> asio::awaitable<absl::Status> {
    co_await call.Read();
    co_return MakeError(Reason::REASON_INVALID_REQUEST, "no");
  };
  std::function<asio::awaitable<absl::Status>(Scope&)> body = [this](Scope& scope) -> asio::awaitable<absl::Status> {
    auto call = StartSign(scope);
    SignRequest request;
    request.mutable_job()->set_id("x");
    call->Send(request);
    co_return co_await call->Finish();
  };
  EXPECT_EQ(ReasonOf(Run(body)), Reason::REASON_INVALID_REQUEST);
}

TEST_F(CallsTest, TwoHundredRacingCancelsLeaveNothingBehind) {
  std::atomic<int> running{0};
  chat_.stream = [&](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    ++running;
    for (int i = 0; co_await out.Write(Text(i)); ++i) {
    }
    --running;
    co_return out.scope().status();
  };
  for (int round = 0; round < 200; ++round) {
    std::function<asio::awaitable<int>(Scope&)> body = [&](Scope& scope) -> asio::awaitable<int> {
      auto call = StartChat(scope);
      for (int i = 0; i < round % 7; ++i) co_await call->Read();
      if (round % 2 == 0) {
        scope.Cancel(absl::CancelledError("race"));
        co_await call->Finish();
      }
      co_return 0;
    };
    Run(body);
  }
  host_->Shutdown(absl::Seconds(5));  // returns once no call is left
  EXPECT_EQ(running, 0);
}

}  // namespace
}  // namespace switchyard
