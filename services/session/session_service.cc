#include "services/session/session_service.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/asio/post.hpp"
#include "services/common/async/rendezvous.h"
#include "services/common/async/task_group.h"
#include "services/common/config/platforms.h"
#include "services/common/metrics/metrics.h"
#include "services/common/status/reason.h"
#include "services/common/trace/span.h"
#include "services/session/client/outcome.h"
#include "services/session/conversation_id.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using session::v1::Acquire;
using session::v1::CheckAccountRequest;
using session::v1::CheckAccountResponse;
using session::v1::LeaseEvent;
using session::v1::LeaseRequest;
using session::v1::ReportOutcome;

constexpr absl::Duration kCheckLimit = absl::Seconds(20);

bool IsPlatform(const std::string& name) {
  return std::any_of(Platforms().begin(), Platforms().end(),
                     [&](const PlatformDefaults& platform) { return platform.name == name; });
}

absl::Status WrongConversation() {
  return MakeError(Reason::REASON_INVALID_REQUEST,
                   "conversation_id: its account is not there any more, or not the one to be used; leave it out to "
                   "begin a new conversation",
                   {.field = "conversation_id", .cause = "conversation_unknown"});
}

/// What the span of a wait for an account says.
void SetOutcome(Span& span, const absl::Status& granted) {
  if (!span.recording()) return;
  span.Set("rpc.system", "grpc");
  span.Set("rpc.service", "switchyard.session.v1.SessionService");
  span.Set("rpc.method", "Lease");
  span.Set("rpc.grpc.status_code", static_cast<int>(granted.code()));
  if (!granted.ok()) span.Fail(ReasonLabel(granted));
}

/// One Lease stream, from `acquire` to its end.
class LeaseSession : public std::enable_shared_from_this<LeaseSession> {
 public:
  LeaseSession(SessionService::LeaseCall& call, Accounts& accounts, TokenKeeper& tokens, const Sealer& sealer)
      : call_(call), accounts_(accounts), tokens_(tokens), sealer_(sealer), executor_(call.scope().executor()) {}

  asio::awaitable<absl::Status> Run() {
    auto first = co_await call_.Read();
    if (!first) co_return absl::CancelledError("the caller left");
    Span span = call_.context().traceparent.empty()
                    ? Span()  // work of nobody's request
                    : Span::Start("Lease", SpanKind::kServer, call_.context().traceparent, call_.context().tracestate);
    absl::Status granted;
    if (first->has_acquire()) {
      granted = co_await Grant(*first->mutable_acquire());
    } else if (first->has_resume()) {
      granted = co_await Resume(*first->mutable_resume());
    } else {
      granted = MakeError(Reason::REASON_INVALID_REQUEST, "the first message of a lease must be `acquire` or `resume`");
    }
    SetOutcome(span, granted);
    span.End();
    if (!granted.ok()) co_return granted;
    absl::Status handled;
    while (handled.ok() && lost_.ok()) {
      auto request = co_await call_.Read();
      if (!request) break;
      released_ = request->has_release();
      if (released_) break;
      handled = Handle(*request);
    }
    End();
    co_return handled.ok() ? lost_ : handled;
  }

 private:
  using Granted = Accounts::Granted;

  asio::awaitable<absl::Status> Grant(Acquire& acquire) {
    caller_ = acquire.caller();
    platform_ = acquire.platform();
    if (!IsPlatform(platform_)) {
      co_return MakeError(Reason::REASON_INVALID_REQUEST, "acquire.platform: there is no such platform",
                          {.cause = "platform_unknown"});
    }
    LeaseEvent event;
    session::v1::Granted& granted = *event.mutable_granted();
    if (acquire.purpose() == Acquire::PURPOSE_CLEAN_UP) {
      Rendezvous<absl::StatusOr<Accounts::CleanUp>> answered(executor_);
      accounts_.AcquireCleanUp(platform_, [answered](absl::StatusOr<Accounts::CleanUp> result) mutable {
        answered.Complete(std::move(result));
      });
      auto clean_up = co_await answered.Wait();
      if (!clean_up.ok()) co_return clean_up.status();
      account_ = clean_up->granted.account;
      login_ = clean_up->granted.login;
      slot_ = clean_up->granted.slot;
      for (const std::string& ref : clean_up->refs) {
        granted.add_pending_conversations(ref);
        refs_.insert(ref);
      }
      auto fresh = co_await tokens_.Fresh(call_.scope(), account_);
      if (!fresh.ok() || call_.scope().ended()) {
        accounts_.CleanUpEnded(account_, slot_, refs_, false);
        co_return fresh.ok() ? call_.scope().status() : fresh.status();
      }
      Fill(*fresh, granted);
    } else {
      LeaseWish wish;
      if (absl::Status status = MakeWish(acquire, wish, granted); !status.ok()) co_return status;
      auto result = co_await WaitForToken(std::move(wish));
      if (!result.ok()) co_return result.status();
      slot_ = result->slot;
      Fill(*result, granted);
      if (absl::Status attached = Attach(granted); !attached.ok()) co_return attached;
    }
    Begin(std::move(event));
    co_return absl::OkStatus();
  }

  asio::awaitable<absl::Status> Resume(session::v1::Resume& resume) {
    Acquire& acquire = *resume.mutable_acquire();
    caller_ = acquire.caller();
    platform_ = acquire.platform();
    if (!IsPlatform(platform_) || acquire.purpose() == Acquire::PURPOSE_CLEAN_UP || resume.slot().empty()) {
      co_return MakeError(Reason::REASON_INVALID_REQUEST, "resume: there is no such lease",
                          {.cause = "platform_unknown"});
    }
    pool_ = platform_;
    if (!acquire.caller_token().empty()) {
      auto own = accounts_.AdmitOwn(platform_, Secret(std::move(*acquire.mutable_caller_token())));
      if (!own.ok()) co_return own.status();
      pool_ = *std::move(own);
    }
    Rendezvous<absl::StatusOr<Granted>> answered(executor_);
    accounts_.Resume(pool_, resume.account(), resume.slot(),
                     [answered](absl::StatusOr<Granted> result) mutable { answered.Complete(std::move(result)); });
    auto result = co_await answered.Wait();
    if (!result.ok()) co_return result.status();
    slot_ = result->slot;
    LeaseEvent event;
    Fill(*result, *event.mutable_granted());
    if (absl::Status attached = Attach(*event.mutable_granted()); !attached.ok()) co_return attached;
    for (std::string& ref : *resume.mutable_conversations()) {
      refs_.insert(ref);
      accounts_.ConversationOpened(account_, ref, slot_, nullptr);
    }
    Begin(std::move(event));
    co_return absl::OkStatus();
  }

  /// From now on the use is this stream's.
  absl::Status Attach(session::v1::Granted& granted) {
    holder_ = accounts_.Attach(slot_, [weak = weak_from_this(), executor = executor_](const absl::Status& why) {
      asio::post(executor, [weak, why] {
        auto self = weak.lock();
        if (!self || self->ended_) return;
        self->lost_ = why;
        self->call_.StopReading();
      });
    });
    if (holder_ == 0) {
      // What was claimed before goes back, after as long as its holder may take to go on elsewhere.
      accounts_.Detach(pool_, account_, slot_, holder_, refs_, false);
      return MakeError(Reason::REASON_NO_BACKEND, "this session service has lost its store",
                       {.cause = "session_moved"});
    }
    granted.set_slot(slot_);
    const absl::Duration within = accounts_.resume_within();
    if (within > absl::ZeroDuration()) {
      granted.mutable_resume_within()->set_seconds(absl::ToInt64Seconds(within));
      granted.mutable_resume_within()->set_nanos(
          static_cast<int32_t>(absl::ToInt64Nanoseconds(within - absl::Trunc(within, absl::Seconds(1)))));
    }
    return absl::OkStatus();
  }

  void Begin(LeaseEvent granted) {
    call_.Send(std::move(granted));
    listener_ = accounts_.Listen(account_, [weak = weak_from_this(), executor = executor_](const LeaseEvent& news) {
      asio::post(executor, [weak, news] {
        if (auto self = weak.lock(); self && !self->ended_) self->call_.Send(news);
      });
    });
  }

  absl::Status MakeWish(Acquire& acquire, LeaseWish& wish, session::v1::Granted& granted) {
    wish = LeaseWish{caller_, acquire.account(), {acquire.exclude().begin(), acquire.exclude().end()}};
    pool_ = platform_;
    if (!acquire.caller_token().empty()) {
      auto own = accounts_.AdmitOwn(platform_, Secret(std::move(*acquire.mutable_caller_token())));
      if (!own.ok()) return own.status();
      pool_ = wish.account = *std::move(own);
    }
    if (acquire.conversation_id().empty()) return absl::OkStatus();
    auto id = OpenConversationId(sealer_, acquire.conversation_id(), caller_);
    if (!id.ok()) return id.status();
    if (id->platform != platform_) {
      return MakeError(Reason::REASON_INVALID_REQUEST, "conversation_id: belongs to another platform than the model",
                       {.field = "conversation_id"});
    }
    const bool known = pool_ == platform_ ? accounts_.Find(id->account).has_value() : id->account == pool_;
    if (!known || (!wish.account.empty() && wish.account != id->account)) return WrongConversation();
    wish.account = id->account;
    granted.set_conversation_ref(id->resume_ref);
    return absl::OkStatus();
  }

  /// An account with a token that is good. One whose token cannot be had is passed over for another, where any will do.
  asio::awaitable<absl::StatusOr<Granted>> WaitForToken(LeaseWish wish) {
    absl::Status first;
    for (;;) {
      auto lent = co_await WaitForAccount(wish);
      // Without another account the first one's own error says more than "no account left".
      if (!lent.ok()) co_return first.ok() || call_.scope().ended() ? lent.status() : first;
      auto fresh = co_await tokens_.Fresh(call_.scope(), lent->account);
      if (fresh.ok() && !call_.scope().ended()) {
        fresh->slot = lent->slot;
        co_return fresh;
      }
      if (fresh.ok()) fresh = call_.scope().status();
      if (!call_.scope().ended()) accounts_.Report(lent->account, lent->login, OutcomeOf(fresh.status()), 0);
      accounts_.Release(pool_, lent->account, lent->slot);
      if (call_.scope().ended() || !wish.account.empty()) co_return fresh.status();
      if (first.ok()) first = fresh.status();
      wish.exclude.push_back(lent->account);
    }
  }

  asio::awaitable<absl::StatusOr<Granted>> WaitForAccount(LeaseWish wish) {
    // The answer may come on any thread, or before Acquire() returns, or not at all if the caller leaves first.
    const auto wished = std::chrono::steady_clock::now();
    Rendezvous<absl::StatusOr<Granted>> answered(executor_);
    const auto queued = accounts_.Acquire(pool_, std::move(wish), [answered](absl::StatusOr<Granted> result) mutable {
      answered.Complete(std::move(result));
    });
    if (queued.position) {
      LeaseEvent event;
      Metrics::Get().LeasesQueued(platform_).Increment();
      event.mutable_queued()->set_position(*queued.position);
      call_.Send(std::move(event));
    }
    // Who is no longer waiting has an answer on its way, be it a grant, which then must be given back.
    auto end = call_.scope().OnEnd([this, &queued, answered]() mutable {
      if (accounts_.Withdraw(pool_, queued.id)) answered.Complete(absl::CancelledError("the caller left"));
    });
    auto result = co_await answered.Wait();
    Metrics::Get().LeaseAnswered(platform_, result.status(),
                                 absl::FromChrono(std::chrono::steady_clock::now() - wished));
    if (result.ok() && call_.scope().ended()) {
      accounts_.Release(pool_, result->account, result->slot);
      co_return call_.scope().status();
    }
    co_return result;
  }

  void Fill(const Granted& from, session::v1::Granted& to) {
    account_ = from.account;
    login_ = from.login;
    to.set_account(from.account);
    to.mutable_token()->set_value(from.token.Reveal());
    to.mutable_token()->set_version(from.token_version);
    if (from.token_expires < absl::InfiniteFuture())
      to.mutable_token()->mutable_expires_at()->set_seconds(absl::ToUnixSeconds(from.token_expires));
    for (const auto& [name, value] : from.identity) (*to.mutable_identity())[name] = value;
  }

  absl::Status Handle(LeaseRequest& request) {
    switch (request.request_case()) {
      case LeaseRequest::kOutcome:
        accounts_.Report(account_, login_, request.outcome(), listener_);
        return absl::OkStatus();
      case LeaseRequest::kConversationOpened:
        Opened(request.conversation_opened().ref());
        return absl::OkStatus();
      case LeaseRequest::kConversationDeleted:
        refs_.erase(request.conversation_deleted().ref());
        accounts_.ConversationDropped(account_, request.conversation_deleted().ref(), nullptr);
        return absl::OkStatus();
      case LeaseRequest::kConversationKept:
        Kept(request.conversation_kept());
        return absl::OkStatus();
      case LeaseRequest::kTokenRefused:
        SpawnDetached(executor_, Refused(shared_from_this(), request.token_refused().version()));
        return absl::OkStatus();
      case LeaseRequest::kAdoptToken:
        if (!request.adopt_token().token().value().empty())
          accounts_.AdoptToken(account_, Secret(request.adopt_token().token().value()));
        return absl::OkStatus();
      default:
        return MakeError(Reason::REASON_INVALID_REQUEST, "a lease is acquired once");
    }
  }

  // Sends `event` once the ledger's change is durable. If it cannot be made so, the holder is told to stop: nothing may
  // be said in a conversation that would be forgotten, and none promised that would be deleted.
  Store::Done SendOnceDurable(LeaseEvent event) {
    return [self = shared_from_this(), event = std::move(event)](absl::Status durable) mutable {
      asio::post(self->executor_, [self, event = std::move(event), durable = std::move(durable)]() mutable {
        if (self->ended_) return;
        if (!durable.ok()) {
          const absl::Status why = MakeError(
              Reason::REASON_NO_BACKEND, "the relay cannot write its store, so the conversation could not be recorded",
              {.cause = "store"});
          event.mutable_revoked()->set_message(std::string(why.message()));
          *event.mutable_revoked()->mutable_detail() = DetailOf(why);
        }
        self->call_.Send(std::move(event));
      });
    };
  }

  void Opened(const std::string& ref) {
    refs_.insert(ref);
    LeaseEvent recorded;
    recorded.mutable_conversation_recorded()->set_ref(ref);
    accounts_.ConversationOpened(account_, ref, slot_, SendOnceDurable(std::move(recorded)));
  }

  void Kept(const session::v1::ConversationKept& kept) {
    refs_.erase(kept.ref());
    const ConversationId id{platform_, account_, kept.resume_ref()};
    LeaseEvent sealed;
    sealed.mutable_conversation_sealed()->set_ref(kept.ref());
    sealed.mutable_conversation_sealed()->set_conversation_id(SealConversationId(sealer_, id, caller_));
    accounts_.ConversationDropped(account_, kept.ref(), SendOnceDurable(std::move(sealed)));
  }

  // The lease may end while a newer token is being got; the exchange goes on, and nobody is told.
  static asio::awaitable<void> Refused(std::shared_ptr<LeaseSession> self, int64_t version) {
    Scope scope(self->executor_);
    auto renewed = co_await self->tokens_.Renew(scope, self->account_, version);
    LeaseEvent event;
    if (renewed.ok()) {
      event.mutable_token_updated()->mutable_token()->set_value(renewed->token.Reveal());
      event.mutable_token_updated()->mutable_token()->set_version(renewed->token_version);
    } else {
      if (ReasonOf(renewed.status()) == Reason::REASON_CREDENTIAL_EXPIRED)
        self->accounts_.TokenRefused(self->account_, version, self->listener_);
      // What the account's state says is better advice than the exchange's own error.
      const absl::Status state = self->accounts_.WhyNot(self->account_);
      const absl::Status& why = state.ok() ? renewed.status() : state;
      event.mutable_revoked()->set_message(std::string(why.message()));
      *event.mutable_revoked()->mutable_detail() = DetailOf(why);
    }
    if (!self->ended_) self->call_.Send(std::move(event));
  }

  void End() {
    ended_ = true;
    accounts_.Unlisten(account_, listener_);
    if (holder_ == 0) {
      accounts_.CleanUpEnded(account_, slot_, refs_, released_);
    } else {
      accounts_.Detach(pool_, account_, slot_, holder_, refs_, released_);
    }
  }

  SessionService::LeaseCall& call_;  // used only until Run() has returned
  Accounts& accounts_;
  TokenKeeper& tokens_;
  const Sealer& sealer_;
  Executor executor_;
  std::string platform_;
  std::string pool_;  // where the account is lent: the platform, or the caller's own token
  std::string caller_;
  std::string account_;
  std::string login_;           // that the account had when it was lent
  std::set<std::string> refs_;  // opened with, or handed to, this lease
  Accounts::ListenerId listener_ = 0;
  std::string slot_;
  Accounts::HolderId holder_ = 0;  // 0: a clean-up, which is no chat in flight
  bool released_ = false;          // the holder has said that the use is over
  absl::Status lost_;              // why the use is no longer this stream's
  bool ended_ = false;
};

}  // namespace

void SessionService::KeepTokens() {
  const Executor executor = runtime_.Next();
  SpawnDetached(executor, tokens_.Watch(executor));
}

grpc::ServerBidiReactor<LeaseRequest, LeaseEvent>* SessionService::Lease(grpc::CallbackServerContext* context) {
  auto body = [this](LeaseCall& call) -> asio::awaitable<absl::Status> {
    auto session = std::make_shared<LeaseSession>(call, accounts_, tokens_, sealer_);
    co_return co_await session->Run();
  };
  return ServeBidi<LeaseRequest, LeaseEvent>(runtime_.Next(), context, body);
}

grpc::ServerUnaryReactor* SessionService::ListAccounts(grpc::CallbackServerContext* context,
                                                       const session::v1::ListAccountsRequest* request,
                                                       session::v1::ListAccountsResponse* response) {
  auto body = [this, request, response](UnaryCall&) -> asio::awaitable<absl::Status> {
    for (auto& account : accounts_.List(request->platform())) *response->add_accounts() = std::move(account);
    co_return absl::OkStatus();
  };
  return ServeUnary(runtime_.Next(), context, body);
}

grpc::ServerUnaryReactor* SessionService::CheckAccount(grpc::CallbackServerContext* context,
                                                       const CheckAccountRequest* request,
                                                       CheckAccountResponse* response) {
  auto body = [this, request, response](UnaryCall& call) { return Check(call.scope(), *request, *response); };
  return ServeUnary(runtime_.Next(), context, body);
}

asio::awaitable<absl::Status> SessionService::Check(Scope& scope, const CheckAccountRequest& request,
                                                    CheckAccountResponse& response) {
  const std::string label = request.label();
  if (!accounts_.ForCheck(label)) co_return absl::NotFoundError("there is no such account");
  SingleFlight<CheckAccountResponse>::Work work = [this, executor = scope.executor(), label] {
    return CheckNow(executor, label);
  };
  auto checked = co_await checks_.Run(scope, label, std::move(work));
  if (!checked.ok()) co_return checked.status();
  response = *std::move(checked);
  co_return absl::OkStatus();
}

asio::awaitable<absl::StatusOr<CheckAccountResponse>> SessionService::CheckNow(Executor executor, std::string label) {
  const auto account = accounts_.ForCheck(label);
  absl::Status checked;
  if (!account->has_credential) {
    checked = MakeError(Reason::REASON_CREDENTIAL_MISSING, "The configured value cannot be a token.");
  } else {
    Scope whole(executor);
    Scope bounded(whole, kCheckLimit,
                  MakeError(Reason::REASON_DEADLINE, "The platform did not answer the check in time."));
    auto fresh = co_await tokens_.Fresh(bounded, label);
    checked = fresh.status();
    if (fresh.ok()) checked = co_await account->refresher->Check(bounded, fresh->token, account->identity);
    // A token that was withdrawn before its time says nothing of the credential behind it.
    if (fresh.ok() && ReasonOf(checked) == Reason::REASON_CREDENTIAL_EXPIRED && accounts_.ExchangeFor(label)) {
      auto renewed = co_await tokens_.Renew(bounded, label, fresh->token_version);
      checked = renewed.status();
      if (renewed.ok()) checked = co_await account->refresher->Check(bounded, renewed->token, account->identity);
    }
  }
  const ReportOutcome outcome = OutcomeOf(checked);
  CheckAccountResponse response;
  response.set_checked(outcome.outcome() != ReportOutcome::OUTCOME_FAILED);
  if (response.checked()) accounts_.Checked(label, account->login, outcome);
  if (!checked.ok()) {
    response.set_message(std::string(checked.message()));
    *response.mutable_detail() = DetailOf(checked);
  }
  *response.mutable_account() = *accounts_.Find(label);
  co_return response;
}

}  // namespace switchyard
