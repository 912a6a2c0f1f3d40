#include "services/signing/signing_service.h"

#include <atomic>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "boost/asio/post.hpp"
#include "boost/asio/steady_timer.hpp"
#include "services/common/async/event.h"
#include "services/common/metrics/metrics.h"
#include "services/common/rpc/server_call.h"
#include "services/common/trace/span.h"
#include "services/signing/schemes/deepseek_pow.h"
#include "services/signing/schemes/minimax_sign.h"
#include "services/signing/schemes/zhipu_sign.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using signing::v1::Job;
using signing::v1::SignRequest;
using signing::v1::SignResponse;
using Call = ServerBidi<SignRequest, SignResponse>;

constexpr size_t kMaxOpenJobs = 64;

// Clocks of platform, provider and service may disagree by this much: a challenge counts as expired only when it has
// expired by all of them. The job's deadline, made by somebody who has seen the platform's clock, is the precise bound.
constexpr absl::Duration kClockAllowance = absl::Minutes(10);

/// What the edge would make of a job's error, and a word for logs.
ErrorDetail JobDetail(const absl::Status& status) {
  const auto detail = [](Reason reason, std::string cause) {
    return DetailOf(MakeError(reason, "", {.cause = std::move(cause)}));
  };
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return detail(Reason::REASON_UPSTREAM_CHANGED, "pow_malformed");
    case absl::StatusCode::kUnimplemented:
      return detail(Reason::REASON_INTERNAL, "signing_scheme_unknown");
    case absl::StatusCode::kFailedPrecondition:
      return detail(Reason::REASON_SIGNATURE_REFUSED, "pow_unsolvable");
    case absl::StatusCode::kDeadlineExceeded:
      return detail(Reason::REASON_DEADLINE, "signing_deadline");
    case absl::StatusCode::kResourceExhausted:
      return DetailOf(
          MakeError(Reason::REASON_OVERLOADED, "", {.retry_after = absl::Seconds(1), .cause = "signing_queue"}));
    default:
      return detail(Reason::REASON_INTERNAL, "signing");
  }
}

void SetError(SignResponse& response, const absl::Status& status) {
  auto* error = response.mutable_error();
  error->set_code(static_cast<int>(status.code()));
  error->set_message(std::string(status.message()));
  *error->mutable_detail() = JobDetail(status);
}

absl::StatusOr<signing::v1::DeepSeekProof> Solve(const signing::v1::DeepSeekProofOfWork& challenge, absl::Time now,
                                                 const std::atomic<bool>& cancelled) {
  if (auto status = CheckChallenge(challenge); !status.ok()) return status;
  if (now > absl::FromUnixMillis(challenge.expire_at_ms()) + kClockAllowance) {
    return absl::FailedPreconditionError("the challenge has expired");
  }
  return SolveDeepSeek(challenge, cancelled);
}

template <typename Result>
void SetResult(SignResponse& response, Result& field, absl::StatusOr<Result> result) {
  if (result.ok()) {
    field = *std::move(result);
  } else {
    SetError(response, result.status());
  }
}

absl::string_view SchemeName(const Job& job) {
  switch (job.input_case()) {
    case Job::kDeepseekProofOfWork:
      return "deepseek_pow";
    case Job::kZhipuSignature:
      return "zhipu";
    case Job::kMinimaxSignature:
      return "minimax";
    default:
      return "other";
  }
}

/// Computes one job, on a pool thread.
SignResponse Compute(const Job& job, absl::Time now, const std::atomic<bool>& cancelled) {
  SignResponse response;
  response.set_id(job.id());
  switch (job.input_case()) {
    case Job::kDeepseekProofOfWork:
      SetResult(response, *response.mutable_deepseek_proof(), Solve(job.deepseek_proof_of_work(), now, cancelled));
      break;
    case Job::kZhipuSignature:
      SetResult(response, *response.mutable_zhipu_signature(), SignZhipu(job.zhipu_signature()));
      break;
    case Job::kMinimaxSignature:
      SetResult(response, *response.mutable_minimax_signature(), SignMiniMax(job.minimax_signature()));
      break;
    case Job::INPUT_NOT_SET:
      SetError(response, absl::InvalidArgumentError("the job has no input"));
      break;
  }
  return response;
}

/// What the span of a job says; it ends here.
void SetOutcome(Span& span, const absl::Status& outcome) {
  span.Set("rpc.system", "grpc");
  span.Set("rpc.service", "switchyard.signing.v1.SigningService");
  span.Set("rpc.method", "Sign");
  span.Set("rpc.grpc.status_code", static_cast<int>(outcome.code()));
  if (!outcome.ok()) span.Fail(absl::AsciiStrToLower(absl::StatusCodeToString(outcome.code())));
  span.End();
}

/// The contract's code for one stream's excess; its reason says 503, as for any overload.
absl::Status TooManyJobs() {
  const absl::Status overloaded =
      MakeError(Reason::REASON_OVERLOADED, absl::StrCat("a stream may have at most ", kMaxOpenJobs, " jobs open"),
                {.cause = "signing_jobs"});
  absl::Status status(absl::StatusCode::kResourceExhausted, overloaded.message());
  overloaded.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { status.SetPayload(url, payload); });
  return status;
}

absl::Status Stopping() {
  return MakeError(Reason::REASON_NO_BACKEND, "the signing service is stopping", {.cause = "signing_stopping"});
}

/// One Sign stream. Lives on its executor until the stream has ended and no job of it runs any more.
class SignStreamServer : public std::enable_shared_from_this<SignStreamServer> {
 public:
  SignStreamServer(Call& call, CpuPool& pool, const Clock& clock, const std::atomic<bool>& stopping)
      : call_(call), pool_(pool), clock_(clock), stopping_(stopping), idle_(call.scope().executor()) {}

  asio::awaitable<absl::Status> Run() {
    absl::Status status = stopping_ ? Stopping() : absl::OkStatus();
    while (status.ok()) {
      auto request = co_await call_.Read();
      if (!request) break;
      status = Handle(std::move(*request));
    }
    // A caller that has only closed its side still gets its results; any other end cancels them.
    if (status.ok()) {
      while (!open_.empty() && !call_.scope().ended()) co_await idle_.Wait(call_.scope());
    }
    for (auto& [id, job] : open_) {
      Metrics::Get().SignJobDone(job->scheme, absl::CancelledError("the caller went away"));
      SetOutcome(job->span, absl::CancelledError("the caller went away"));
      job->cancelled = true;
      job->timer.cancel();
    }
    open_.clear();
    ended_ = true;
    co_return status.ok() ? call_.scope().status() : status;
  }

 private:
  struct OpenJob {
    OpenJob(const CallContext& context, absl::string_view name, Executor executor)
        : scheme(name), timer(std::move(executor)) {
      if (context.traceparent.empty()) return;  // work of nobody's request
      span = Span::Start(absl::StrCat("sign ", scheme), SpanKind::kServer, context.traceparent, context.tracestate);
    }
    const absl::string_view scheme;  // for metrics
    std::atomic<bool> cancelled{false};
    asio::steady_timer timer;
    Span span;
  };

  absl::Status Handle(SignRequest request) {
    switch (request.request_case()) {
      case SignRequest::kJob:
        return Start(std::move(*request.mutable_job()));
      case SignRequest::kCancel:
        Fail(request.cancel().id(), absl::CancelledError("the job was cancelled"));
        return absl::OkStatus();
      case SignRequest::REQUEST_NOT_SET:
        break;
    }
    return absl::InvalidArgumentError("a request is either a job or a cancel");
  }

  absl::Status Start(Job job) {
    const std::string id = job.id();
    if (id.empty()) return absl::InvalidArgumentError("a job needs an id");
    if (open_.count(id) > 0) return absl::InvalidArgumentError("a job with this id is already running");
    if (open_.size() >= kMaxOpenJobs) return TooManyJobs();
    if (stopping_) return Stopping();
    auto entry = std::make_shared<OpenJob>(call_.context(), SchemeName(job), call_.scope().executor());
    open_.emplace(id, entry);
    if (job.has_deadline()) {
      const absl::Time deadline =
          absl::FromUnixSeconds(job.deadline().seconds()) + absl::Nanoseconds(job.deadline().nanos());
      const absl::Duration left = deadline - clock_.Now();
      if (left <= absl::ZeroDuration()) {
        Fail(id, absl::DeadlineExceededError("the job's deadline has passed"));
        return absl::OkStatus();
      }
      entry->timer.expires_after(absl::ToChronoNanoseconds(left));
      entry->timer.async_wait([self = shared_from_this(), id](const boost::system::error_code& error) {
        if (!error) self->Fail(id, absl::DeadlineExceededError("the job's deadline has passed"));
      });
    }
    auto work = [self = shared_from_this(), entry, job = std::move(job),
                 executor = call_.scope().executor()]() mutable {
      if (entry->cancelled.load()) return;
      const auto start = std::chrono::steady_clock::now();
      SignResponse response = Compute(job, self->clock_.Now(), entry->cancelled);
      const auto took = std::chrono::steady_clock::now() - start;
      if (response.has_deepseek_proof())
        Metrics::Get().ProofOfWorkTime().Observe(absl::ToDoubleSeconds(absl::FromChrono(took)));
      response.mutable_compute_time()->set_seconds(std::chrono::duration_cast<std::chrono::seconds>(took).count());
      response.mutable_compute_time()->set_nanos(static_cast<int32_t>(took.count() % 1'000'000'000));
      asio::post(executor, [self = std::move(self), entry = std::move(entry),
                            response = std::move(response)]() mutable { self->Finish(*entry, std::move(response)); });
    };
    if (auto status = pool_.Submit(std::move(work)); !status.ok()) Fail(id, status);
    return absl::OkStatus();
  }

  void Fail(const std::string& id, const absl::Status& why) {
    const auto found = open_.find(id);
    if (found == open_.end()) return;
    const auto entry = found->second;
    entry->cancelled = true;
    SignResponse response;
    response.set_id(id);
    SetError(response, why);
    Answer(found, std::move(response));
  }

  void Finish(const OpenJob& entry, SignResponse response) {
    const auto found = open_.find(response.id());
    // A cancelled job has been answered already, and its id may have been taken again.
    if (ended_ || found == open_.end() || found->second.get() != &entry) return;
    Answer(found, std::move(response));
  }

  void Answer(std::map<std::string, std::shared_ptr<OpenJob>>::iterator at, SignResponse response) {
    at->second->timer.cancel();
    absl::Status outcome;
    if (response.has_error()) outcome = absl::Status(static_cast<absl::StatusCode>(response.error().code()), "");
    Metrics::Get().SignJobDone(at->second->scheme, outcome);
    SetOutcome(at->second->span, outcome);
    open_.erase(at);
    call_.Send(std::move(response));
    idle_.Set();
  }

  Call& call_;  // used only until Run() has returned
  CpuPool& pool_;
  const Clock& clock_;
  const std::atomic<bool>& stopping_;
  std::map<std::string, std::shared_ptr<OpenJob>> open_;
  Event idle_;
  bool ended_ = false;
};

}  // namespace

grpc::ServerBidiReactor<SignRequest, SignResponse>* SigningService::Sign(grpc::CallbackServerContext* context) {
  auto body = [this](Call& call) -> asio::awaitable<absl::Status> {
    auto stream = std::make_shared<SignStreamServer>(call, pool_, clock_, stopping_);
    co_return co_await stream->Run();
  };
  return ServeBidi<SignRequest, SignResponse>(runtime_.Next(), context, body);
}

}  // namespace switchyard
