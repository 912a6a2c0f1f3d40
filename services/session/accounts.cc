#include "services/session/accounts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/asio/post.hpp"
#include "boost/asio/steady_timer.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/config/platforms.h"
#include "services/common/log/log.h"
#include "services/common/metrics/metrics.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;
using session::v1::ReportOutcome;
using ProtoAccount = session::v1::Account;

namespace {

constexpr size_t kCleanUpBatch = 20;
// Of the digest of a caller's own token: enough that no two of them meet.
constexpr size_t kOwnLabelDigits = 16;
constexpr absl::Duration kOwnIdle = absl::Minutes(10);

std::string WriteIdentity(const Identity& identity) {
  json::object object;
  for (const auto& [name, value] : identity) object[name] = value;
  return json::serialize(object);
}

Identity ReadIdentity(const std::string& text) {
  Identity identity;
  const auto parsed = ParseJson(text);
  if (!parsed.ok() || !parsed->is_object()) return identity;
  for (const auto& member : parsed->get_object())
    identity[std::string(ToAbsl(member.key()))] = std::string(JsonText(&member.value()));
  return identity;
}

absl::Duration LongestCoolDown(const std::string& platform) {
  const auto found = std::find_if(Platforms().begin(), Platforms().end(),
                                  [&](const PlatformDefaults& row) { return row.name == platform; });
  return found == Platforms().end() ? PlatformDefaults().longest_cool_down : found->longest_cool_down;
}

}  // namespace

Accounts::Accounts(Dependencies dependencies, RefresherFactory make_refresher)
    : dependencies_(std::move(dependencies)), make_refresher_(std::move(make_refresher)) {}

Accounts::~Accounts() { dependencies_.store.Observe(nullptr); }

void Accounts::Take(const NormalCredential& normal, Account& account) {
  account.advice = normal.advice;
  account.expires = normal.expires;
  if (normal.exchanged) {
    account.credential = normal.value;
  } else {
    account.token = normal.value;
  }
}

/// What an earlier process knew of the same login.
void Accounts::Recall(const StoredAccount& known, Account& account) {
  const auto state = static_cast<ProtoAccount::State>(known.state);
  if (state != ProtoAccount::STATE_WRONG_FORM) account.health = AccountHealth(state, FromStoredTime(known.until_ms));
  if (!known.token.empty()) {
    account.token = known.token;
    account.adopted = true;
    account.expires = known.expires_ms == 0 ? absl::InfiniteFuture() : absl::FromUnixMillis(known.expires_ms);
  }
  if (!known.credential.empty()) {
    account.credential = known.credential;
    account.rotated = true;
  }
  account.previous = known.previous;
  account.in_doubt = known.exchanging;
  account.token_version = account.newest_version = std::max<int64_t>(known.token_version, 1);
  if (Identity identity = ReadIdentity(known.identity); !identity.empty()) account.identity = std::move(identity);
}

absl::Status Accounts::Load(const Config& config) {
  auto stored = dependencies_.store.Accounts();
  if (!stored.ok()) return stored.status();
  auto conversations = dependencies_.store.Conversations();
  if (!conversations.ok()) return conversations.status();

  std::vector<StoredAccount> configured;
  {
    absl::MutexLock lock(&mutex_);
    // Nothing of a process that is gone says who holds what, so any account that it knew may be held.
    if (!shared() && !stored->empty() && dependencies_.resume_first > absl::ZeroDuration())
      lend_from_ = dependencies_.clock.MonotonicNow() + absl::ToChronoNanoseconds(dependencies_.resume_first);
    configured = Join(config, *stored);
    // A shared store tells of them below, with what has become of them meanwhile.
    for (const StoredConversation& one : *conversations) {
      if (!shared()) ledger_.Restore(one.account, one.ref, absl::FromUnixMillis(one.opened_ms), one.failures);
    }
  }
  for (const StoredAccount& one : configured) {
    auto in_force = dependencies_.store.Register(one);
    if (!in_force.ok()) return in_force.status();
    absl::MutexLock lock(&mutex_);
    Absorb(*in_force, accounts_[one.label]);
  }
  Metrics::Get().StoreContact().Set(1);
  dependencies_.store.Observe(this);
  return absl::OkStatus();
}

std::vector<StoredAccount> Accounts::Join(const Config& config, const std::vector<StoredAccount>& stored) {
  std::vector<StoredAccount> to_register;
  for (const auto& [name, provider] : config.providers) {
    const RefresherTools tools{dependencies_.http, dependencies_.signing, dependencies_.clock, dependencies_.random};
    auto refresher = make_refresher_(name, provider, tools);
    if (refresher == nullptr) continue;
    refreshers_[name] = std::move(refresher);
    limits_[name] = provider;
    if (provider.enabled) AddPool(name, provider);
  }
  for (const AccountConfig& configured : config.accounts) {
    const auto refresher = refreshers_.find(configured.platform);
    if (refresher == refreshers_.end() || pools_.count(configured.platform) == 0) continue;
    pools_[configured.platform].table->AddAccount(configured.label);

    Account& account = accounts_[configured.label];
    account.platform = account.pool = configured.platform;
    account.fingerprint = dependencies_.sealer.Fingerprint(configured.credential.Reveal());
    account.configured = configured.credential;
    auto normal = refresher->second->Normalise(configured.credential);
    const auto known = std::find_if(stored.begin(), stored.end(),
                                    [&](const StoredAccount& one) { return one.label == configured.label; });
    // A changed value in .env is a new login: what was known of the old one is void, its journal too.
    const bool same = known != stored.end() && known->fingerprint == account.fingerprint;
    if (normal.ok()) {
      Take(*normal, account);
      if (same) Recall(*known, account);
      if (account.identity.empty()) account.identity = refresher->second->MakeIdentity(normal->value);
      const bool dead = !normal->exchanged && !account.adopted && account.expires <= dependencies_.clock.Now();
      if (dead) account.health = AccountHealth(ProtoAccount::STATE_EXPIRED, absl::InfinitePast());
    } else {
      account.malformed = true;
      account.health = AccountHealth(ProtoAccount::STATE_WRONG_FORM, absl::InfinitePast());
      account.advice = std::string(normal.status().message());
    }
    if (!account.advice.empty())
      LogWarning("account_value", {{"account", configured.label}, {"advice", account.advice}});
    if (shared()) {
      // A slip of the pen in one replica's configuration must not replace the login that the others have.
      if (account.malformed) continue;
      to_register.push_back(ToStored(configured.label, account));
      continue;
    }
    if (!same) dependencies_.store.Write(Store::EndExchange{configured.label}, nullptr);
    dependencies_.store.Write(Store::PutAccount{ToStored(configured.label, account)}, nullptr);
  }
  return to_register;
}

void Accounts::AddPool(const std::string& name, const ProviderConfig& limits) {
  Pool& pool = pools_[name];
  pool.table = std::make_unique<LeaseTable>(
      LeaseTable::Options{limits.max_in_flight_per_account, limits.spacing, limits.queue_depth, limits.queue_limit});
  pool.timer = std::make_unique<boost::asio::steady_timer>(dependencies_.executor);
  pool.not_before = lend_from_;
}

absl::StatusOr<std::string> Accounts::AdmitOwn(const std::string& platform, const Secret& token) {
  absl::MutexLock lock(&mutex_);
  const auto refresher = refreshers_.find(platform);
  if (refresher == refreshers_.end() || pools_.count(platform) == 0)
    return MakeError(Reason::REASON_CREDENTIAL_MISSING, absl::StrCat(platform, " is not served here."));
  auto normal = refresher->second->Normalise(token);
  if (!normal.ok()) {
    return MakeError(Reason::REASON_INVALID_REQUEST,
                     absl::StrCat("The token passed with the request cannot be used: ", normal.status().message()),
                     {.field = "credential", .cause = "wrong_form"});
  }
  const std::string fingerprint = dependencies_.sealer.Fingerprint(normal->value.Reveal());
  const std::string label = absl::StrCat(platform, "-caller-", fingerprint.substr(0, kOwnLabelDigits));
  if (accounts_.count(label) == 0) {
    ForgetIdleOwn();
    AddPool(label, limits_[platform]);
    pools_[label].table->AddAccount(label);
    Account& account = accounts_[label];
    account.platform = platform;
    account.pool = label;
    account.own = true;
    account.fingerprint = fingerprint;
    Take(*normal, account);
    account.identity = refresher->second->MakeIdentity(normal->value);
    if (const auto uses = elsewhere_.find(label); uses != elsewhere_.end())
      pools_[label].table->SetElsewhere(label, uses->second, dependencies_.clock.MonotonicNow());
  }
  accounts_[label].last_used = dependencies_.clock.Now();
  return label;
}

// Callers' tokens that have not been used for a while, are lent to nobody and have nothing left to delete.
void Accounts::ForgetIdleOwn() {
  const absl::Time now = dependencies_.clock.Now();
  for (auto at = accounts_.begin(); at != accounts_.end();) {
    const auto& [label, account] = *at;
    const auto pool = pools_.find(account.pool);
    const bool idle = account.own && now - account.last_used > kOwnIdle && account.health.Usable(now) &&
                      pool->second.waiting.empty() && pool->second.table->in_flight(label) == 0 &&
                      ledger_.Count(label) == 0;
    if (!idle) {
      ++at;
      continue;
    }
    // The timer belongs to its thread and may be firing there; it goes after what was posted for it.
    boost::asio::post(dependencies_.executor,
                      [timer = std::shared_ptr<boost::asio::steady_timer>(std::move(pool->second.timer))] {});
    pools_.erase(pool);
    at = accounts_.erase(at);
  }
}

Accounts::Queued Accounts::Acquire(const std::string& name, LeaseWish wish, Answer answer) {
  Queued queued;
  absl::MutexLock lock(&mutex_);
  if (!contact_ || leaving_) {
    answer(Unreachable());
    return queued;
  }
  if (absl::Status refused = RefusalFor(name, wish); !refused.ok()) {
    answer(std::move(refused));
    return queued;
  }
  Pool& pool = pools_[name];
  auto id = pool.table->Enqueue(wish, dependencies_.clock.MonotonicNow());
  if (!id.ok()) {
    answer(id.status());
    return queued;
  }
  queued.id = *id;
  pool.waiting.emplace(*id, std::make_pair(std::move(wish), std::move(answer)));
  Settle(name, pool);
  if (pool.waiting.count(*id) > 0) queued.position = pool.table->PositionOf(*id);
  Arm(name, pool);
  return queued;
}

bool Accounts::Withdraw(const std::string& name, LeaseTable::Id id) {
  absl::MutexLock lock(&mutex_);
  const auto found = pools_.find(name);
  if (found == pools_.end()) return false;
  found->second.table->Withdraw(id);
  const bool waited = found->second.waiting.erase(id) > 0;
  PollLocked(name);
  return waited;
}

void Accounts::Release(const std::string& name, const std::string& account, const std::string& slot) {
  absl::MutexLock lock(&mutex_);
  ReleaseLocked(name, account, slot);
}

void Accounts::ReleaseLocked(const std::string& name, const std::string& account, const std::string& slot) {
  if (held_.erase(slot) == 0) return;  // lost, and told so
  dependencies_.store.GiveBack(account, slot);
  const auto found = pools_.find(name);
  if (found == pools_.end()) return;
  found->second.table->Release(account, dependencies_.clock.MonotonicNow());
  PollLocked(name);
}

void Accounts::Poll(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  PollLocked(name);
}

void Accounts::PollLocked(const std::string& name) {
  const auto found = pools_.find(name);
  if (found == pools_.end()) return;
  Settle(name, found->second);
  Arm(name, found->second);
}

void Accounts::Settle(const std::string& name, Pool& pool) {
  const auto now = dependencies_.clock.MonotonicNow();
  const absl::Time wall = dependencies_.clock.Now();
  const auto answer = [&](LeaseTable::Id id, absl::StatusOr<Granted> result) {
    const auto found = pool.waiting.find(id);
    if (found == pool.waiting.end()) return;
    Answer reply = std::move(found->second.second);
    pool.waiting.erase(found);
    reply(std::move(result));
  };
  if (!contact_ || leaving_) {
    while (!pool.waiting.empty()) {
      pool.table->Withdraw(pool.waiting.begin()->first);
      answer(pool.waiting.begin()->first, Unreachable());
    }
    return;
  }
  // Grants come first: who can be served has not waited too long, were it by a moment.
  const auto usable = [&](const std::string& label)
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return accounts_[label].health.Usable(wall); };
  if (now >= pool.not_before) {
    for (LeaseTable::Grant& grant : pool.table->GrantReady(now, usable)) ClaimFor(name, pool, std::move(grant));
  }
  for (const LeaseTable::Id id : pool.table->TakeOverdue(now)) {
    answer(id, MakeError(Reason::REASON_ACCOUNT_BUSY,
                         "Every account of this platform stayed busy for too long. Try again later, or add an account.",
                         {.retry_after = pool.table->EstimatedWait(now), .cause = "queue_timeout"}));
  }
  // Those whose every account fell ill while they waited.
  std::vector<std::pair<LeaseTable::Id, absl::Status>> refused;
  for (const auto& [id, waiting] : pool.waiting) {
    if (absl::Status status = RefusalFor(name, waiting.first); !status.ok())
      refused.emplace_back(id, std::move(status));
  }
  for (auto& [id, status] : refused) {
    pool.table->Withdraw(id);
    answer(id, std::move(status));
  }
}

// Why no account of the pool can serve this wish, ever or for now; OK if one can, be it busy.
absl::Status Accounts::RefusalFor(const std::string& name, const LeaseWish& wish) const {
  const absl::Time now = dependencies_.clock.Now();
  const std::string* candidate_label = nullptr;
  const Account* candidate = nullptr;
  bool excluded = false;
  for (const auto& [label, account] : accounts_) {
    if (account.pool != name || account.retired) continue;
    if (!wish.account.empty() && label != wish.account) continue;
    if (std::find(wish.exclude.begin(), wish.exclude.end(), label) != wish.exclude.end()) {
      excluded = true;
      continue;
    }
    if (account.health.Usable(now)) return absl::OkStatus();
    // Of several sick accounts, the one that is well again first says most.
    const bool sooner =
        candidate == nullptr ||
        (account.health.until() != absl::InfinitePast() &&
         (candidate->health.until() == absl::InfinitePast() || account.health.until() < candidate->health.until()));
    if (sooner) {
      candidate = &account;
      candidate_label = &label;
    }
  }
  if (candidate != nullptr)
    return StateError(candidate->health.StateAt(now), candidate->health.until(), now, *candidate_label);
  if (excluded)
    return MakeError(Reason::REASON_CREDENTIAL_MISSING, absl::StrCat("There is no other account for ", name, "."));
  if (!wish.account.empty())
    return MakeError(Reason::REASON_CREDENTIAL_MISSING,
                     absl::StrCat("There is no account ", wish.account, " for ", name, "."));
  std::string variable;
  for (const PlatformDefaults& platform : Platforms()) {
    if (platform.name == name) variable = std::string(platform.token_variable);
  }
  return MakeError(Reason::REASON_CREDENTIAL_MISSING,
                   absl::StrCat("There is no account for ", name, ". Put its token into .env as ", variable, "."));
}

Accounts::Granted Accounts::GrantedOf(const std::string& label, const Account& account) {
  return {label, account.token, account.token_version, account.expires, account.identity, "", account.fingerprint};
}

Accounts::Granted Accounts::GrantOf(const std::string& label) {
  Account& account = accounts_[label];
  account.last_used = dependencies_.clock.Now();
  return GrantedOf(label, account);
}

void Accounts::AcquireCleanUp(const std::string& platform, CleanUpAnswer answer) {
  absl::MutexLock lock(&mutex_);
  if (const auto until = lend_from_; dependencies_.clock.MonotonicNow() < until) {
    // What a former process's turn has open is pending until its holder resumes.
    const auto wait = until - dependencies_.clock.MonotonicNow();
    boost::asio::post(dependencies_.executor, [this, platform, wait, answer = std::move(answer)]() mutable {
      auto timer = std::make_shared<boost::asio::steady_timer>(dependencies_.executor, wait);
      timer->async_wait([this, timer, platform, answer = std::move(answer)](const auto& error) mutable {
        if (!error) AcquireCleanUp(platform, std::move(answer));
      });
    });
    return;
  }
  const absl::Time now = dependencies_.clock.Now();
  for (auto& [account, ref] : ledger_.TakeHopeless(now)) {
    LogWarning("conversation_given_up", {{"account", account}});
    dependencies_.store.Write(Store::DropConversation{account, ref}, nullptr);
  }
  CleanUpNext(platform, {}, std::move(answer));
}

void Accounts::CleanUpNext(const std::string& platform, std::set<std::string> passed_over, CleanUpAnswer answer) {
  const absl::Time now = dependencies_.clock.Now();
  for (auto& [label, account] : accounts_) {
    // What an account that is muted, limited or not accepted has left over waits until it works again.
    if (account.platform != platform || account.retired || !account.health.Usable(now) ||
        !ledger_.HasPending(label, now))
      continue;
    if (!passed_over.insert(label).second || !contact_) continue;
    // Two replicas would hand out the same conversations.
    auto shared_answer = std::make_shared<CleanUpAnswer>(std::move(answer));
    auto at_once = dependencies_.store.Claim(
        label, 1, Store::Use::kCleanUp,
        [this, platform, label = label, passed_over, shared_answer](absl::StatusOr<std::string> slot) {
          absl::MutexLock lock(&mutex_);
          auto clean_up = slot.ok() ? CleanUpOf(label, *slot) : std::nullopt;
          if (clean_up) return (*shared_answer)(*std::move(clean_up));
          CleanUpNext(platform, passed_over, std::move(*shared_answer));
        });
    if (!at_once) return;
    answer = std::move(*shared_answer);
    auto clean_up = at_once->ok() ? CleanUpOf(label, **at_once) : std::nullopt;
    if (clean_up) return answer(*std::move(clean_up));
  }
  answer(absl::NotFoundError("nothing is pending"));
}

std::optional<Accounts::CleanUp> Accounts::CleanUpOf(const std::string& label, const std::string& slot) {
  CleanUp clean_up;
  clean_up.refs = ledger_.TakePending(label, kCleanUpBatch, dependencies_.clock.Now());
  clean_up.granted = GrantedOf(label, accounts_[label]);
  clean_up.granted.slot = slot;
  if (!clean_up.refs.empty()) return clean_up;
  dependencies_.store.GiveBack(label, slot);
  return std::nullopt;
}

void Accounts::Report(const std::string& label, const std::string& login, const ReportOutcome& outcome,
                      ListenerId reporter) {
  absl::MutexLock lock(&mutex_);
  if (IsLogin(label, login)) Apply(label, outcome, false, reporter);
}

void Accounts::Checked(const std::string& label, const std::string& login, const ReportOutcome& outcome) {
  absl::MutexLock lock(&mutex_);
  if (IsLogin(label, login)) Apply(label, outcome, true, 0);
}

bool Accounts::IsLogin(const std::string& label, const std::string& login) const {
  const auto found = accounts_.find(label);
  return found != accounts_.end() && found->second.fingerprint == login;
}

void Accounts::Apply(const std::string& label, const ReportOutcome& outcome, bool ends_refusals, ListenerId reporter) {
  const auto found = accounts_.find(label);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  const absl::Time now = dependencies_.clock.Now();
  const auto before = account.health.StateAt(now);
  const auto until_before = account.health.until();
  if (ends_refusals && before != ProtoAccount::STATE_COOLING_DOWN) account.health.Reset();
  const bool changed = account.health.Apply(outcome, now, dependencies_.random, LongestCoolDown(account.platform));
  const auto after = account.health.StateAt(now);
  // Other replicas keep to a short cool-down, too; a store of one process has no use for it.
  const bool others_should_know = shared() && (before != after || account.health.until() != until_before);
  if (changed || others_should_know || (before != after && ends_refusals)) RememberState(label);
  if (before == after) return;
  LogInfo("account_state", {{"account", label}, {"state", ProtoAccount::State_Name(after)}});
  if (after == ProtoAccount::STATE_EXPIRED || after == ProtoAccount::STATE_BANNED)
    TellWithdrawn(label, account, reporter);
  PollLocked(account.pool);
}

void Accounts::TellWithdrawn(const std::string& label, const Account& account, ListenerId except) {
  const absl::Time now = dependencies_.clock.Now();
  const absl::Status why = StateError(account.health.StateAt(now), account.health.until(), now, label);
  session::v1::LeaseEvent event;
  event.mutable_revoked()->set_message(std::string(why.message()));
  *event.mutable_revoked()->mutable_detail() = DetailOf(why);
  Tell(label, event, except);
}

Accounts::ListenerId Accounts::Listen(const std::string& label, Listener listener) {
  absl::MutexLock lock(&mutex_);
  const ListenerId id = next_listener_++;
  listeners_[label].emplace(id, std::move(listener));
  return id;
}

void Accounts::Unlisten(const std::string& label, ListenerId id) {
  absl::MutexLock lock(&mutex_);
  const auto found = listeners_.find(label);
  if (found == listeners_.end()) return;
  found->second.erase(id);
  if (found->second.empty()) listeners_.erase(found);
}

void Accounts::Tell(const std::string& label, const session::v1::LeaseEvent& event, ListenerId except) {
  const auto found = listeners_.find(label);
  if (found == listeners_.end()) return;
  for (const auto& [id, listener] : found->second) {
    if (id != except) listener(event);
  }
}

void Accounts::ConversationOpened(const std::string& label, const std::string& ref, const std::string& slot,
                                  Store::Done done) {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = dependencies_.clock.Now();
  ledger_.Open(label, ref, now, slot);
  if (accounts_[label].own) {
    if (done) done(absl::OkStatus());
    return;
  }
  dependencies_.store.Write(Store::PutConversation{{label, ref, ToStoredTime(now), 0, slot}}, std::move(done));
}

void Accounts::ConversationDropped(const std::string& label, const std::string& ref, Store::Done done) {
  absl::MutexLock lock(&mutex_);
  // Another replica's word that it is dropped may have come before the one that it was open.
  if ((ledger_.Drop(label, ref) || shared()) && !accounts_[label].own) {
    dependencies_.store.Write(Store::DropConversation{label, ref}, std::move(done));
  } else if (done) {
    done(absl::OkStatus());
  }
}

void Accounts::CleanUpEnded(const std::string& label, const std::string& slot, const std::set<std::string>& refs,
                            bool tried) {
  LeaseEnded(label, refs, tried);
  dependencies_.store.GiveBack(label, slot);
}

void Accounts::LeaseEnded(const std::string& label, const std::set<std::string>& refs, bool tried) {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = dependencies_.clock.Now();
  // That an account which fell ill could not delete anything says nothing about the conversations.
  const bool failed = tried && accounts_[label].health.Usable(now);
  ledger_.Settle(label, refs, now, failed);
  if (accounts_[label].own || !failed) return;
  for (const std::string& ref : refs) {
    const Ledger::Entry* entry = ledger_.Find(label, ref);
    if (entry != nullptr && entry->failures > 0) {
      dependencies_.store.Write(Store::PutConversation{{label, ref, ToStoredTime(entry->opened), entry->failures}},
                                nullptr);
    }
  }
}

ProtoAccount Accounts::Describe(const std::string& label, const Account& account) const {
  const absl::Time now = dependencies_.clock.Now();
  ProtoAccount described;
  described.set_label(label);
  described.set_platform(account.platform);
  described.set_state(account.health.StateAt(now));
  if (described.state() != ProtoAccount::STATE_READY && account.health.until() != absl::InfinitePast()) {
    described.mutable_until()->set_seconds(absl::ToUnixSeconds(account.health.until()));
  }
  const auto pool = pools_.find(account.pool);
  if (pool != pools_.end()) {
    const auto elsewhere = elsewhere_.find(label);
    described.set_in_flight(pool->second.table->in_flight(label) +
                            (elsewhere == elsewhere_.end() ? 0 : elsewhere->second));
    described.set_queued(pool->second.table->queued());
  }
  described.set_pending_conversations(ledger_.CountPending(label));
  if (account.last_used != absl::InfinitePast())
    described.mutable_last_used()->set_seconds(absl::ToUnixSeconds(account.last_used));
  described.set_advice(account.advice.empty() ? AdviceFor(described.state()) : account.advice);
  return described;
}

std::vector<ProtoAccount> Accounts::List(const std::string& platform) const {
  absl::MutexLock lock(&mutex_);
  std::vector<ProtoAccount> listed;
  for (const auto& [label, account] : accounts_) {
    if (!account.own && !account.retired && (platform.empty() || account.platform == platform))
      listed.push_back(Describe(label, account));
  }
  return listed;
}

std::optional<ProtoAccount> Accounts::Find(const std::string& label) const {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  if (found == accounts_.end() || found->second.own || found->second.retired) return std::nullopt;
  return Describe(label, found->second);
}

absl::Status Accounts::WhyNot(const std::string& label) const {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  const absl::Time now = dependencies_.clock.Now();
  if (found == accounts_.end() || found->second.health.Usable(now)) return absl::OkStatus();
  const AccountHealth& health = found->second.health;
  return StateError(health.StateAt(now), health.until(), now, label);
}

std::optional<Accounts::Checkable> Accounts::ForCheck(const std::string& label) const {
  absl::MutexLock lock(&mutex_);
  const auto found = accounts_.find(label);
  if (found == accounts_.end() || found->second.own || found->second.retired) return std::nullopt;
  const Account& account = found->second;
  return Checkable{!account.token.empty() || !account.credential.empty(), account.fingerprint, account.identity,
                   refreshers_.at(found->second.platform).get()};
}

StoredAccount Accounts::ToStored(const std::string& label, const Account& account) {
  StoredAccount stored;
  stored.label = label;
  stored.platform = account.platform;
  stored.fingerprint = account.fingerprint;
  stored.state = account.health.stored_state();
  stored.until_ms = ToStoredTime(account.health.until());
  if (account.adopted) {
    stored.token = account.token;
    stored.expires_ms = ToStoredExpiry(account.expires);
  }
  stored.token_version = account.token_version;
  stored.identity = WriteIdentity(account.identity);
  if (account.rotated) stored.credential = account.credential;
  stored.previous = account.previous;
  stored.configured = account.configured;
  return stored;
}

// The state alone: a newer credential may be on its way into the store, and must not be undone.
void Accounts::RememberState(const std::string& label) {
  const Account& account = accounts_[label];
  if (account.own) return;
  dependencies_.store.Write(
      Store::PutState{label, account.health.stored_state(), ToStoredTime(account.health.until()), account.fingerprint},
      nullptr);
}

void Accounts::Arm(const std::string& name, Pool& pool) {
  const auto now = dependencies_.clock.MonotonicNow();
  auto next = pool.table->NextEvent(now);
  if (!next) return;
  if (pool.not_before > now) *next = std::min(*next, pool.not_before);
  // An account that is well again may serve who waits for another.
  const absl::Time wall = dependencies_.clock.Now();
  for (const auto& [label, account] : accounts_) {
    if (account.pool != name || account.health.Usable(wall) || account.health.until() == absl::InfinitePast()) continue;
    *next = std::min(*next, now + absl::ToChronoNanoseconds(account.health.until() - wall));
  }
  // Timers belong to one thread; the pool's is only touched there.
  boost::asio::post(dependencies_.executor, [this, name, wait = *next - now, timer = pool.timer.get()] {
    timer->expires_after(wait);
    timer->async_wait([this, name](const boost::system::error_code& error) {
      if (!error) Poll(name);
    });
  });
}

}  // namespace switchyard
