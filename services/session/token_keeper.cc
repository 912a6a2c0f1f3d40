#include "services/session/token_keeper.h"

#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/asio/post.hpp"
#include "services/common/async/rendezvous.h"
#include "services/common/async/sleep.h"
#include "services/common/async/task_group.h"
#include "services/common/http/http_client.h"
#include "services/common/metrics/metrics.h"
#include "services/common/status/reason.h"

namespace switchyard {

namespace asio = boost::asio;
using Granted = Accounts::Granted;

namespace {

// For each credential that is tried: longer than any platform needs; an exchange that hangs holds up every turn of its
// account.
constexpr absl::Duration kExchangeLimit = absl::Seconds(20);
constexpr absl::Duration kWatchEvery = absl::Seconds(20);
// How long another replica's exchange is waited for: its own limit, and the time until its lock would end with it.
constexpr absl::Duration kOthersLimit = absl::Seconds(35);
// Between looks, should nobody tell of its end.
constexpr absl::Duration kLook = absl::Seconds(1);
// A token that the store would not take, or not yet: tries, and the pause between them.
constexpr int kStoreTries = 20;
constexpr absl::Duration kStorePause = absl::Milliseconds(500);

absl::Status Expired(const std::string& account) {
  return MakeError(Reason::REASON_CREDENTIAL_EXPIRED,
                   absl::StrCat("The account ", account,
                                " has an expired token. Log in on the platform's site and put the new one into .env."));
}

absl::Status NotStored() {
  return MakeError(Reason::REASON_NO_BACKEND, "the relay cannot write its store, so the new token cannot be used",
                   {.cause = "store"});
}

/// Awaits a write to the store.
template <typename Start>
asio::awaitable<absl::Status> Durable(Executor executor, Start start) {
  Rendezvous<absl::Status> written(std::move(executor));
  start([written](absl::Status status) mutable { written.Complete(std::move(status)); });
  co_return co_await written.Wait();
}

// Whether the platform certainly did not act on a call that failed: it never got it, or said no in so many words.
bool IsSettled(const absl::Status& status) {
  if (NothingReached(status)) return true;
  switch (ReasonOf(status)) {
    case Reason::REASON_UPSTREAM_UNAVAILABLE:
    case Reason::REASON_UPSTREAM_BROKEN:
    case Reason::REASON_UPSTREAM_CHANGED:
    case Reason::REASON_DEADLINE:
    case Reason::REASON_INTERNAL:
      return false;
    default:
      return true;
  }
}

/// The platform in an account's label: "kimi", "kimi-2" or "kimi-caller-…".
absl::string_view PlatformOf(absl::string_view label) { return label.substr(0, label.find('-')); }

/// Stores again what an exchange brought, where another replica may have its lock by now. ABORTED if another was
/// faster.
asio::awaitable<absl::Status> StoreAgain(Accounts& accounts, Executor executor, std::string label) {
  absl::Status stored = absl::UnavailableError("not tried");
  Scope whole(executor);
  for (int tries = 0; tries < kStoreTries; ++tries) {
    const auto exchange = accounts.ExchangeFor(label);
    if (!exchange || !exchange->unstored) co_return absl::AbortedError("another replica was faster");
    const auto begin = [&](Store::Done done) { accounts.BeginExchange(label, std::move(done)); };
    stored = co_await Durable(executor, begin);
    if (stored.ok()) {
      const auto commit = [&](Store::Done done) {
        accounts.CommitExchange(label, exchange->login, *exchange->unstored, exchange->unstored_for, std::move(done));
      };
      stored = co_await Durable(executor, commit);
      if (stored.ok() || absl::IsAborted(stored)) co_return stored;
    }
    co_await Sleep(whole, kStorePause);
  }
  co_return stored;
}

/// Until another replica's exchange has ended, or a moment has passed.
asio::awaitable<void> WaitForOthers(Accounts& accounts, Executor executor, std::string label) {
  Scope whole(executor);
  Scope look(whole, kLook, absl::DeadlineExceededError("a look"));
  Rendezvous<bool> ended(executor);
  const uint64_t waiter = accounts.WhenExchanged(label, [ended]() mutable { ended.Complete(true); });
  auto stop = look.OnEnd([ended]() mutable { ended.Complete(true); });
  co_await ended.Wait();
  accounts.StopWaiting(label, waiter);
}

/// Takes the exchange upon this replica. ABORTED: another one has brought a token newer than `known` meanwhile.
asio::awaitable<absl::Status> Begin(Accounts& accounts, Executor executor, std::string label, int64_t known) {
  Scope whole(executor);
  Scope limit(whole, kOthersLimit,
              MakeError(Reason::REASON_DEADLINE, "another session service takes too long to exchange the token"));
  const auto begin = [&](Store::Done done) { accounts.BeginExchange(label, std::move(done)); };
  for (;;) {
    const absl::Status begun = co_await Durable(executor, begin);
    const bool news = accounts.Current(label)->token_version > known;
    if (begun.ok() && news) accounts.AbandonExchange(label);
    if (news) co_return absl::AbortedError("another session service was first");
    if (begun.ok()) co_return begun;
    if (!absl::IsAborted(begun)) co_return NotStored();
    if (limit.ended()) co_return limit.status();
    co_await WaitForOthers(accounts, executor, label);
  }
}

/// Ends an exchange when the store is lost. Its lock may be another replica's some seconds later, and a request that is
/// still under way by then, held up where the network is cut, would tell the platform of a credential that is replaced.
class WhileInContact {
 public:
  WhileInContact(Accounts& accounts, Scope& exchange) : exchange_(std::make_shared<Scope*>(&exchange)) {
    watch_ = accounts.WatchContact([weak = std::weak_ptr<Scope*>(exchange_), executor = exchange.executor()] {
      asio::post(executor, [weak] {
        const auto open = weak.lock();
        if (!open) return;
        // The platform may have acted on it: not settled.
        (*open)->Cancel(MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE,
                                  "the exchange of the token was given up: the relay cannot reach its store",
                                  {.cause = "store"}));
      });
    });
  }
  WhileInContact(const WhileInContact&) = delete;
  WhileInContact& operator=(const WhileInContact&) = delete;

 private:
  std::shared_ptr<Scope*> exchange_;  // gone with this, on the scope's own executor
  std::shared_ptr<std::function<void()>> watch_;
};

/// The work of one flight: belongs to nobody who waits for it.
asio::awaitable<absl::StatusOr<Granted>> ExchangeNow(Accounts& accounts, Executor executor, std::string label) {
  auto exchange = accounts.ExchangeFor(label);
  if (!exchange) co_return Expired(label);
  if (exchange->unstored && accounts.shared()) {
    const absl::Status stored = co_await StoreAgain(accounts, executor, label);
    if (!stored.ok() && !absl::IsAborted(stored)) co_return NotStored();
    co_return *accounts.Current(label);
  }
  if (exchange->unstored) {
    const auto again = [&](Store::Done done) {
      accounts.CommitExchange(label, exchange->login, *exchange->unstored, exchange->unstored_for, std::move(done));
    };
    const absl::Status stored = co_await Durable(executor, again);
    if (!stored.ok()) co_return NotStored();
    co_return *accounts.Current(label);
  }
  const int64_t known = accounts.Current(label)->token_version;
  const absl::Status begun = co_await Begin(accounts, executor, label, known);
  if (absl::IsAborted(begun)) co_return *accounts.Current(label);
  if (!begun.ok()) co_return begun;
  // What another replica has left: the credential may have changed while this one waited.
  exchange = accounts.ExchangeFor(label);
  if (!exchange) {
    accounts.AbandonExchange(label);
    co_return Expired(label);
  }

  absl::Status failed;
  bool settled = true;
  for (const Secret& credential : exchange->credentials) {
    Scope whole(executor);
    Scope bounded(whole, kExchangeLimit,
                  MakeError(Reason::REASON_DEADLINE, "the platform did not answer the exchange of the token in time"));
    auto contact = std::make_unique<WhileInContact>(accounts, bounded);
    auto fresh = co_await exchange->refresher->Refresh(bounded, credential, exchange->identity);
    contact = nullptr;
    Metrics::Get().RefreshDone(PlatformOf(label), fresh.status());
    if (fresh.ok()) {
      const auto commit = [&](Store::Done done) {
        accounts.CommitExchange(label, exchange->login, *fresh, credential, std::move(done));
      };
      absl::Status stored = co_await Durable(executor, commit);
      if (!stored.ok() && !absl::IsAborted(stored) && accounts.shared())
        stored = co_await StoreAgain(accounts, executor, label);
      if (!stored.ok() && !absl::IsAborted(stored)) co_return NotStored();
      co_return *accounts.Current(label);
    }
    failed = fresh.status();
    settled = settled && IsSettled(failed);
    // An older credential is only worth a try where the newer one is dead.
    if (ReasonOf(failed) != Reason::REASON_CREDENTIAL_EXPIRED) break;
  }
  if (!accounts.FailExchange(label, *exchange, failed, settled)) co_return *accounts.Current(label);
  co_return failed;
}

}  // namespace

asio::awaitable<absl::StatusOr<Granted>> TokenKeeper::Flight(Scope& scope, std::string account) {
  SingleFlight<Granted>::Work work = [&accounts = accounts_, executor = scope.executor(), account] {
    return ExchangeNow(accounts, executor, account);
  };
  co_return co_await flights_.Run(scope, account, std::move(work));
}

asio::awaitable<void> TokenKeeper::Behind(Executor executor, std::string account) {
  Scope scope(executor);
  auto done = co_await Flight(scope, std::move(account));
}

asio::awaitable<void> TokenKeeper::Watch(Executor executor) {
  Scope always(executor);
  for (;;) {
    const absl::Status slept = co_await Sleep(always, kWatchEvery);
    if (!slept.ok()) co_return;
    for (std::string& account : accounts_.Unstored()) SpawnDetached(executor, Behind(executor, std::move(account)));
    for (std::string& account : accounts_.Ageing()) SpawnDetached(executor, Behind(executor, std::move(account)));
  }
}

asio::awaitable<absl::StatusOr<Granted>> TokenKeeper::Fresh(Scope& scope, std::string account) {
  const auto freshness = accounts_.FreshnessOf(account);
  if (freshness == Accounts::Freshness::kUseless) co_return co_await Flight(scope, account);
  const bool renewable = freshness == Accounts::Freshness::kStale && accounts_.ExchangeFor(account).has_value();
  if (renewable) SpawnDetached(scope.executor(), Behind(scope.executor(), account));
  auto current = accounts_.Current(account);
  if (!current) co_return absl::NotFoundError("there is no such account");
  co_return *std::move(current);
}

asio::awaitable<absl::StatusOr<Granted>> TokenKeeper::Renew(Scope& scope, std::string account, int64_t refused) {
  auto current = accounts_.Current(account);
  if (!current) co_return absl::NotFoundError("there is no such account");
  if (current->token_version > refused) co_return *std::move(current);
  co_return co_await Flight(scope, std::move(account));
}

}  // namespace switchyard
