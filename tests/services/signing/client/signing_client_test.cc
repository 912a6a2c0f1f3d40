// The client against the service itself, and against services that fail, hang and answer nonsense.
#include "services/signing/client/signing_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/event.h"
#include "services/common/rpc/channel.h"
#include "services/common/rpc/server_call.h"
#include "services/common/rpc/server_host.h"
#include "services/common/status/reason.h"
#include "services/signing/signing_service.h"
#include "tests/services/signing/challenges.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using signing::v1::DeepSeekProof;
using signing::v1::SignRequest;
using signing::v1::SignResponse;
using Server = ServerBidi<SignRequest, SignResponse>;
using Proof = absl::StatusOr<DeepSeekProof>;

/// A service whose every stream is one call of a function.
class ScriptedSigning final : public signing::v1::SigningService::CallbackService {
 public:
  explicit ScriptedSigning(Runtime& runtime) : runtime_(runtime) {}
  grpc::ServerBidiReactor<SignRequest, SignResponse>* Sign(grpc::CallbackServerContext* context) override {
    ++streams;
    return ServeBidi<SignRequest, SignResponse>(runtime_.Next(), context, body);
  }
  std::function<asio::awaitable<absl::Status>(Server&)> body;
  std::atomic<int> streams{0};

 private:
  Runtime& runtime_;
};

class SigningClientTest : public ::testing::Test {
 protected:
  ~SigningClientTest() override {
    if (host_) host_->Shutdown(absl::Seconds(5));
    while (pool_.load() > 0) std::this_thread::yield();
    runtime_.Stop();
  }

  void Host(grpc::Service& service) {
    auto host = ServerHost::Start({.listen = "127.0.0.1:0"}, {&service});
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = std::move(*host);
    client_ = std::make_unique<SigningClient>(MakeChannel(host_->address()));
  }

  void Run(std::function<asio::awaitable<void>(Scope&)> body) {
    auto task = [&]() -> asio::awaitable<void> {
      Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
      co_await body(scope);
    };
    asio::co_spawn(runtime_.Next(), task, asio::use_future).get();
  }

  /// One job on a stream of its own.
  Proof Solve(signing::v1::DeepSeekProofOfWork challenge, absl::Duration time = absl::Seconds(15)) {
    Proof result = absl::UnknownError("not run");
    Run([&](Scope& scope) -> asio::awaitable<void> {
      auto stream = client_->Open(scope, CallContext());
      result = co_await stream->SolveDeepSeek(challenge, absl::Now() + time);
    });
    return result;
  }

  Runtime runtime_{{.threads = 2}};
  CpuPool pool_{{.threads = 1, .queue_depth = 1}};
  SigningService service_{runtime_, pool_, SystemClock::Get()};
  ScriptedSigning scripted_{runtime_};
  std::unique_ptr<ServerHost> host_;
  std::unique_ptr<SigningClient> client_;
};

TEST_F(SigningClientTest, OneStreamSolvesSeveralChallenges) {
  Host(service_);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto stream = client_->Open(scope, CallContext());
    for (int64_t answer = 990; answer < 1000; ++answer) {
      auto proof =
          co_await stream->SolveDeepSeek(Challenge(answer, 1000, absl::Now()), absl::Now() + absl::Milliseconds(900));
      EXPECT_TRUE(proof.ok()) << proof.status();
      if (proof.ok()) {
        EXPECT_EQ(proof->answer(), answer);
      }
    }
  });
}

TEST_F(SigningClientTest, AStreamWithoutAJobCostsNoCall) {
  scripted_.body = [](Server&) -> asio::awaitable<absl::Status> { co_return absl::OkStatus(); };
  Host(scripted_);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto stream = client_->Open(scope, CallContext());
    co_return;
  });
  EXPECT_EQ(scripted_.streams, 0);
}

TEST_F(SigningClientTest, AFailedJobSaysWhoseFaultItIsAndTheNextOneSucceeds) {
  Host(service_);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto stream = client_->Open(scope, CallContext());
    auto malformed = Challenge(1, 10, absl::Now());
    malformed.set_algorithm("another");
    const absl::Time deadline = absl::Now() + absl::Seconds(15);
    auto proof = co_await stream->SolveDeepSeek(malformed, deadline);
    EXPECT_EQ(ReasonOf(proof.status()), Reason::REASON_UPSTREAM_CHANGED);
    EXPECT_EQ(DetailOf(proof.status()).cause(), "pow_malformed");
    proof = co_await stream->SolveDeepSeek(Challenge(10, 10, absl::Now()), deadline);
    EXPECT_EQ(ReasonOf(proof.status()), Reason::REASON_SIGNATURE_REFUSED);
    EXPECT_EQ(DetailOf(proof.status()).cause(), "pow_unsolvable");
    proof = co_await stream->SolveDeepSeek(Challenge(3, 10, absl::Now() - absl::Hours(1)), deadline);
    EXPECT_EQ(ReasonOf(proof.status()), Reason::REASON_SIGNATURE_REFUSED);
    proof = co_await stream->SolveDeepSeek(Challenge(3, 10, absl::Now()), deadline);
    EXPECT_TRUE(proof.ok()) << proof.status();
  });
}

TEST_F(SigningClientTest, ItsDeadlineEndsAJobOnTime) {
  Host(service_);
  const absl::Time start = absl::Now();
  EXPECT_EQ(ReasonOf(Solve(EndlessChallenge(absl::Now()), absl::Milliseconds(150)).status()), Reason::REASON_DEADLINE);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(150));
  EXPECT_EQ(ReasonOf(Solve(EndlessChallenge(absl::Now()), -absl::Seconds(1)).status()), Reason::REASON_DEADLINE);
}

TEST_F(SigningClientTest, AFullQueueIsAnOverload) {
  Host(service_);
  absl::Notification started, go_on;
  ASSERT_TRUE(pool_
                  .Submit([&] {
                    started.Notify();
                    go_on.WaitForNotification();
                  })
                  .ok());
  started.WaitForNotification();
  ASSERT_TRUE(pool_.Submit([] {}).ok());
  const Proof proof = Solve(Challenge(1, 10, absl::Now()));
  EXPECT_EQ(ReasonOf(proof.status()), Reason::REASON_OVERLOADED);
  EXPECT_TRUE(DetailOf(proof.status()).has_retry_after());
  go_on.Notify();
  while (pool_.load() > 0) std::this_thread::yield();  // who waits for it still touches it
}

TEST_F(SigningClientTest, DestroyingTheStreamCancelsItsJob) {
  Host(service_);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    Scope turn(scope, absl::Seconds(15), absl::UnknownError("too long"));
    auto stream = client_->Open(turn, CallContext());
    // Ends the turn once the job computes.
    std::thread watcher([&] {
      while (pool_.load() == 0) std::this_thread::yield();
      asio::post(scope.executor(), [&] { turn.Cancel(absl::CancelledError("the caller left")); });
    });
    auto proof = co_await stream->SolveDeepSeek(EndlessChallenge(absl::Now()), absl::InfiniteFuture());
    EXPECT_EQ(proof.status(), absl::CancelledError("the caller left"));
    watcher.join();
    stream = nullptr;
  });
  while (pool_.load() > 0) std::this_thread::yield();  // or the test times out
}

TEST_F(SigningClientTest, AServiceThatGoesAwayIsAskedAgain) {
  std::atomic<int> attempts{0};
  scripted_.body = [&](Server& call) -> asio::awaitable<absl::Status> {
    auto request = co_await call.Read();
    if (!request || ++attempts < 3) co_return absl::UnavailableError("restarting");
    SignResponse response;
    response.set_id(request->job().id());
    response.mutable_deepseek_proof()->set_answer(42);
    response.mutable_deepseek_proof()->set_header("header");
    call.Send(response);
    co_await call.Read();
    co_return absl::OkStatus();
  };
  Host(scripted_);
  const Proof proof = Solve(Challenge(1, 10, absl::Now()));
  ASSERT_TRUE(proof.ok()) << proof.status();
  EXPECT_EQ(proof->answer(), 42);
  EXPECT_EQ(attempts, 3);
}

TEST_F(SigningClientTest, AServiceThatIsAwayForTwoSecondsIsWaitedFor) {
  std::optional<std::chrono::steady_clock::time_point> first;
  scripted_.body = [&](Server& call) -> asio::awaitable<absl::Status> {
    auto request = co_await call.Read();
    const auto now = std::chrono::steady_clock::now();
    if (!first) first = now;
    if (!request || now - *first < std::chrono::seconds(2)) co_return absl::UnavailableError("restarting");
    SignResponse response;
    response.set_id(request->job().id());
    response.mutable_deepseek_proof()->set_header("header");
    call.Send(response);
    co_await call.Read();
    co_return absl::OkStatus();
  };
  Host(scripted_);
  const Proof proof = Solve(Challenge(1, 10, absl::Now()));
  EXPECT_TRUE(proof.ok()) << proof.status();
}

TEST_F(SigningClientTest, AServiceThatStaysAwayIsNoBackend) {
  Host(service_);
  auto gone = std::make_unique<SigningClient>(MakeChannel(host_->address()));
  host_->Shutdown(absl::ZeroDuration());
  host_ = nullptr;
  client_ = std::move(gone);
  // The deadline is sooner than the client's patience, and being unreachable is the better answer.
  const Proof proof = Solve(Challenge(1, 10, absl::Now()), absl::Milliseconds(400));
  EXPECT_EQ(ReasonOf(proof.status()), Reason::REASON_NO_BACKEND) << proof.status();
  EXPECT_THAT(std::string(proof.status().message()), ::testing::Not(::testing::HasSubstr("127.0.0.1")));
}

TEST_F(SigningClientTest, AServiceThatHangsMeetsTheDeadline) {
  scripted_.body = [](Server& call) -> asio::awaitable<absl::Status> {
    for (;;) {
      auto request = co_await call.Read();
      if (!request) break;
    }
    co_return absl::OkStatus();
  };
  Host(scripted_);
  EXPECT_EQ(ReasonOf(Solve(Challenge(1, 10, absl::Now()), absl::Milliseconds(200)).status()), Reason::REASON_DEADLINE);
}

TEST_F(SigningClientTest, NonsenseIsNeverTakenForAProof) {
  scripted_.body = [](Server& call) -> asio::awaitable<absl::Status> {
    for (;;) {
      auto request = co_await call.Read();
      if (!request) break;
      SignResponse other;
      other.set_id("somebody else's");
      other.mutable_deepseek_proof()->set_header("wrong");
      call.Send(other);
      SignResponse empty;
      empty.set_id(request->job().id());
      if (request->job().id() != "1") empty.mutable_zhipu_signature();
      call.Send(empty);
    }
    co_return absl::OkStatus();
  };
  Host(scripted_);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto stream = client_->Open(scope, CallContext());
    for (int i = 0; i < 2; ++i) {
      auto proof = co_await stream->SolveDeepSeek(Challenge(1, 10, absl::Now()), absl::Now() + absl::Seconds(10));
      EXPECT_EQ(ReasonOf(proof.status()), Reason::REASON_INTERNAL) << proof.status();
      EXPECT_EQ(DetailOf(proof.status()).cause(), "signing_garbage");
    }
  });
}

TEST_F(SigningClientTest, AnErrorOfTheStreamIsMappedAndTheNextJobGetsAnother) {
  std::atomic<int> streams{0};
  scripted_.body = [&](Server& call) -> asio::awaitable<absl::Status> {
    auto request = co_await call.Read();
    switch (++streams) {
      case 1:
        co_return absl::ResourceExhaustedError("raw text");
      case 2:
        co_return absl::InvalidArgumentError("raw text");
      default:
        co_return absl::DeadlineExceededError("raw text");
    }
  };
  Host(scripted_);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto stream = client_->Open(scope, CallContext());
    for (const Reason expected : {Reason::REASON_OVERLOADED, Reason::REASON_INTERNAL, Reason::REASON_DEADLINE}) {
      auto proof = co_await stream->SolveDeepSeek(Challenge(1, 10, absl::Now()), absl::Now() + absl::Seconds(10));
      EXPECT_EQ(ReasonOf(proof.status()), expected);
      EXPECT_THAT(std::string(proof.status().message()), ::testing::Not(::testing::HasSubstr("raw text")));
    }
  });
  EXPECT_EQ(streams, 3);
}

TEST_F(SigningClientTest, TheRequestIdTravels) {
  std::string seen;
  scripted_.body = [&](Server& call) -> asio::awaitable<absl::Status> {
    seen = call.context().request_id;
    co_return absl::InternalError("enough");
  };
  Host(scripted_);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    CallContext context;
    context.request_id = "req-7";
    auto stream = client_->Open(scope, context);
    auto proof = co_await stream->SolveDeepSeek(Challenge(1, 10, absl::Now()), absl::Now() + absl::Seconds(10));
    EXPECT_FALSE(proof.ok());
  });
  EXPECT_EQ(seen, "req-7");
}

}  // namespace
}  // namespace switchyard
