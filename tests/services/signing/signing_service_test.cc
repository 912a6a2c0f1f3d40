// The service over an in-process channel: results in any order, cancellation, deadlines, limits, and every way a stream
// ends.
#include "services/signing/signing_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/rpc/client_call.h"
#include "services/common/rpc/server_host.h"
#include "services/common/status/reason.h"
#include "tests/services/signing/challenges.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using signing::v1::SignRequest;
using signing::v1::SignResponse;
using Call = ClientBidi<SignRequest, SignResponse>;
using Responses = std::map<std::string, SignResponse>;

class FixedClock final : public Clock {
 public:
  absl::Time Now() const override { return ChallengeTime(); }
  Monotonic MonotonicNow() const override { return std::chrono::steady_clock::now(); }
};

SignRequest JobRequest(const std::string& id, signing::v1::DeepSeekProofOfWork challenge) {
  SignRequest request;
  request.mutable_job()->set_id(id);
  *request.mutable_job()->mutable_deepseek_proof_of_work() = std::move(challenge);
  return request;
}

SignRequest WithDeadline(SignRequest request, absl::Time deadline) {
  const int64_t nanos = absl::ToUnixNanos(deadline);
  request.mutable_job()->mutable_deadline()->set_seconds(nanos / 1'000'000'000);
  request.mutable_job()->mutable_deadline()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  return request;
}

SignRequest CancelRequest(const std::string& id) {
  SignRequest request;
  request.mutable_cancel()->set_id(id);
  return request;
}

absl::StatusCode CodeOf(const SignResponse& response) { return static_cast<absl::StatusCode>(response.error().code()); }

class SigningServiceTest : public ::testing::Test {
 protected:
  SigningServiceTest() { Serve({.threads = 2, .queue_depth = 256}); }
  ~SigningServiceTest() override {
    host_->Shutdown(absl::Seconds(5));
    EXPECT_TRUE(PoolBecomesIdle());
    pool_.reset();
    runtime_.Stop();
  }

  void Serve(CpuPool::Options options) {
    if (host_) host_->Shutdown(absl::ZeroDuration());
    service_.reset();
    pool_ = std::make_unique<CpuPool>(options);
    service_ = std::make_unique<SigningService>(runtime_, *pool_, clock_);
    auto host = ServerHost::Start({}, {service_.get()});
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = std::move(*host);
    stub_ = signing::v1::SigningService::NewStub(host_->InProcessChannel());
  }

  /// Runs a coroutine of a caller to its end.
  void Run(std::function<asio::awaitable<void>(Scope&)> body) {
    auto task = [&]() -> asio::awaitable<void> {
      Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
      co_await body(scope);
    };
    asio::co_spawn(runtime_.Next(), task, asio::use_future).get();
  }

  std::unique_ptr<Call> Open(Scope& scope) {
    return Call::Start(scope, CallContext(),
                       [this](grpc::ClientContext* client, auto* reactor) { stub_->async()->Sign(client, reactor); });
  }

  /// Sends, closes, and reads to the end.
  absl::Status Exchange(std::vector<SignRequest> requests, Responses& responses) {
    absl::Status status;
    Run([&](Scope& scope) -> asio::awaitable<void> {
      auto call = Open(scope);
      for (SignRequest& request : requests) call->Send(request);
      call->Close();
      for (;;) {
        auto response = co_await call->Read();
        if (!response) break;
        EXPECT_EQ(responses.count(response->id()), 0u) << "a job has one result: " << response->id();
        responses[response->id()] = *response;
      }
      status = co_await call->Finish();
    });
    return status;
  }

  bool PoolBecomesIdle(absl::Duration limit = absl::Seconds(10)) {
    const absl::Time until = absl::Now() + limit;
    while (pool_->load() > 0) {
      if (absl::Now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }
  void WaitForLoad(int load) {
    while (pool_->load() < load) std::this_thread::yield();
  }

  Runtime runtime_{{.threads = 2}};
  const FixedClock clock_;
  std::unique_ptr<CpuPool> pool_;
  std::unique_ptr<SigningService> service_;
  std::unique_ptr<ServerHost> host_;
  std::unique_ptr<signing::v1::SigningService::Stub> stub_;
};

TEST_F(SigningServiceTest, AProofHasAnswerHeaderAndTheTimeItTook) {
  Responses responses;
  EXPECT_EQ(Exchange({JobRequest("a", Challenge(22533, 144000))}, responses), absl::OkStatus());
  ASSERT_EQ(responses.size(), 1u);
  const SignResponse& response = responses["a"];
  EXPECT_EQ(response.deepseek_proof().answer(), 22533);
  std::string header;
  ASSERT_TRUE(absl::Base64Unescape(response.deepseek_proof().header(), &header));
  EXPECT_THAT(header, ::testing::HasSubstr("\"answer\":22533,\"signature\":\"any\""));
  EXPECT_GT(response.compute_time().nanos() + response.compute_time().seconds(), 0);
}

TEST_F(SigningServiceTest, ResultsComeOutOfOrderAndACancelledJobSaysSo) {
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto call = Open(scope);
    call->Send(JobRequest("endless", EndlessChallenge()));
    call->Send(JobRequest("quick", Challenge(7, 1000)));
    auto first = co_await call->Read();
    EXPECT_TRUE(first.has_value());
    EXPECT_EQ(first->id(), "quick");
    EXPECT_EQ(first->deepseek_proof().answer(), 7);
    call->Send(CancelRequest("endless"));
    const auto asked = std::chrono::steady_clock::now();
    auto second = co_await call->Read();
    EXPECT_TRUE(second.has_value());
    EXPECT_EQ(second->id(), "endless");
    EXPECT_EQ(CodeOf(*second), absl::StatusCode::kCancelled);
    EXPECT_TRUE(PoolBecomesIdle());
    EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds(2));
    // Its id is free again.
    call->Send(JobRequest("endless", Challenge(8, 1000)));
    auto third = co_await call->Read();
    EXPECT_EQ(third->deepseek_proof().answer(), 8);
    EXPECT_EQ(co_await call->Finish(), absl::OkStatus());
  });
}

TEST_F(SigningServiceTest, ACancelOfAnUnknownIdIsIgnored) {
  Responses responses;
  EXPECT_EQ(Exchange({CancelRequest("nobody"), JobRequest("a", Challenge(1, 10)), CancelRequest("")}, responses),
            absl::OkStatus());
  EXPECT_EQ(responses["a"].deepseek_proof().answer(), 1);
}

TEST_F(SigningServiceTest, AJobThatWasCancelledWhileItWaitedIsNotComputed) {
  Serve({.threads = 1, .queue_depth = 8});
  absl::Notification started, go_on;
  ASSERT_TRUE(pool_
                  ->Submit([&] {
                    started.Notify();
                    go_on.WaitForNotification();
                  })
                  .ok());
  started.WaitForNotification();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto call = Open(scope);
    call->Send(JobRequest("waiting", Challenge(1, 10)));
    call->Send(CancelRequest("waiting"));
    auto response = co_await call->Read();
    EXPECT_EQ(CodeOf(*response), absl::StatusCode::kCancelled);
    go_on.Notify();
    EXPECT_EQ(co_await call->Finish(), absl::OkStatus());
  });
  EXPECT_TRUE(PoolBecomesIdle());  // who waits for a notification still touches it
}

TEST_F(SigningServiceTest, ClosingTheCallersSideLetsJobsFinish) {
  Responses responses;
  std::vector<SignRequest> requests;
  for (int i = 0; i < 60; ++i) requests.push_back(JobRequest(absl::StrCat(i), Challenge(14300 + i, 14400)));
  EXPECT_EQ(Exchange(requests, responses), absl::OkStatus());
  ASSERT_EQ(responses.size(), 60u);
  for (int i = 0; i < 60; ++i) EXPECT_EQ(responses[absl::StrCat(i)].deepseek_proof().answer(), 14300 + i);
}

TEST_F(SigningServiceTest, WhatIsNeitherJobNorCancelEndsTheStream) {
  Responses responses;
  EXPECT_EQ(Exchange({JobRequest("a", EndlessChallenge()), SignRequest()}, responses).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(PoolBecomesIdle());
}

TEST_F(SigningServiceTest, AJobIdIsNeitherEmptyNorTaken) {
  Responses responses;
  EXPECT_EQ(Exchange({JobRequest("", Challenge(1, 10))}, responses).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Exchange({JobRequest("a", EndlessChallenge()), JobRequest("a", Challenge(1, 10))}, responses).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(responses.empty());
  EXPECT_TRUE(PoolBecomesIdle());
}

TEST_F(SigningServiceTest, TheSixtyFifthOpenJobEndsTheStream) {
  std::vector<SignRequest> requests;
  for (int i = 0; i < 65; ++i) requests.push_back(JobRequest(absl::StrCat(i), EndlessChallenge()));
  Responses responses;
  const absl::Status status = Exchange(requests, responses);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), Reason::REASON_OVERLOADED);
  EXPECT_TRUE(PoolBecomesIdle());
}

TEST_F(SigningServiceTest, SixtyFourOpenJobsAreServed) {
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto call = Open(scope);
    for (int i = 0; i < 64; ++i) call->Send(JobRequest(absl::StrCat(i), EndlessChallenge()));
    for (int i = 0; i < 64; ++i) call->Send(CancelRequest(absl::StrCat(i)));
    call->Send(JobRequest("more", Challenge(3, 10)));
    call->Close();
    int cancelled = 0;
    bool solved = false;
    for (;;) {
      auto response = co_await call->Read();
      if (!response) break;
      if (response->id() == "more") solved = response->deepseek_proof().answer() == 3;
      if (response->has_error() && CodeOf(*response) == absl::StatusCode::kCancelled) ++cancelled;
    }
    EXPECT_EQ(co_await call->Finish(), absl::OkStatus());
    EXPECT_EQ(cancelled, 64);
    EXPECT_TRUE(solved);
  });
}

TEST_F(SigningServiceTest, ACallerThatVanishesLeavesThePoolIdle) {
  for (int round = 0; round < 20; ++round) {
    Run([&](Scope& scope) -> asio::awaitable<void> {
      auto call = Open(scope);
      for (int i = 0; i < 10; ++i) call->Send(JobRequest(absl::StrCat(i), EndlessChallenge()));
      call->Send(JobRequest("quick", Challenge(1, 2)));
      call->Send(CancelRequest("3"));
      auto response = co_await call->Read();  // the jobs have arrived
      EXPECT_TRUE(response.has_value());
      call = nullptr;
    });
    EXPECT_TRUE(PoolBecomesIdle()) << "round " << round;
  }
}

TEST_F(SigningServiceTest, TheEndOfTheCallsOwnDeadlineCancelsItsJobs) {
  Run([&](Scope& scope) -> asio::awaitable<void> {
    Scope shorter(scope, absl::Milliseconds(300), MakeError(Reason::REASON_DEADLINE, "short"));
    auto call = Open(shorter);
    call->Send(JobRequest("endless", EndlessChallenge()));
    auto response = co_await call->Read();
    EXPECT_FALSE(response.has_value());
    EXPECT_EQ((co_await call->Finish()).code(), absl::StatusCode::kDeadlineExceeded);
  });
  EXPECT_TRUE(PoolBecomesIdle());
}

TEST_F(SigningServiceTest, AJobEndsByItsDeadline) {
  Responses responses;
  EXPECT_EQ(Exchange({WithDeadline(JobRequest("soon", EndlessChallenge()), ChallengeTime() + absl::Milliseconds(50)),
                      WithDeadline(JobRequest("past", Challenge(1, 10)), ChallengeTime() - absl::Milliseconds(1)),
                      WithDeadline(JobRequest("zero", Challenge(1, 10)), absl::UnixEpoch()),
                      WithDeadline(JobRequest("later", Challenge(2, 10)), ChallengeTime() + absl::Seconds(20))},
                     responses),
            absl::OkStatus());
  EXPECT_EQ(CodeOf(responses["soon"]), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(responses["soon"].error().detail().reason(), Reason::REASON_DEADLINE);
  EXPECT_EQ(CodeOf(responses["past"]), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(CodeOf(responses["zero"]), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(responses["later"].deepseek_proof().answer(), 2);
  EXPECT_TRUE(PoolBecomesIdle());
}

TEST_F(SigningServiceTest, AnAbsurdlyLateDeadlineIsNone) {
  SignRequest request = JobRequest("a", Challenge(5, 10));
  request.mutable_job()->mutable_deadline()->set_seconds(INT64_MAX);
  Responses responses;
  EXPECT_EQ(Exchange({request}, responses), absl::OkStatus());
  EXPECT_EQ(responses["a"].deepseek_proof().answer(), 5);
}

TEST_F(SigningServiceTest, AJobThatFailsLeavesTheStreamOpen) {
  auto wrong_algorithm = Challenge(1, 10);
  wrong_algorithm.set_algorithm("DeepSeekHashV2");
  auto not_hex = Challenge(1, 10);
  not_hex.set_challenge(std::string(64, 'g'));
  auto too_long = Challenge(1, 10);
  too_long.set_salt(std::string(65 * 1024, 'a'));
  auto unsolvable = Challenge(10, 10);
  SignRequest zhipu, minimax, none;
  zhipu.mutable_job()->set_id("zhipu");
  zhipu.mutable_job()->mutable_zhipu_signature();  // no time, no nonce
  minimax.mutable_job()->set_id("minimax");
  minimax.mutable_job()->mutable_minimax_signature();
  none.mutable_job()->set_id("none");
  Responses responses;
  EXPECT_EQ(
      Exchange({JobRequest("algorithm", wrong_algorithm), JobRequest("hex", not_hex), JobRequest("long", too_long),
                JobRequest("unsolvable", unsolvable), zhipu, minimax, none, JobRequest("good", Challenge(9, 10))},
               responses),
      absl::OkStatus());
  for (const char* id : {"algorithm", "hex", "long", "none", "zhipu", "minimax"}) {
    EXPECT_EQ(CodeOf(responses[id]), absl::StatusCode::kInvalidArgument) << id;
    EXPECT_EQ(responses[id].error().detail().reason(), Reason::REASON_UPSTREAM_CHANGED) << id;
  }
  EXPECT_EQ(CodeOf(responses["unsolvable"]), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(responses["unsolvable"].error().detail().reason(), Reason::REASON_SIGNATURE_REFUSED);
  EXPECT_EQ(responses["good"].deepseek_proof().answer(), 9);
}

TEST_F(SigningServiceTest, SignaturesAreJobsLikeAnyOther) {
  SignRequest zhipu, minimax;
  zhipu.mutable_job()->set_id("zhipu");
  zhipu.mutable_job()->mutable_zhipu_signature()->set_time_ms(1767225600123);
  zhipu.mutable_job()->mutable_zhipu_signature()->set_nonce("5e696148a4ab36ef7f0535bc70b6af30");
  minimax.mutable_job()->set_id("minimax");
  minimax.mutable_job()->mutable_minimax_signature()->set_time_ms(1771400000000);
  minimax.mutable_job()->mutable_minimax_signature()->set_target("/v1/api/user/renewal");
  minimax.mutable_job()->mutable_minimax_signature()->set_body("{}");
  Responses responses;
  EXPECT_EQ(Exchange({zhipu, minimax}, responses), absl::OkStatus());
  EXPECT_EQ(responses["zhipu"].zhipu_signature().timestamp(), "1767225600103");
  EXPECT_EQ(responses["zhipu"].zhipu_signature().sign(), "94fd31d5ffe68a28daeb03f26d71deb2");
  EXPECT_EQ(responses["minimax"].minimax_signature().x_timestamp(), "1771400000");
  EXPECT_EQ(responses["minimax"].minimax_signature().x_signature(), "72811ba660f01bc1988f2b4f8eb3a522");
  EXPECT_EQ(responses["minimax"].minimax_signature().yy(), "07278e17d2f0c680259f9666f7846337");
}

TEST_F(SigningServiceTest, AnExpiredChallengeIsRefusedOnceEveryClockSaysSo) {
  Responses responses;
  EXPECT_EQ(Exchange({JobRequest("just", Challenge(1, 10, ChallengeTime() - absl::Minutes(14))),
                      JobRequest("long", Challenge(1, 10, ChallengeTime() - absl::Minutes(16)))},
                     responses),
            absl::OkStatus());
  EXPECT_EQ(responses["just"].deepseek_proof().answer(), 1) << "the service's clock may be the wrong one";
  EXPECT_EQ(CodeOf(responses["long"]), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(responses["long"].error().message(), ::testing::HasSubstr("expired"));
}

TEST_F(SigningServiceTest, AFullQueueFailsTheJobAlone) {
  Serve({.threads = 1, .queue_depth = 1});
  absl::Notification started, go_on;
  ASSERT_TRUE(pool_
                  ->Submit([&] {
                    started.Notify();
                    go_on.WaitForNotification();
                  })
                  .ok());
  started.WaitForNotification();
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto call = Open(scope);
    call->Send(JobRequest("queued", Challenge(4, 10)));
    call->Send(JobRequest("refused", Challenge(5, 10)));
    auto first = co_await call->Read();
    EXPECT_EQ(first->id(), "refused");
    EXPECT_EQ(CodeOf(*first), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(first->error().detail().reason(), Reason::REASON_OVERLOADED);
    EXPECT_TRUE(first->error().detail().has_retry_after());
    go_on.Notify();
    auto second = co_await call->Read();
    EXPECT_EQ(second->id(), "queued");
    EXPECT_EQ(second->deepseek_proof().answer(), 4);
    EXPECT_EQ(co_await call->Finish(), absl::OkStatus());
  });
  EXPECT_TRUE(PoolBecomesIdle());  // who waits for a notification still touches it
}

TEST_F(SigningServiceTest, WhileItStopsOpenJobsAreFinishedAndNewOnesRefused) {
  absl::Notification go_on;
  Serve({.threads = 1, .queue_depth = 8});
  ASSERT_TRUE(pool_->Submit([&] { go_on.WaitForNotification(); }).ok());
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto call = Open(scope);
    call->Send(JobRequest("open", Challenge(6, 10)));
    call->Send(JobRequest("probe", SignRequest().job().deepseek_proof_of_work()));
    call->Send(CancelRequest("probe"));
    auto arrived = co_await call->Read();
    EXPECT_EQ(arrived->id(), "probe");
    service_->Stop();
    go_on.Notify();
    auto response = co_await call->Read();
    EXPECT_EQ(response->deepseek_proof().answer(), 6);
    call->Send(JobRequest("late", Challenge(6, 10)));
    auto end = co_await call->Read();
    EXPECT_FALSE(end.has_value());
    EXPECT_EQ((co_await call->Finish()).code(), absl::StatusCode::kUnavailable);
  });
  Responses responses;
  EXPECT_EQ(Exchange({JobRequest("a", Challenge(1, 10))}, responses).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(PoolBecomesIdle());  // who waits for a notification still touches it
}

TEST_F(SigningServiceTest, ShuttingTheServerDownCancelsWhatRuns) {
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto call = Open(scope);
    call->Send(JobRequest("endless", EndlessChallenge()));
    call->Send(JobRequest("quick", Challenge(1, 2)));
    auto response = co_await call->Read();
    EXPECT_EQ(response->id(), "quick");
    std::thread ender([&] { host_->Shutdown(absl::ZeroDuration()); });
    auto end = co_await call->Read();
    EXPECT_FALSE(end.has_value());
    EXPECT_FALSE((co_await call->Finish()).ok());
    ender.join();
  });
  EXPECT_TRUE(PoolBecomesIdle());
}

}  // namespace
}  // namespace switchyard
