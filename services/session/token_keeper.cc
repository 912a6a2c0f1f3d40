#include "services/session/token_keeper.h"

#include <utility>

#include "absl/strings/str_cat.h"
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

// Longer than any platform needs; an exchange that hangs holds up every turn of its account.
constexpr absl::Duration kExchangeLimit = absl::Seconds(20);
constexpr absl::Duration kWatchEvery = absl::Seconds(20);

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

/// The work of one flight: belongs to nobody who waits for it.
asio::awaitable<absl::StatusOr<Granted>> ExchangeNow(Accounts& accounts, Executor executor, std::string label) {
  const auto exchange = accounts.ExchangeFor(label);
  if (!exchange) co_return Expired(label);
  const auto begin = [&](Store::Done done) { accounts.BeginExchange(label, std::move(done)); };
  if (exchange->unstored) {
    const auto again = [&](Store::Done done) {
      accounts.CommitExchange(label, *exchange->unstored, exchange->unstored_for, std::move(done));
    };
    const absl::Status stored = co_await Durable(executor, again);
    if (!stored.ok()) co_return NotStored();
    co_return *accounts.Current(label);
  }
  const absl::Status begun = co_await Durable(executor, begin);
  if (!begun.ok()) co_return NotStored();

  absl::Status failed;
  bool settled = true;
  for (const Secret& credential : exchange->credentials) {
    Scope whole(executor);
    Scope bounded(whole, kExchangeLimit,
                  MakeError(Reason::REASON_DEADLINE, "the platform did not answer the exchange of the token in time"));
    auto fresh = co_await exchange->refresher->Refresh(bounded, credential, exchange->identity);
    Metrics::Get().RefreshDone(PlatformOf(label), fresh.status());
    if (fresh.ok()) {
      const auto commit = [&](Store::Done done) {
        accounts.CommitExchange(label, *fresh, credential, std::move(done));
      };
      const absl::Status stored = co_await Durable(executor, commit);
      if (!stored.ok()) co_return NotStored();
      co_return *accounts.Current(label);
    }
    failed = fresh.status();
    settled = settled && IsSettled(failed);
    // An older credential is only worth a try where the newer one is dead.
    if (ReasonOf(failed) != Reason::REASON_CREDENTIAL_EXPIRED) break;
  }
  accounts.FailExchange(label, failed, settled);
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
