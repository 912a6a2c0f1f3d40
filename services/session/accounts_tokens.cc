// The part of Accounts that deals with tokens: how old they are, and what comes of an exchange.
#include <algorithm>
#include <utility>

#include "boost/asio/post.hpp"
#include "services/common/log/log.h"
#include "services/common/status/reason.h"
#include "services/session/accounts.h"

namespace switchyard {

using session::v1::ReportOutcome;
using ProtoAccount = session::v1::Account;

namespace {

// How long before a lease would have to wait for a newer token it is got for an account in use.
constexpr absl::Duration kAhead = absl::Minutes(1);
// Between attempts to replace a token that is still good.
constexpr absl::Duration kAttemptPause = absl::Minutes(10);

}  // namespace

std::optional<Accounts::Granted> Accounts::Current(const std::string& label) const {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  if (found == accounts_.end()) return std::nullopt;
  return GrantedOf(label, found->second);
}

Accounts::Freshness Accounts::FreshnessOf(const std::string& label) const {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  if (found == accounts_.end()) return Freshness::kFresh;
  const Account& account = found->second;
  if (account.token.empty()) return Freshness::kUseless;
  const absl::Duration lead = refreshers_.at(account.platform)->policy().lead;
  const absl::Time now = dependencies_.clock.Now();
  const absl::Duration left = account.expires - now;
  if (lead == absl::ZeroDuration() || left > lead) return Freshness::kFresh;
  // A token that is its own credential is worth the same to its last moment; one that was got for a credential is
  // replaced a lead ahead, since the turn it is lent for takes a while.
  const bool good_for_now = account.credential.empty() && left > absl::ZeroDuration();
  if (good_for_now && now < account.next_attempt) return Freshness::kFresh;
  return good_for_now ? Freshness::kStale : Freshness::kUseless;
}

std::vector<std::string> Accounts::Ageing() const {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = dependencies_.clock.Now();
  std::vector<std::string> ageing;
  for (const auto& [label, account] : accounts_) {
    const absl::Duration lead = refreshers_.at(account.platform)->policy().lead;
    const absl::Duration left = account.expires - now;
    if (listeners_.count(label) == 0 || account.token.empty() || !account.health.Usable(now)) continue;
    if (lead == absl::ZeroDuration() || left > lead + kAhead || now < account.next_attempt) continue;
    // A platform whose tokens are short-lived is not asked for another again and again.
    if (left * 2 < account.expires - account.obtained) ageing.push_back(label);
  }
  return ageing;
}

void Accounts::TokenRefused(const std::string& label, int64_t version, ListenerId reporter) {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  if (found == accounts_.end() || found->second.token_version > version) return;
  ReportOutcome expired;
  expired.set_outcome(ReportOutcome::OUTCOME_EXPIRED);
  Apply(label, expired, false, reporter);
}

std::optional<Accounts::Exchange> Accounts::ExchangeFor(const std::string& label) const {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  if (found == accounts_.end()) return std::nullopt;
  const Account& account = found->second;
  const Refresher& refresher = *refreshers_.at(account.platform);
  if (refresher.policy().lead == absl::ZeroDuration()) return std::nullopt;
  Exchange exchange{&refresher,   account.identity, account.fingerprint, account.token_version, {},
                    std::nullopt, Secret()};
  if (account.unstored) {
    exchange.unstored = account.unstored->first;
    exchange.unstored_for = account.unstored->second;
  }
  // Without a credential of its own, a token that can be read for its end is one that renews itself.
  if (!account.credential.empty()) {
    exchange.credentials.push_back(account.credential);
    if (!account.previous.empty()) exchange.credentials.push_back(account.previous);
  } else if (account.expires < absl::InfiniteFuture() && refresher.policy().renews_token) {
    exchange.credentials.push_back(account.token);
  } else {
    return std::nullopt;
  }
  return exchange;
}

void Accounts::BeginExchange(const std::string& label, Store::Done done) {
  absl::MutexLock lock(&mutex_);
  const Account& account = accounts_[label];
  const bool rotates = refreshers_.at(account.platform)->policy().rotates;
  // A caller's own credential is the caller's to keep. Other replicas are kept out also where nothing can be lost.
  if (account.own || (!rotates && !shared())) return done(absl::OkStatus());
  dependencies_.store.Write(Store::BeginExchange{label, ToStoredTime(dependencies_.clock.Now()), rotates},
                            std::move(done));
}

void Accounts::AbandonExchange(const std::string& label) {
  absl::MutexLock lock(&mutex_);
  const Account& account = accounts_[label];
  if (account.own || !shared()) return;
  dependencies_.store.Write(Store::EndExchange{label, account.in_doubt}, nullptr);
}

uint64_t Accounts::WhenExchanged(const std::string& label, absl::AnyInvocable<void()> done) {
  absl::MutexLock lock(&mutex_);
  exchange_waiters_[label].emplace(next_exchange_waiter_, std::move(done));
  return next_exchange_waiter_++;
}

void Accounts::StopWaiting(const std::string& label, uint64_t waiter) {
  absl::MutexLock lock(&mutex_);
  const auto found = exchange_waiters_.find(label);
  if (found == exchange_waiters_.end()) return;
  found->second.erase(waiter);
  if (found->second.empty()) exchange_waiters_.erase(found);
}

void Accounts::TellExchanged(const std::string& label) {
  auto waiters = exchange_waiters_.extract(label);
  if (waiters.empty()) return;
  for (auto& [id, waiter] : waiters.mapped()) waiter();
}

std::vector<std::string> Accounts::Unstored() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> labels;
  for (const auto& [label, account] : accounts_) {
    if (account.unstored) labels.push_back(label);
  }
  return labels;
}

void Accounts::CommitExchange(const std::string& label, const std::string& login, const FreshToken& fresh,
                              const Secret& used, Store::Done done) {
  absl::MutexLock lock(&mutex_);
  if (!IsLogin(label, login)) {
    // The owner has put another credential into the configuration while the platform was asked: that one counts.
    LogWarning("exchange_for_replaced_login", {{"account", label}});
    dependencies_.store.Write(Store::EndExchange{label}, [done = std::move(done)](const absl::Status&) mutable {
      done(absl::AbortedError("the exchange was made for a login that has been replaced"));
    });
    return;
  }
  Account next = accounts_[label];
  next.token = fresh.token;
  next.expires = fresh.expires;
  next.adopted = true;
  next.in_doubt = false;
  next.token_version = std::max(next.token_version, next.newest_version) + 1;
  next.obtained = dependencies_.clock.Now();
  const Secret& good = fresh.rotated ? *fresh.rotated : used;
  if (!next.credential.empty() && !(good == next.credential)) {
    // Without a rotation it was the previous one that was taken, and the newer one is dead.
    next.previous = fresh.rotated ? used : Secret();
    next.credential = good;
    next.rotated = true;
  }
  accounts_[label].newest_version = next.token_version;
  const auto use = [this, label, next, fresh, used](const absl::Status& stored) {
    absl::MutexLock inner(&mutex_);
    Account& account = accounts_[label];
    if (absl::IsAborted(stored) || account.fingerprint != next.fingerprint) {
      account.unstored.reset();
      LogWarning("exchange_came_second", {{"account", label}});
      return;
    }
    // The watch may have told of this very write already, or of a newer one.
    if (!stored.ok() && account.token_version >= next.token_version) return account.unstored.reset();
    if (!stored.ok()) {
      // The platform may know no other credential any more.
      account.unstored.emplace(fresh, used);
      account.in_doubt = refreshers_.at(account.platform)->policy().rotates;
      return;
    }
    account.unstored.reset();
    if (account.token_version > next.token_version) return;
    // The watch may have told of this very write already.
    if (account.token_version < next.token_version) {
      account.obtained = next.obtained;
      account.next_attempt = absl::InfinitePast();
      account.token = next.token;
      account.expires = next.expires;
      account.adopted = next.adopted;
      account.in_doubt = next.in_doubt;
      account.token_version = next.token_version;
      account.credential = next.credential;
      account.previous = next.previous;
      account.rotated = next.rotated;
      TellToken(label, account);
    }
    // Another replica may have given the account up meanwhile.
    const auto state = account.health.stored_state();
    if (shared() && (state == ProtoAccount::STATE_EXPIRED || state == ProtoAccount::STATE_NEEDS_LOGIN)) {
      account.health.Reset();
      RememberState(label);
      PollLocked(account.pool);
    }
  };
  if (next.own) {
    boost::asio::post(dependencies_.executor, [use, done = std::move(done)]() mutable {
      use(absl::OkStatus());
      done(absl::OkStatus());
    });
    return;
  }
  dependencies_.store.Write(Store::PutAccount{ToStored(label, next), true},
                            [use, done = std::move(done)](absl::Status stored) mutable {
                              use(stored);
                              done(stored);
                            });
}

bool Accounts::FailExchange(const std::string& label, const Exchange& exchange, const absl::Status& why, bool settled) {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  if (found == accounts_.end()) return true;
  Account& account = found->second;
  if (shared() && (account.fingerprint != exchange.login || account.token_version > exchange.version)) {
    // This process was held up, and another one has been there in between.
    LogWarning("exchange_came_second", {{"account", label}});
    if (!account.own) dependencies_.store.Write(Store::EndExchange{label}, nullptr);
    return false;
  }
  const bool refused = ReasonOf(why) == Reason::REASON_CREDENTIAL_EXPIRED;
  const bool rotates = refreshers_.at(account.platform)->policy().rotates;
  LogWarning("exchange_failed", {{"account", label}, {"reason", ReasonName(ReasonOf(why))}, {"settled", settled}});
  if (!settled && rotates) account.in_doubt = true;
  account.next_attempt = dependencies_.clock.Now() + kAttemptPause;
  if (refused && account.in_doubt) {
    account.health = AccountHealth(ProtoAccount::STATE_NEEDS_LOGIN, absl::InfinitePast());
    LogInfo("account_state", {{"account", label}, {"state", "STATE_NEEDS_LOGIN"}});
    RememberState(label);
    TellWithdrawn(label, account, 0);
    PollLocked(account.pool);
  } else if (refused) {
    ReportOutcome expired;
    expired.set_outcome(ReportOutcome::OUTCOME_EXPIRED);
    Apply(label, expired, false, 0);
  }
  // A doubt from before outlives a call that came to nothing.
  const bool over = refused || (settled && !account.in_doubt);
  if (account.own) {
    // Nothing of it is stored.
  } else if (shared()) {
    dependencies_.store.Write(Store::EndExchange{label, rotates && !over}, nullptr);
  } else if (over && rotates) {
    dependencies_.store.Write(Store::EndExchange{label}, nullptr);
  }
  if (refused) account.in_doubt = false;
  return true;
}

void Accounts::TellToken(const std::string& label, const Account& account) {
  session::v1::LeaseEvent event;
  event.mutable_token_updated()->mutable_token()->set_value(account.token.Reveal());
  event.mutable_token_updated()->mutable_token()->set_version(account.token_version);
  if (account.expires < absl::InfiniteFuture())
    event.mutable_token_updated()->mutable_token()->mutable_expires_at()->set_seconds(
        absl::ToUnixSeconds(account.expires));
  Tell(label, event, 0);
}

void Accounts::AdoptToken(const std::string& label, Secret token) {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  // A caller's own token is the caller's to replace.
  if (found == accounts_.end() || found->second.own || found->second.token == token) return;
  // When it ends, if it says so itself.
  absl::Time expires = found->second.expires;
  const auto normal = refreshers_.at(found->second.platform)->Normalise(token);
  if (normal.ok() && !normal->exchanged) expires = normal->expires;
  const int64_t version = std::max(found->second.token_version, found->second.newest_version) + 1;
  found->second.newest_version = version;
  // Nobody gets the new token before it is durable.
  const auto use = [this, label, token, version, expires](const absl::Status& status) {
    absl::MutexLock inner(&mutex_);
    Account& account = accounts_[label];
    if (!status.ok() || account.token_version >= version) return;
    account.token = token;
    account.adopted = true;
    account.expires = expires;
    account.obtained = dependencies_.clock.Now();
    account.token_version = version;
    TellToken(label, account);
  };
  dependencies_.store.Write(Store::PutToken{label, token, version, ToStoredExpiry(expires)}, use);
}

}  // namespace switchyard
