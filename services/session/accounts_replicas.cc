// The part of Accounts that deals with several replicas: who has which use of an account, and what others do.
#include <algorithm>
#include <memory>
#include <utility>

#include "boost/asio/post.hpp"
#include "boost/asio/steady_timer.hpp"
#include "services/common/log/log.h"
#include "services/common/metrics/metrics.h"
#include "services/common/status/reason.h"
#include "services/session/accounts.h"

namespace switchyard {

using ProtoAccount = session::v1::Account;

namespace {

// After a claim that came to nothing without anything to be learnt from it.
constexpr auto kClaimPause = std::chrono::milliseconds(100);

absl::Status Moved(absl::string_view why) {
  return MakeError(Reason::REASON_NO_BACKEND, why, {.cause = "session_moved"});
}

}  // namespace

absl::Status Accounts::Unreachable() const {
  return MakeError(Reason::REASON_NO_BACKEND, "this session service cannot reach its store, so it lends nothing",
                   {.retry_after = absl::Seconds(1), .cause = "session_moved"});
}

int Accounts::held() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(held_.size());
}

absl::Duration Accounts::resume_within() const {
  // The store tells the others that a replica is gone when its lease has ended. The last renewal may be a quarter of
  // that old when the replica dies, and a broken connection is noticed within 4 s: a third is what is left, and more.
  return dependencies_.store.life() / 3;
}

// ---- lending

void Accounts::ClaimFor(const std::string& name, Pool&, LeaseTable::Grant grant) {
  const std::string label = grant.account;
  auto shared_grant = std::make_shared<LeaseTable::Grant>(std::move(grant));
  auto at_once =
      dependencies_.store.Claim(label, limits_[accounts_[label].platform].max_in_flight_per_account, Store::Use::kChat,
                                [this, name, shared_grant](absl::StatusOr<std::string> slot) {
                                  absl::MutexLock lock(&mutex_);
                                  Claimed(name, std::move(*shared_grant), std::move(slot));
                                  PollLocked(name);
                                });
  if (at_once) Claimed(name, std::move(*shared_grant), *std::move(at_once));
}

void Accounts::Claimed(const std::string& name, LeaseTable::Grant grant, absl::StatusOr<std::string> slot) {
  const auto found = pools_.find(name);
  if (found == pools_.end()) return;
  Pool& pool = found->second;
  const auto waiting = pool.waiting.find(grant.id);
  const bool wanted = waiting != pool.waiting.end();
  if (slot.ok() && wanted && contact_) {
    held_[*slot] = {name, grant.account};
    Granted granted = GrantOf(grant.account);
    granted.slot = *slot;
    Answer reply = std::move(waiting->second.second);
    pool.waiting.erase(waiting);
    reply(std::move(granted));
    return;
  }
  if (slot.ok()) dependencies_.store.GiveBack(grant.account, *slot);
  const LeaseTable::Id id = grant.id;
  pool.table->PutBack(std::move(grant));
  // A store that still renews leases may take no write, for want of space, say. Who waits learns it, and not that the
  // accounts are busy.
  const bool unwritable = !slot.ok() && !absl::IsAborted(slot.status()) && contact_;
  if (!wanted || unwritable) pool.table->Withdraw(id);
  if (!slot.ok()) pool.not_before = dependencies_.clock.MonotonicNow() + kClaimPause;
  if (!wanted || !unwritable) return;
  Answer reply = std::move(waiting->second.second);
  pool.waiting.erase(waiting);
  reply(MakeError(Reason::REASON_NO_BACKEND, "the relay cannot write its store, so no account can be lent",
                  {.retry_after = absl::Seconds(1), .cause = "store"}));
}

void Accounts::Resume(const std::string& pool, const std::string& label, const std::string& slot, Answer answer) {
  absl::MutexLock lock(&mutex_);
  if (!contact_ || leaving_) return answer(Unreachable());
  const Account* account = ForResume(pool, label);
  if (account == nullptr) {
    // Replicas that roll have old and new configurations: one of the others may know it.
    constexpr absl::string_view why = "there is no such account here";
    return answer(shared() ? Moved(why) : absl::AbortedError(why));
  }
  if (const auto held = held_.find(slot); held != held_.end()) {
    Lose(held->second, Moved("the holder goes on with another stream"));
    return Resumed(pool, label, slot, absl::OkStatus(), answer);
  }
  auto shared_answer = std::make_shared<Answer>(std::move(answer));
  auto at_once = dependencies_.store.Adopt(label, slot, limits_[account->platform].max_in_flight_per_account,
                                           [this, pool, label, slot, shared_answer](const absl::Status& adopted) {
                                             absl::MutexLock inner(&mutex_);
                                             Resumed(pool, label, slot, adopted, *shared_answer);
                                           });
  if (at_once) Resumed(pool, label, slot, *at_once, *shared_answer);
}

Accounts::Account* Accounts::ForResume(const std::string& pool, const std::string& label) {
  const auto found = accounts_.find(label);
  if (found != accounts_.end()) return found->second.pool == pool ? &found->second : nullptr;
  const auto stranger = strangers_.find(label);
  const auto limits = limits_.find(pool);
  if (stranger == strangers_.end() || stranger->second.platform != pool || limits == limits_.end()) return nullptr;
  // It has been taken out of the configuration. The turns that were under way finish, and nobody gets it any more.
  if (pools_.count(pool) == 0) AddPool(pool, limits->second);
  Account& account = accounts_[label];
  account.platform = account.pool = pool;
  account.retired = true;
  Absorb(stranger->second, account);
  LogInfo("account_retired", {{"account", label}});
  return &account;
}

void Accounts::Resumed(const std::string& name, const std::string& label, const std::string& slot,
                       const absl::Status& adopted, Answer& answer) {
  if (!adopted.ok()) return answer(absl::IsAborted(adopted) ? adopted : Unreachable());
  const auto pool = pools_.find(name);
  if (pool == pools_.end()) {
    dependencies_.store.GiveBack(label, slot);
    return answer(absl::AbortedError("there is no such account here"));
  }
  if (held_.count(slot) == 0) {
    held_[slot] = {name, label};
    if (!accounts_[label].retired) pool->second.table->Take(label);
    LogInfo("lease_resumed", {{"account", label}});
  }
  Granted granted = GrantOf(label);
  granted.slot = slot;
  answer(std::move(granted));
}

Accounts::HolderId Accounts::Attach(const std::string& slot, Lost lost) {
  absl::MutexLock lock(&mutex_);
  const auto held = held_.find(slot);
  if (held == held_.end() || !contact_ || leaving_) return 0;
  Lose(held->second, Moved("the holder goes on with another stream"));
  held->second.holder = next_holder_++;
  held->second.lost = std::move(lost);
  return held->second.holder;
}

void Accounts::Lose(Held& held, const absl::Status& why) {
  held.left = next_holder_++;
  if (std::exchange(held.holder, 0) == 0) return;
  std::exchange(held.lost, nullptr)(why);
}

void Accounts::Detach(const std::string& pool, const std::string& label, const std::string& slot, HolderId holder,
                      const std::set<std::string>& refs, bool released) {
  {
    absl::MutexLock lock(&mutex_);
    const auto held = held_.find(slot);
    const bool own = held != held_.end() && held->second.holder == holder && holder != 0;
    if (shared() && (!own || !released)) {
      // Another stream of the same holder, here, has them in use.
      const bool goes_on_here = held != held_.end() && held->second.holder != 0 && !own;
      if (!goes_on_here) ledger_.Yield(label, refs);
      // Also where the store was out of reach when the stream was ended: the slot is still there.
      if (held == held_.end() || goes_on_here) return;
      held->second.holder = 0;
      held->second.lost = nullptr;
      const HolderId left = held->second.left = next_holder_++;
      boost::asio::post(dependencies_.executor, [this, slot, left] { Linger(slot, left); });
      return;
    }
    if (!own) return;
  }
  LeaseEnded(label, refs, false);
  Release(pool, label, slot);
}

void Accounts::Linger(const std::string& slot, HolderId left) {
  // A use whose stream broke is kept for longer than its holder may go on without one, so that an account that is free
  // again is so in truth; and not for much longer, since a holder that is dead for good blocks it.
  const absl::Duration linger = dependencies_.store.life() / 2;
  auto timer = std::make_shared<boost::asio::steady_timer>(dependencies_.executor, absl::ToChronoNanoseconds(linger));
  timer->async_wait([this, timer, slot, left](const boost::system::error_code& error) {
    if (error) return;
    absl::MutexLock lock(&mutex_);
    const auto held = held_.find(slot);
    if (held == held_.end() || held->second.left != left) return;
    const Held over = held->second;
    LogInfo("lease_lapsed", {{"account", over.account}});
    ReleaseLocked(over.pool, over.account, slot);
  });
}

void Accounts::HandOver() {
  absl::MutexLock lock(&mutex_);
  if (!dependencies_.store.has_others()) return;
  leaving_ = true;
  for (auto& [slot, held] : held_) Lose(held, Moved("this session service stops"));
  for (auto& [name, pool] : pools_) PollLocked(name);
}

// ---- what others do

void Accounts::OnUse(const std::string& label, int elsewhere, const std::vector<std::string>& ended) {
  absl::MutexLock lock(&mutex_);
  if (elsewhere > 0) {
    elsewhere_[label] = elsewhere;
  } else {
    elsewhere_.erase(label);
  }
  for (const std::string& slot : ended) ledger_.SlotEnded(label, slot);
  const auto account = accounts_.find(label);
  if (account == accounts_.end()) return;
  const auto pool = pools_.find(account->second.pool);
  if (pool == pools_.end()) return;
  pool->second.table->SetElsewhere(label, elsewhere, dependencies_.clock.MonotonicNow());
  pool->second.not_before = Clock::Monotonic::min();
  PollLocked(account->second.pool);
}

void Accounts::OnSlotLost(const std::string& label, const std::string& slot) {
  absl::MutexLock lock(&mutex_);
  const auto held = held_.find(slot);
  if (held == held_.end()) return;
  Lose(held->second, Moved("the account's lease goes on at another session service"));
  const auto pool = pools_.find(held->second.pool);
  held_.erase(held);
  if (pool != pools_.end()) pool->second.table->Release(label, dependencies_.clock.MonotonicNow());
}

void Accounts::OnContact(bool good) {
  absl::MutexLock lock(&mutex_);
  contact_ = good;
  Metrics::Get().StoreContact().Set(good ? 1 : 0);
  if (!good) {
    for (auto& [slot, held] : held_) Lose(held, Unreachable());
  }
  if (contact_told_) contact_told_(good);
  if (!good) {
    for (const auto& watch : contact_watches_) {
      if (const auto lost = watch.lock()) (*lost)();
    }
  }
  for (auto& [name, pool] : pools_) PollLocked(name);
}

std::shared_ptr<std::function<void()>> Accounts::WatchContact(std::function<void()> lost) {
  auto watch = std::make_shared<std::function<void()>>(std::move(lost));
  absl::MutexLock lock(&mutex_);
  std::erase_if(contact_watches_, [](const auto& one) { return one.expired(); });
  contact_watches_.push_back(watch);
  if (!contact_) (*watch)();
  return watch;
}

void Accounts::OnState(const std::string& label, int state, int64_t until_ms) {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  // Whether a value can be a token is each replica's own matter: its configuration's, and its version's.
  if (found == accounts_.end() || found->second.malformed || state == ProtoAccount::STATE_WRONG_FORM) return;
  Account& account = found->second;
  const absl::Time now = dependencies_.clock.Now();
  const auto before = account.health.StateAt(now);
  const auto told = state == 0 ? ProtoAccount::STATE_READY : static_cast<ProtoAccount::State>(state);
  account.health.Adopt(told, FromStoredTime(until_ms));
  const auto after = account.health.StateAt(now);
  if (before == after) return;
  LogInfo("account_state", {{"account", label}, {"state", ProtoAccount::State_Name(after)}, {"by", "another replica"}});
  if (after == ProtoAccount::STATE_EXPIRED || after == ProtoAccount::STATE_BANNED ||
      after == ProtoAccount::STATE_NEEDS_LOGIN)
    TellWithdrawn(label, account, 0);
  PollLocked(account.pool);
}

void Accounts::Absorb(const StoredAccount& stored, Account& account) {
  if (stored.fingerprint != account.fingerprint) {
    // Another login, from a replica whose configuration is newer.
    const auto normal = refreshers_.at(account.platform)->Normalise(stored.configured);
    account.fingerprint = stored.fingerprint;
    account.configured = stored.configured;
    account.token = account.credential = account.previous = Secret();
    account.adopted = account.rotated = account.in_doubt = false;
    account.expires = absl::InfiniteFuture();
    account.advice.clear();
    if (normal.ok()) Take(*normal, account);
  }
  const std::string advice = account.advice;
  Recall(stored, account);
  account.advice = advice;
  account.obtained = dependencies_.clock.Now();
  account.next_attempt = absl::InfinitePast();
  account.unstored.reset();
}

void Accounts::OnAccount(const StoredAccount& stored) {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(stored.label);
  if (found == accounts_.end() || found->second.retired) strangers_[stored.label] = stored;
  if (found == accounts_.end() || found->second.own || found->second.malformed) return;
  Account& account = found->second;
  const bool another_login = stored.fingerprint != account.fingerprint;
  if (!another_login && stored.token_version <= account.token_version) return;
  LogInfo("account_changed", {{"account", stored.label}, {"by", "another replica"}, {"another_login", another_login}});
  const AccountHealth health = account.health;
  Absorb(stored, account);
  // Of the same login, the state comes in by itself; what this replica knows of it may be newer.
  if (!another_login) account.health = health;
  if (!account.token.empty()) TellToken(stored.label, account);
  TellExchanged(stored.label);
  PollLocked(account.pool);
}

void Accounts::OnInDoubt(const std::string& label, bool in_doubt) {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  if (found != accounts_.end()) found->second.in_doubt = in_doubt;
}

void Accounts::OnExchangeOver(const std::string& label) {
  absl::MutexLock lock(&mutex_);
  TellExchanged(label);
}

void Accounts::OnConversation(const StoredConversation& one, bool held) {
  absl::MutexLock lock(&mutex_);
  ledger_.Seen(one.account, one.ref, absl::FromUnixMillis(one.opened_ms), one.failures, one.slot, held,
               dependencies_.clock.Now());
}

void Accounts::OnConversationDropped(const std::string& label, const std::string& ref) {
  absl::MutexLock lock(&mutex_);
  ledger_.Drop(label, ref);
}

}  // namespace switchyard
