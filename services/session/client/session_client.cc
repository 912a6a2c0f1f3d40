#include "services/session/client/session_client.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <utility>

#include "services/common/async/event.h"
#include "services/common/async/sleep.h"
#include "services/common/async/task_group.h"
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
using Stub = session::v1::SessionService::Stub;

// Between tries to find a service that goes on with a lease.
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(1);
constexpr absl::Duration kAttemptLimit = absl::Seconds(1);
// Who waits in a queue of a service that stops waits in another's; so long is one looked for.
constexpr absl::Duration kMoveLimit = absl::Seconds(5);
constexpr int kBrokenTries = 2;
// Without a session service for so long, what needs an answer of it fails.
constexpr absl::Duration kPatience = absl::Seconds(3);
// The service cannot serve, another one can.
constexpr absl::string_view kMovedCause = "session_moved";

/// Whether the connection broke, as opposed to what the service itself says.
bool IsBroken(const absl::Status& status) {
  bool said = false;
  status.ForEachPayload([&said](absl::string_view, const absl::Cord&) { said = true; });
  return absl::IsUnavailable(status) && !said;
}

// A revocation with this cause answers a request for the ledger; any other concerns the account.
constexpr absl::string_view kStoreCause = "store";

absl::Status RevokedError(const session::v1::Revoked& revoked) {
  const ErrorDetail& detail = revoked.detail();
  ErrorExtras extras{.cause = detail.cause()};
  if (detail.has_until()) extras.until = absl::FromUnixSeconds(detail.until().seconds());
  return MakeError(detail.reason(), revoked.message(), std::move(extras));
}

/// One lease, over as many streams as it takes. Lives on its executor; what runs in the background keeps it.
class Lease final : public std::enable_shared_from_this<Lease> {
 public:
  Lease(Executor executor, std::shared_ptr<Stub> stub, CallContext context, session::v1::Acquire acquire)
      : stub_(std::move(stub)),
        context_(std::move(context)),
        acquire_(std::move(acquire)),
        life_(executor),
        arrived_(executor),
        over_(std::move(executor)) {}

  /// The first stream, up to `granted`. The service may move meanwhile.
  asio::awaitable<absl::Status> Acquire(Scope& scope) {
    auto stop = scope.OnEnd([this, &scope] { life_.Cancel(scope.status()); });
    int broken = 0;
    const auto begun = std::chrono::steady_clock::now();
    absl::Duration pause = kFirstPause;
    for (;;) {
      LeaseRequest request;
      *request.mutable_acquire() = acquire_;
      const absl::Status granted = co_await Open(std::move(request), absl::InfiniteDuration());
      if (granted.ok() || life_.ended()) co_return granted;
      const bool moved = DetailOf(granted).cause() == kMovedCause;
      // Another service may be there; where there is none, that is to be said soon.
      const bool again = moved ? absl::FromChrono(std::chrono::steady_clock::now() - begun) < kMoveLimit
                               : IsBroken(granted) && ++broken <= kBrokenTries;
      if (!again) co_return granted;
      const absl::Status slept = co_await Sleep(life_, pause);
      if (!slept.ok()) co_return slept;
      pause = std::min(pause * 2, kLongestPause);
    }
  }

  /// Reads what comes, and goes on elsewhere when the stream breaks; until the lease is over.
  static asio::awaitable<void> Run(std::shared_ptr<Lease> self) {
    for (;;) {
      auto event = co_await self->call_->Read();
      if (event) {
        self->Take(std::move(*event));
        continue;
      }
      absl::Status ended = co_await self->call_->Finish();
      self->call_.reset();
      const bool resumable = self->acquire_.purpose() != session::v1::Acquire::PURPOSE_CLEAN_UP &&
                             !self->slot_.empty() && !self->life_.ended() && !(self->releasing_ && ended.ok()) &&
                             (ended.ok() || absl::IsUnavailable(ended) || absl::IsCancelled(ended));
      if (resumable) ended = co_await self->Resume();
      if (resumable && ended.ok()) continue;
      self->End(ended);
      co_return;
    }
  }

  void Send(LeaseRequest request) {
    if (over_status_) return;
    if (call_) call_->Send(request);
    unanswered_.push_back(std::move(request));
  }

  void Release() {
    if (std::exchange(releasing_, true)) return;
    on_lost_ = nullptr;
    LeaseRequest request;
    request.mutable_release();
    Send(std::move(request));
  }
  static asio::awaitable<absl::Status> AwaitEnd(std::shared_ptr<Lease> self) {
    Scope limit(self->life_.executor(), std::chrono::steady_clock::now() + kReleaseLimit);
    while (!self->over_status_ && !limit.ended()) co_await self->over_.Wait(limit);
    if (!self->over_status_) self->life_.Cancel(limit.status());
    co_return self->over_status_ ? *self->over_status_ : limit.status();
  }

  void OnLost(std::function<void(const absl::Status&)> told) { on_lost_ = std::move(told); }

  // What comes in between is taken note of; a revocation ends the wait.
  asio::awaitable<absl::StatusOr<LeaseEvent>> ReadUntil(Scope& scope, LeaseEvent::EventCase wanted) {
    for (;;) {
      while (inbox_.empty()) {
        if (scope.ended()) co_return scope.status();
        if (over_status_ || absent_)
          co_return MakeError(Reason::REASON_NO_BACKEND, "the session service went away", {.cause = "session"});
        co_await arrived_.Wait(scope);
      }
      LeaseEvent event = std::move(inbox_.front());
      inbox_.pop_front();
      if (event.has_token_updated()) {
        token_ = Secret(event.token_updated().token().value());
        version_ = event.token_updated().token().version();
      }
      if (event.has_revoked()) {
        const ErrorDetail& detail = event.revoked().detail();
        const bool running_may_finish = wanted == LeaseEvent::kConversationSealed && detail.cause() != kStoreCause;
        if (!running_may_finish) co_return RevokedError(event.revoked());
      }
      if (event.event_case() == wanted) co_return std::move(event);
    }
  }

  void Opened(const std::string& ref) { conversations_.insert(ref); }
  void Closed(const std::string& ref) { conversations_.erase(ref); }

  const session::v1::Granted& granted() const { return granted_; }
  const Secret& token() const { return token_; }
  int64_t version() const { return version_; }
  const Executor& executor() const { return life_.executor(); }

 private:
  /// A stream that begins with `first`, up to `granted`, within `limit`.
  asio::awaitable<absl::Status> Open(LeaseRequest first, absl::Duration limit) {
    auto call = Call::Start(life_, context_, [this](grpc::ClientContext* client, auto* reactor) {
      stub_->async()->Lease(client, reactor);
    });
    call->Send(std::move(first));
    std::optional<Scope> attempt;
    Scope::Registration stop;
    if (limit != absl::InfiniteDuration()) {
      attempt.emplace(life_, limit, absl::UnavailableError("the session service does not answer"));
      stop = attempt->OnEnd([raw = call.get()] { raw->Cancel(); });
    }
    for (;;) {
      auto event = co_await call->Read();
      if (event && !event->has_granted()) continue;
      if (event) {
        Granted(std::move(*event->mutable_granted()));
        call_ = std::move(call);
        co_return absl::OkStatus();
      }
      absl::Status status = co_await call->Finish();
      if (status.ok())
        status = MakeError(Reason::REASON_NO_BACKEND, "the session service ended the lease", {.cause = "session"});
      if (attempt && attempt->ended() && !life_.ended()) status = attempt->status();
      co_return status;
    }
  }

  void Granted(session::v1::Granted granted) {
    const bool first = granted_.account().empty();
    if (first) {
      token_ = Secret(granted.token().value());
      version_ = granted.token().version();
      slot_ = granted.slot();
    } else if (granted.token().version() > version_ && !granted.token().value().empty()) {
      LeaseEvent event;
      *event.mutable_token_updated()->mutable_token() = granted.token();
      Take(std::move(event));
    }
    resume_within_ =
        absl::Seconds(granted.resume_within().seconds()) + absl::Nanoseconds(granted.resume_within().nanos());
    if (first) granted_ = std::move(granted);
  }

  void Take(LeaseEvent event) {
    const auto answered = [&event](const LeaseRequest& request) {
      if (event.has_conversation_recorded())
        return request.has_conversation_opened() &&
               request.conversation_opened().ref() == event.conversation_recorded().ref();
      if (event.has_conversation_sealed())
        return request.has_conversation_kept() &&
               request.conversation_kept().ref() == event.conversation_sealed().ref();
      return (event.has_token_updated() || event.has_revoked()) && request.has_token_refused();
    };
    if (event.has_conversation_sealed()) conversations_.erase(event.conversation_sealed().ref());
    unanswered_.erase(std::remove_if(unanswered_.begin(), unanswered_.end(), answered), unanswered_.end());
    inbox_.push_back(std::move(event));
    arrived_.Set();
  }

  asio::awaitable<absl::Status> Resume() {
    const auto broken = std::chrono::steady_clock::now();
    absl::Duration pause = kFirstPause;
    for (;;) {
      LeaseRequest request;
      session::v1::Resume& resume = *request.mutable_resume();
      *resume.mutable_acquire() = acquire_;
      resume.set_account(granted_.account());
      resume.set_slot(slot_);
      for (const std::string& ref : conversations_) resume.add_conversations(ref);
      absl::Duration left = absl::InfiniteDuration();
      if (resume_within_ > absl::ZeroDuration())
        left = resume_within_ - absl::FromChrono(std::chrono::steady_clock::now() - broken);
      if (left <= absl::ZeroDuration())
        co_return MakeError(Reason::REASON_NO_BACKEND,
                            "the session service was lost, so the account could be another's by now",
                            {.cause = "session"});
      const absl::Status resumed = co_await Open(std::move(request), std::min(left, kAttemptLimit));
      if (resumed.ok()) {
        absent_ = false;
        for (const LeaseRequest& again : unanswered_) call_->Send(again);
        LogInfo("lease_resumed", {{"account", granted_.account()}, {"request_id", acquire_.request_id()}});
        co_return resumed;
      }
      const bool may_change = absl::IsUnavailable(resumed) || absl::IsCancelled(resumed) ||
                              absl::IsDeadlineExceeded(resumed) || DetailOf(resumed).cause() == "session";
      if (life_.ended() || !may_change) co_return resumed;
      if (resume_within_ == absl::ZeroDuration() &&
          absl::FromChrono(std::chrono::steady_clock::now() - broken) > kPatience) {
        absent_ = true;
        arrived_.Set();
      }
      const absl::Status slept = co_await Sleep(life_, std::min(pause, left));
      if (!slept.ok()) co_return slept;
      pause = std::min(pause * 2, kLongestPause);
    }
  }

  void End(const absl::Status& status) {
    over_status_ = status;
    over_.Set();
    arrived_.Set();
    auto told = std::exchange(on_lost_, nullptr);
    // Where no other service could give the account away, a turn that runs is left alone.
    if (status.ok() || releasing_ || resume_within_ == absl::ZeroDuration()) return;
    LogWarning("lease_lost", {{"account", granted_.account()}, {"reason", ReasonName(ReasonOf(status))}});
    if (told) {
      told(MakeError(Reason::REASON_NO_BACKEND,
                     "the session service was lost, and the account may be lent to another: the answer ends here",
                     {.cause = "lease_lost"}));
    }
  }

  const std::shared_ptr<Stub> stub_;
  const CallContext context_;
  const session::v1::Acquire acquire_;
  Scope life_;
  std::unique_ptr<Call> call_;  // null between streams
  session::v1::Granted granted_;
  Secret token_;
  int64_t version_ = 0;
  std::string slot_;
  absl::Duration resume_within_;
  std::deque<LeaseEvent> inbox_;
  std::vector<LeaseRequest> unanswered_;  // sent, and to be sent again on another stream
  std::set<std::string> conversations_;   // opened, neither deleted nor kept
  Event arrived_;                         // in the inbox, or nothing will any more
  Event over_;
  std::optional<absl::Status> over_status_;
  std::function<void(const absl::Status&)> on_lost_;
  bool releasing_ = false;
  bool absent_ = false;  // no service for a while
};

class Handle final : public LeaseHandle {
 public:
  Handle(std::shared_ptr<Lease> lease, Scope& scope)
      : lease_(std::move(lease)),
        account_(lease_->granted().account()),
        identity_(lease_->granted().identity().begin(), lease_->granted().identity().end()),
        pending_(lease_->granted().pending_conversations().begin(), lease_->granted().pending_conversations().end()) {
    SpawnDetached(lease_->executor(), Lease::Run(lease_));
    with_scope_ = scope.OnEnd([weak = std::weak_ptr<Lease>(lease_)] {
      if (auto lease = weak.lock()) lease->Release();
    });
  }
  ~Handle() override {
    lease_->Release();
    SpawnDetached(lease_->executor(), Forget(lease_));
  }

  const std::string& account() const override { return account_; }
  const Secret& token() const override { return lease_->token(); }
  const std::map<std::string, std::string>& identity() const override { return identity_; }
  const std::string& conversation_ref() const override { return lease_->granted().conversation_ref(); }
  const std::vector<std::string>& pending_conversations() const override { return pending_; }

  void Report(session::v1::ReportOutcome outcome) override {
    LeaseRequest request;
    *request.mutable_outcome() = std::move(outcome);
    lease_->Send(std::move(request));
  }

  asio::awaitable<absl::Status> RecordConversation(Scope& scope, std::string ref) override {
    LeaseRequest request;
    request.mutable_conversation_opened()->set_ref(ref);
    lease_->Opened(ref);
    lease_->Send(std::move(request));
    auto answer = co_await lease_->ReadUntil(scope, LeaseEvent::kConversationRecorded);
    co_return answer.status();
  }

  void ConversationDeleted(const std::string& ref) override {
    LeaseRequest request;
    request.mutable_conversation_deleted()->set_ref(ref);
    lease_->Closed(ref);
    lease_->Send(std::move(request));
  }

  asio::awaitable<absl::StatusOr<std::string>> KeepConversation(Scope& scope, std::string ref,
                                                                std::string resume_ref) override {
    LeaseRequest request;
    request.mutable_conversation_kept()->set_ref(std::move(ref));
    request.mutable_conversation_kept()->set_resume_ref(std::move(resume_ref));
    lease_->Send(std::move(request));
    // The answer has begun and may finish, whatever befell the account; only a failure of this very request counts.
    auto answer = co_await lease_->ReadUntil(scope, LeaseEvent::kConversationSealed);
    if (!answer.ok()) co_return answer.status();
    co_return answer->conversation_sealed().conversation_id();
  }

  asio::awaitable<absl::Status> RefreshToken(Scope& scope) override {
    const int64_t refused = lease_->version();
    LeaseRequest request;
    request.mutable_token_refused()->set_version(refused);
    lease_->Send(std::move(request));
    while (lease_->version() == refused) {
      auto answer = co_await lease_->ReadUntil(scope, LeaseEvent::kTokenUpdated);
      if (!answer.ok()) co_return answer.status();
    }
    co_return absl::OkStatus();
  }

  void OnLost(std::function<void(const absl::Status&)> told) override { lease_->OnLost(std::move(told)); }

  asio::awaitable<void> Release() override {
    lease_->Release();
    const absl::Status ended = co_await Lease::AwaitEnd(lease_);
    if (!ended.ok()) LogWarning("lease_end", {{"account", account_}, {"reason", ReasonName(ReasonOf(ended))}});
  }

 private:
  static asio::awaitable<void> Forget(std::shared_ptr<Lease> lease) { co_await Lease::AwaitEnd(lease); }

  std::shared_ptr<Lease> lease_;
  std::string account_;
  std::map<std::string, std::string> identity_;
  std::vector<std::string> pending_;
  Scope::Registration with_scope_;
};

}  // namespace

SessionClient::SessionClient(std::shared_ptr<grpc::Channel> channel)
    : stub_(session::v1::SessionService::NewStub(std::move(channel))) {}

asio::awaitable<absl::StatusOr<std::unique_ptr<LeaseHandle>>> SessionClient::Acquire(Scope& scope, CallContext context,
                                                                                     session::v1::Acquire acquire) {
  auto lease = std::make_shared<Lease>(scope.executor(), stub_, context.Until(scope.deadline()), std::move(acquire));
  const absl::Status granted = co_await lease->Acquire(scope);
  if (!granted.ok()) co_return scope.ended() ? scope.status() : granted;
  co_return std::make_unique<Handle>(std::move(lease), scope);
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
