#include "services/signing/client/signing_client.h"

#include <string>
#include <utility>

#include "services/common/rpc/client_call.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using signing::v1::DeepSeekProof;
using signing::v1::DeepSeekProofOfWork;
using signing::v1::Job;
using signing::v1::JobError;
using signing::v1::SignRequest;
using signing::v1::SignResponse;

absl::Status FromJobError(const JobError& error) {
  switch (static_cast<absl::StatusCode>(error.code())) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:
      return MakeError(Reason::REASON_UPSTREAM_CHANGED, error.message(), {.cause = "challenge_malformed"});
    case absl::StatusCode::kFailedPrecondition:
      return MakeError(Reason::REASON_SIGNATURE_REFUSED, error.message(), {.cause = "challenge_unsolvable"});
    case absl::StatusCode::kDeadlineExceeded:
      return MakeError(Reason::REASON_DEADLINE, error.message(), {.cause = "signing_deadline"});
    case absl::StatusCode::kResourceExhausted:
      return MakeError(Reason::REASON_OVERLOADED, "the signing service is overloaded", {.retry_after = absl::Seconds(1), .cause = "signing_queue"});
    default:
      return MakeError(Reason::REASON_INTERNAL, error.message(), {.cause = "signing"});
  }
}

class Stream final : public SignStream {
 public:
  Stream(std::unique_ptr<ClientBidi<SignRequest, SignResponse>> call) : call_(std::move(call)) {}

  asio::awaitable<absl::StatusOr<DeepSeekProof>> SolveDeepSeek(DeepSeekProofOfWork challenge, absl::Time deadline) override {
    const std::string id = std::to_string(++jobs_);
    SignRequest request;
    Job& job = *request.mutable_job();
    job.set_id(id);
    *job.mutable_deepseek_proof_of_work() = std::move(challenge);
    if (deadline < absl::InfiniteFuture()) job.mutable_deadline()->set_seconds(absl::ToUnixSeconds(deadline));
    call_->Send(std::move(request));
    for (;;) {
      auto response = co_await call_->Read();
      if (!response) {
        const absl::Status status = co_await call_->Finish();
        co_return status.ok() ? MakeError(Reason::REASON_NO_BACKEND, "the signing service ended the work", {.cause = "signing"}) : status;
      }
      if (response->id() != id) continue;
      if (response->has_error()) co_return FromJobError(response->error());
      co_return std::move(*response->mutable_deepseek_proof());
    }
  }

 private:
  std::unique_ptr<ClientBidi<SignRequest, SignResponse>> call_;
  int jobs_ = 0;
};

}  // namespace

SigningClient::SigningClient(std::shared_ptr<grpc::Channel> channel) : stub_(signing::v1::SigningService::NewStub(std::move(channel))) {}

std::unique_ptr<SignStream> SigningClient::Open(Scope& scope, const CallContext& context) {
  return std::make_unique<Stream>(ClientBidi<SignRequest, SignResponse>::Start(
      scope, context, [this](grpc::ClientContext* client, auto* reactor) { stub_->async()->Sign(client, reactor); }));
}

}  // namespace switchyard
