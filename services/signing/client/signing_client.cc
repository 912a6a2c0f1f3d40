#include "services/signing/client/signing_client.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "services/common/async/sleep.h"
#include "services/common/rpc/client_call.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using signing::v1::DeepSeekProof;
using signing::v1::DeepSeekProofOfWork;
using signing::v1::Job;
using signing::v1::JobError;
using signing::v1::MiniMaxSignature;
using signing::v1::MiniMaxSignatureResult;
using signing::v1::SignRequest;
using signing::v1::SignResponse;
using signing::v1::ZhipuSignature;
using signing::v1::ZhipuSignatureResult;

// How long a service that cannot be reached is waited for: a restart, or another replica. Work is a pure function, so
// it may be asked for again.
constexpr absl::Duration kPatience = absl::Seconds(5);
// A signature takes microseconds; what takes longer is trouble.
constexpr absl::Duration kSignatureLimit = absl::Seconds(10);
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Milliseconds(400);

absl::Status Failed(Reason reason, absl::string_view message, std::string cause) {
  return MakeError(reason, message, {.cause = std::move(cause)});
}

/// The job's own failure; the service says what the edge is to make of it.
absl::Status FromJobError(const JobError& error) {
  const ErrorDetail& detail = error.detail();
  ErrorExtras extras;
  extras.cause = detail.cause();
  if (detail.has_retry_after()) extras.retry_after = absl::Seconds(detail.retry_after().seconds());
  const bool known = detail.reason() != Reason::REASON_UNSPECIFIED;
  return MakeError(known ? detail.reason() : Reason::REASON_INTERNAL, error.message(), std::move(extras));
}

/// The stream's end before the result. What gRPC says names addresses, so it goes no further.
absl::Status FromStreamEnd(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
      return Failed(Reason::REASON_NO_BACKEND, "the signing service cannot be reached", "signing_unreachable");
    case absl::StatusCode::kResourceExhausted:
      return Failed(Reason::REASON_OVERLOADED, "the signing service is overloaded", "signing_overloaded");
    case absl::StatusCode::kDeadlineExceeded:
      return Failed(Reason::REASON_DEADLINE, "the signing service took too long", "signing_deadline");
    default:
      return Failed(Reason::REASON_INTERNAL, "the signing service failed", "signing");
  }
}

class Stream final : public SignStream {
 public:
  Stream(signing::v1::SigningService::Stub& stub, Scope& scope, CallContext context)
      : stub_(stub), scope_(scope), context_(std::move(context)) {}

  asio::awaitable<absl::StatusOr<DeepSeekProof>> SolveDeepSeek(DeepSeekProofOfWork challenge,
                                                               absl::Time deadline) override {
    Job job;
    *job.mutable_deepseek_proof_of_work() = std::move(challenge);
    auto response = co_await Run(std::move(job), deadline);
    if (!response.ok()) co_return response.status();
    if (response->deepseek_proof().header().empty()) co_return Garbage();
    co_return std::move(*response->mutable_deepseek_proof());
  }

  asio::awaitable<absl::StatusOr<ZhipuSignatureResult>> SignZhipu(ZhipuSignature input) override {
    Job job;
    *job.mutable_zhipu_signature() = std::move(input);
    auto response = co_await Run(std::move(job), absl::Now() + kSignatureLimit);
    if (!response.ok()) co_return response.status();
    if (response->zhipu_signature().sign().empty()) co_return Garbage();
    co_return std::move(*response->mutable_zhipu_signature());
  }

  asio::awaitable<absl::StatusOr<MiniMaxSignatureResult>> SignMiniMax(MiniMaxSignature input) override {
    Job job;
    *job.mutable_minimax_signature() = std::move(input);
    auto response = co_await Run(std::move(job), absl::Now() + kSignatureLimit);
    if (!response.ok()) co_return response.status();
    if (response->minimax_signature().yy().empty()) co_return Garbage();
    co_return std::move(*response->mutable_minimax_signature());
  }

 private:
  static absl::Status Garbage() {
    return Failed(Reason::REASON_INTERNAL, "the signing service answered with something else", "signing_garbage");
  }

  asio::awaitable<absl::StatusOr<SignResponse>> Run(Job job, absl::Time deadline) {
    const auto give_up = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(kPatience);
    for (absl::Duration pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
      auto response = co_await Ask(job, deadline);
      if (response.ok() || scope_.ended() || ReasonOf(response.status()) != Reason::REASON_NO_BACKEND)
        co_return response;
      const bool again = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(pause) < give_up &&
                         absl::Now() + pause < deadline;
      if (!again) co_return response;
      const absl::Status slept = co_await Sleep(scope_, pause);
      if (!slept.ok()) co_return slept;
    }
  }

  asio::awaitable<absl::StatusOr<SignResponse>> Ask(const Job& wanted, absl::Time deadline) {
    const absl::Status too_late =
        Failed(Reason::REASON_DEADLINE, "the signature was not ready in time", "signing_deadline");
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) co_return too_late;
    if (call_ == nullptr) {
      call_ = Call::Start(scope_, context_,
                          [this](grpc::ClientContext* client, auto* reactor) { stub_.async()->Sign(client, reactor); });
    }
    SignRequest request;
    Job& job = *request.mutable_job();
    job = wanted;
    const std::string id = std::to_string(++jobs_);
    job.set_id(id);
    if (deadline < absl::InfiniteFuture()) {
      const absl::Duration since_epoch = deadline - absl::UnixEpoch();
      absl::Duration rest;
      job.mutable_deadline()->set_seconds(absl::IDivDuration(since_epoch, absl::Seconds(1), &rest));
      job.mutable_deadline()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
    }
    call_->Send(std::move(request));

    // The service keeps the deadline itself; this is for one that hangs.
    Scope limit(scope_, left, too_late);
    auto stop = limit.OnEnd([this] { call_->Cancel(); });
    for (;;) {
      auto response = co_await call_->Read();
      if (!response) {
        const absl::Status status = co_await call_->Finish();
        call_ = nullptr;  // the next job starts another call
        if (limit.ended()) co_return limit.status();
        co_return FromStreamEnd(status);
      }
      if (response->id() != id) continue;
      if (response->has_error()) co_return FromJobError(response->error());
      co_return std::move(*response);
    }
  }

  using Call = ClientBidi<SignRequest, SignResponse>;

  signing::v1::SigningService::Stub& stub_;
  Scope& scope_;
  CallContext context_;
  std::unique_ptr<Call> call_;  // none before the first job and after a call that broke off
  int jobs_ = 0;
};

}  // namespace

SigningClient::SigningClient(std::shared_ptr<grpc::Channel> channel)
    : stub_(signing::v1::SigningService::NewStub(std::move(channel))) {}

std::unique_ptr<SignStream> SigningClient::Open(Scope& scope, const CallContext& context) {
  return std::make_unique<Stream>(*stub_, scope, context);
}

}  // namespace switchyard
