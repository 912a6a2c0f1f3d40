#include "services/session/client/session_client.h"

#include <chrono>
#include <utility>

#include "boost/asio/this_coro.hpp"
#include "services/common/log/log.h"
#include "services/common/rpc/client_call.h"
#include "services/common/status/reason.h"

namespace switchyard {

namespace asio = boost::asio;

namespace {

constexpr auto kReleaseLimit = std::chrono::seconds(5);

using session::v1::LeaseEvent;
using session::v1::LeaseRequest;
using Call = ClientBidi<LeaseRequest, LeaseEvent>;

// A revocation with this cause answers a request for the ledger; any other concerns the account.
constexpr absl::string_view kStoreCause = "store";

absl::Status RevokedError(const session::v1::Revoked& revoked) {
  const ErrorDetail& detail = revoked.detail();
  ErrorExtras extras{.cause = detail.cause()};
  if (detail.has_until()) extras.until = absl::FromUnixSeconds(detail.until().seconds());
  return MakeError(detail.reason(), revoked.message(), std::move(extras));
}

class Handle final : public LeaseHandle {
 public:
  Handle(std::unique_ptr<Call> call, session::v1::Granted granted)
      : call_(std::move(call)),
        account_(granted.account()),
        token_(granted.token().value()),
        version_(granted.token().version()),
        identity_(granted.identity().begin(), granted.identity().end()),
        conversation_ref_(granted.conversation_ref()),
        pending_(granted.pending_conversations().begin(), granted.pending_conversations().end()) {}

  const std::string& account() const override { return account_; }
  const Secret& token() const override { return token_; }
  const std::map<std::string, std::string>& identity() const override { return identity_; }
  const std::string& conversation_ref() const override { return conversation_ref_; }
  const std::vector<std::string>& pending_conversations() const override { return pending_; }

  void Report(session::v1::ReportOutcome outcome) override {
    LeaseRequest request;
    *request.mutable_outcome() = std::move(outcome);
    call_->Send(std::move(request));
  }

  asio::awaitable<absl::Status> RecordConversation(Scope& scope, std::string ref) override {
    LeaseRequest request;
    request.mutable_conversation_opened()->set_ref(ref);
    call_->Send(std::move(request));
    auto answer = co_await ReadUntil(scope, LeaseEvent::kConversationRecorded);
    co_return answer.status();
  }

  void ConversationDeleted(const std::string& ref) override {
    LeaseRequest request;
    request.mutable_conversation_deleted()->set_ref(ref);
    call_->Send(std::move(request));
  }

  asio::awaitable<absl::StatusOr<std::string>> KeepConversation(Scope& scope, std::string ref,
                                                                std::string resume_ref) override {
    LeaseRequest request;
    request.mutable_conversation_kept()->set_ref(std::move(ref));
    request.mutable_conversation_kept()->set_resume_ref(std::move(resume_ref));
    call_->Send(std::move(request));
    // The answer has begun and may finish, whatever befell the account; only a failure of this very request counts.
    auto answer = co_await ReadUntil(scope, LeaseEvent::kConversationSealed);
    if (!answer.ok()) co_return answer.status();
    co_return answer->conversation_sealed().conversation_id();
  }

  asio::awaitable<absl::Status> RefreshToken(Scope& scope) override {
    const int64_t refused = version_;
    LeaseRequest request;
    request.mutable_token_refused()->set_version(refused);
    call_->Send(std::move(request));
    while (version_ == refused) {
      auto answer = co_await ReadUntil(scope, LeaseEvent::kTokenUpdated);
      if (!answer.ok()) co_return answer.status();
    }
    co_return absl::OkStatus();
  }

  asio::awaitable<void> Release() override {
    Scope limit(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + kReleaseLimit);
    auto stop = limit.OnEnd([this] { call_->Cancel(); });
    const absl::Status ended = co_await call_->Finish();
    if (!ended.ok()) LogWarning("lease_end", {{"account", account_}, {"reason", ReasonName(ReasonOf(ended))}});
  }

 private:
  // What comes in between is taken note of; a revocation ends the wait.
  asio::awaitable<absl::StatusOr<LeaseEvent>> ReadUntil(Scope& scope, LeaseEvent::EventCase wanted) {
    // A reader that gave up would leave its read outstanding, so the end of the scope ends the lease.
    auto stop = scope.OnEnd([this] { call_->Cancel(); });
    for (;;) {
      auto event = co_await call_->Read();
      if (!event) {
        if (scope.ended()) co_return scope.status();
        co_return MakeError(Reason::REASON_NO_BACKEND, "the session service went away", {.cause = "session"});
      }
      if (event->has_token_updated()) {
        token_ = Secret(event->token_updated().token().value());
        version_ = event->token_updated().token().version();
      }
      if (event->has_revoked()) {
        const ErrorDetail& detail = event->revoked().detail();
        const bool running_may_finish = wanted == LeaseEvent::kConversationSealed && detail.cause() != kStoreCause;
        if (!running_may_finish) co_return RevokedError(event->revoked());
      }
      if (event->event_case() == wanted) co_return std::move(*event);
    }
  }

  std::unique_ptr<Call> call_;
  std::string account_;
  Secret token_;
  int64_t version_;
  std::map<std::string, std::string> identity_;
  std::string conversation_ref_;
  std::vector<std::string> pending_;
};

}  // namespace

SessionClient::SessionClient(std::shared_ptr<grpc::Channel> channel)
    : stub_(session::v1::SessionService::NewStub(std::move(channel))) {}

asio::awaitable<absl::StatusOr<std::unique_ptr<LeaseHandle>>> SessionClient::Acquire(Scope& scope, CallContext context,
                                                                                     session::v1::Acquire acquire) {
  auto call = Call::Start(
      scope, context, [this](grpc::ClientContext* client, auto* reactor) { stub_->async()->Lease(client, reactor); });
  LeaseRequest request;
  *request.mutable_acquire() = std::move(acquire);
  call->Send(std::move(request));
  for (;;) {
    auto event = co_await call->Read();
    if (!event) {
      const absl::Status status = co_await call->Finish();
      if (status.ok())
        co_return MakeError(Reason::REASON_NO_BACKEND, "the session service ended the lease", {.cause = "session"});
      co_return status;
    }
    if (event->has_granted()) co_return std::make_unique<Handle>(std::move(call), std::move(*event->mutable_granted()));
  }
}

asio::awaitable<absl::StatusOr<session::v1::ListAccountsResponse>> SessionClient::ListAccounts(Scope& scope,
                                                                                               CallContext context,
                                                                                               std::string platform) {
  session::v1::ListAccountsRequest request;
  request.set_platform(std::move(platform));
  co_return co_await CallUnary<session::v1::ListAccountsResponse>(
      scope, std::move(context), std::move(request),
      [this](auto* client, auto* in, auto* out, auto done) { stub_->async()->ListAccounts(client, in, out, done); });
}

asio::awaitable<absl::StatusOr<session::v1::CheckAccountResponse>> SessionClient::CheckAccount(Scope& scope,
                                                                                               CallContext context,
                                                                                               std::string label) {
  session::v1::CheckAccountRequest request;
  request.set_label(std::move(label));
  co_return co_await CallUnary<session::v1::CheckAccountResponse>(
      scope, std::move(context), std::move(request),
      [this](auto* client, auto* in, auto* out, auto done) { stub_->async()->CheckAccount(client, in, out, done); });
}

}  // namespace switchyard
