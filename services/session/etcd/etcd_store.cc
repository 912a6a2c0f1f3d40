#include "services/session/etcd/etcd_store.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <future>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/post.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/async/sleep.h"
#include "services/common/async/task_group.h"
#include "services/common/log/log.h"
#include "services/common/metrics/metrics.h"
#include "services/session/seal.h"
#include "services/session/timed_write.h"
#include "switchyard/session/store/v1/records.pb.h"
#include "switchyard/session/v1/session.pb.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using etcdserverpb::Compare;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using session::store::v1::AccountRecord;
using session::store::v1::ConversationRecord;
using session::store::v1::ExchangeRecord;
using session::store::v1::StateRecord;
using ProtoAccount = session::v1::Account;

constexpr char kProbe[] = "switchyard";
constexpr char kCleanUpPlace[] = "c";
// Operations in one transaction; etcd takes 128.
constexpr size_t kBatch = 64;
// How often a change is made again because somebody else was faster; each time somebody made progress.
constexpr int kRounds = 8;
// Logins that were replaced, an account.
constexpr int kMostSuperseded = 16;
constexpr absl::Duration kRetryPause = absl::Milliseconds(200);
constexpr absl::Duration kRenewLimit = absl::Seconds(2);
constexpr absl::Duration kCloseLimit = absl::Seconds(2);
constexpr std::chrono::milliseconds kStopLook{50};

Compare* Comparing(TxnRequest& request, const std::string& key, Compare::CompareTarget target) {
  Compare* compare = request.add_compare();
  compare->set_key(key);
  compare->set_target(target);
  compare->set_result(Compare::EQUAL);
  return compare;
}
void IfCreatedAt(TxnRequest& request, const std::string& key, int64_t revision) {
  Comparing(request, key, Compare::CREATE)->set_create_revision(revision);
}
void IfModifiedAt(TxnRequest& request, const std::string& key, int64_t revision) {
  Comparing(request, key, Compare::MOD)->set_mod_revision(revision);
}
void IfValue(TxnRequest& request, const std::string& key, const std::string& value) {
  Comparing(request, key, Compare::VALUE)->set_value(value);
}
void IfLease(TxnRequest& request, const std::string& key, int64_t lease) {
  Comparing(request, key, Compare::LEASE)->set_lease(lease);
}
void Put(RequestOp* op, const std::string& key, const std::string& value, int64_t lease = 0) {
  op->mutable_request_put()->set_key(key);
  op->mutable_request_put()->set_value(value);
  op->mutable_request_put()->set_lease(lease);
}
void Delete(RequestOp* op, const std::string& key) { op->mutable_request_delete_range()->set_key(key); }
void Read(RequestOp* op, const std::string& key) { op->mutable_request_range()->set_key(key); }

/// What a Read() of one key found; nullptr if there is no such key.
const mvccpb::KeyValue* Found(const TxnResponse& response, int index) {
  if (index >= response.responses_size() || response.responses(index).response_range().kvs().empty()) return nullptr;
  return &response.responses(index).response_range().kvs(0);
}

/// Which of two states that two replicas saw at once stays.
int Weight(const StateRecord& state) {
  if (state.state() == ProtoAccount::STATE_READY || state.state() == 0) return 0;
  if (state.until_ms() != 0) return 1;
  return state.state() == ProtoAccount::STATE_BANNED ? 3 : 2;
}
bool Outweighs(const StateRecord& one, const StateRecord& other) {
  if (Weight(one) != Weight(other)) return Weight(one) > Weight(other);
  return one.until_ms() > other.until_ms();
}

absl::Status NoAnswer() { return absl::UnavailableError("the store does not answer"); }

class EtcdStore final : public Store {
 public:
  EtcdStore(EtcdStoreOptions options, Secret key)
      : options_(std::move(options)),
        prefix_(absl::StrCat(options_.prefix, "/")),
        sealer_(key),
        runtime_(Runtime::Options{.threads = 1}),
        executor_(runtime_.Next()),
        etcd_(options_.etcd),
        life_(executor_) {}

  ~EtcdStore() override {
    Observe(nullptr);
    if (started_) asio::co_spawn(executor_, Close(), asio::use_future).get();
    asio::post(executor_, [this] { life_.Cancel(absl::CancelledError("the store is closed")); });
    tasks_.WaitIdle(absl::Seconds(5));
    runtime_.Stop();
  }

  absl::Status Start() {
    auto beginning = asio::co_spawn(executor_, Begin(), asio::use_future);
    absl::Status begun = Await(beginning);
    started_ = begun.ok();
    return begun;
  }

  // ---- Store

  void Write(Change change, Done done) override {
    std::string label = std::visit([](const auto& one) { return LabelOf(one); }, change);
    asio::post(executor_,
               [this, label = std::move(label), change = std::move(change), done = Timed(std::move(done))]() mutable {
                 if (label.empty()) return tasks_.Spawn(executor_, AfterAll(std::move(done)));
                 if (std::holds_alternative<PutState>(change)) ++states_under_way_[label];
                 Queue(label, ChangeItem{std::move(change), std::move(done)});
               });
  }

  absl::StatusOr<std::vector<StoredAccount>> Accounts() override {
    return OnLoop<std::vector<StoredAccount>>([this] {
      std::vector<StoredAccount> accounts;
      for (const auto& [label, entry] : accounts_) accounts.push_back(Composed(label));
      return accounts;
    });
  }

  absl::StatusOr<std::vector<StoredConversation>> Conversations() override {
    return OnLoop<std::vector<StoredConversation>>([this] {
      std::vector<StoredConversation> conversations;
      for (const auto& [key, one] : conversations_) {
        conversations.push_back(one);
        if (!IsLive(one.account, one.slot)) conversations.back().slot.clear();
      }
      std::sort(conversations.begin(), conversations.end(),
                [](const auto& a, const auto& b) { return a.opened_ms < b.opened_ms; });
      return conversations;
    });
  }

  std::optional<absl::StatusOr<std::string>> Claim(const std::string& label, int places, Use use,
                                                   Claimed claimed) override {
    asio::post(executor_, [this, label, places, use, claimed = std::move(claimed)]() mutable {
      Queue(label, ClaimItem{places, use, std::move(claimed)});
    });
    return std::nullopt;
  }

  std::optional<absl::Status> Adopt(const std::string& label, const std::string& slot, int, Done done) override {
    asio::post(executor_, [this, label, slot, done = std::move(done)]() mutable {
      Queue(label, AdoptItem{slot, std::move(done)});
    });
    return std::nullopt;
  }

  void GiveBack(const std::string& label, const std::string& slot) override {
    asio::post(executor_, [this, label, slot] {
      mine_.erase(slot);
      Queue(label, GiveBackItem{slot});
    });
  }

  bool shared() const override { return true; }
  bool has_others() const override { return others_ > 0; }
  void Leave() override { asio::co_spawn(executor_, LeaveNow(), asio::use_future).get(); }
  absl::Duration life() const override { return options_.life; }

  absl::StatusOr<StoredAccount> Register(const StoredAccount& configured) override {
    std::promise<absl::StatusOr<StoredAccount>> registered;
    asio::post(executor_, [this, &configured, &registered] {
      Queue(configured.label, RegisterItem{configured, [&registered](absl::StatusOr<StoredAccount> in_force) {
                                             registered.set_value(std::move(in_force));
                                           }});
    });
    auto in_force = registered.get_future();
    return Await(in_force);
  }

  void Observe(StoreObserver* observer) override {
    OnLoop<bool>([this, observer] {
      observer_ = observer;
      if (observer == nullptr) {
        silent_ = true;
        return true;
      }
      silent_ = false;
      // What has changed since it was read at start is told again with the rest; nothing of it does harm twice.
      for (const auto& [label, record] : accounts_) observer->OnAccount(Composed(label));
      for (const auto& [label, state] : states_) {
        if (Concerns(label, state)) observer->OnState(label, state.state(), state.until_ms());
      }
      for (const std::string& label : in_doubt_) observer->OnInDoubt(label, true);
      for (const auto& [label, places] : slots_) observer->OnUse(label, Elsewhere(label), {});
      for (const auto& [key, one] : conversations_) observer->OnConversation(one, IsLive(one.account, one.slot));
      if (!contact_) observer->OnContact(false);
      return true;
    });
  }

 private:
  struct ChangeItem {
    Change change;
    Done done;
  };
  struct ClaimItem {
    int places;
    Use use;
    Claimed claimed;
  };
  struct AdoptItem {
    std::string slot;
    Done done;
  };
  struct GiveBackItem {
    std::string slot;
  };
  /// A refresh lock of this replica that may still be there, because what was to make or to end it was not answered.
  struct LeftLock {
    std::string value;     // of the lock, or
    int64_t created = 0;   // its create_revision
    bool journal = false;  // the journal's entry goes with it
    int64_t lease = 0;
  };
  struct RegisterItem {
    StoredAccount account;
    absl::AnyInvocable<void(absl::StatusOr<StoredAccount>)> done;
  };
  using Item = std::variant<ChangeItem, ClaimItem, AdoptItem, GiveBackItem, LeftLock, RegisterItem>;

  struct Slot {
    std::string name;
    int64_t lease = 0;
  };
  /// A refresh lock that this replica has taken.
  struct Fence {
    int64_t created = 0;  // its create_revision
    int64_t account = 0;  // the revision of the account's record that the exchange is made for
  };
  /// What one response changes beside single records; told once it is all taken in.
  struct News {
    std::map<std::string, std::vector<std::string>> uses;  // account -> slots that ended
    std::set<std::string> exchanges;                       // accounts
    std::set<std::string> unlocked;
  };

  /// While the service starts.
  template <typename T>
  T Await(std::future<T>& answer) {
    bool stopped = false;
    while (answer.wait_for(kStopLook) != std::future_status::ready) {
      if (stopped || !options_.stop || !options_.stop()) continue;
      stopped = true;
      asio::post(executor_, [this] { life_.Cancel(absl::CancelledError("the start was given up")); });
    }
    return answer.get();
  }

  template <typename T>
  T OnLoop(std::function<T()> body) {
    std::promise<T> done;
    asio::post(executor_, [&body, &done] { done.set_value(body()); });
    return done.get_future().get();
  }

  // ---- keys

  template <typename C>
  static const std::string& LabelOf(const C& change) {
    return change.label;
  }
  static const std::string& LabelOf(const PutAccount& put) { return put.account.label; }
  static const std::string& LabelOf(const PutConversation& put) { return put.conversation.account; }
  static const std::string& LabelOf(const DropConversation& drop) { return drop.account; }

  std::string AccountKey(const std::string& label) const { return absl::StrCat(prefix_, "accounts/", label); }
  std::string StateKey(const std::string& label) const { return absl::StrCat(prefix_, "states/", label); }
  std::string LockKey(const std::string& label) const { return absl::StrCat(prefix_, "locks/refresh/", label); }
  std::string JournalKey(const std::string& label) const { return absl::StrCat(prefix_, "exchanges/", label); }
  std::string SlotKey(const std::string& label, absl::string_view place) const {
    return absl::StrCat(prefix_, "slots/", label, "/", place);
  }
  std::string ConversationKey(const std::string& label, const std::string& ref) const {
    return absl::StrCat(prefix_, "conversations/", label, "/", sealer_.Fingerprint(ref).substr(0, 32));
  }

  template <typename Record>
  std::string Sealed(const Record& record, const std::string& key) const {
    return sealer_.Seal(record.SerializeAsString(), key);
  }
  /// @return false, and says so, if it cannot be opened: somebody else wrote it.
  template <typename Record>
  bool Open(const mvccpb::KeyValue& kv, Record& record) const {
    auto plain = sealer_.Open(kv.value(), kv.key());
    if (plain.ok() && record.ParseFromString(*plain)) return true;
    LogError("store_value_unreadable", {{"key", kv.key()}});
    return false;
  }

  // ---- start and end

  asio::awaitable<absl::Status> Begin() {
    Scope limit(life_, options_.start_limit,
                absl::UnavailableError(absl::StrCat("etcd at ", absl::StrJoin(options_.etcd.endpoints, ","),
                                                    " does not answer; the session service cannot start")));
    const absl::Status good_key = co_await CheckKey(limit);
    if (!good_key.ok()) co_return good_key;
    const absl::Status read = co_await ReadAll(limit);
    if (!read.ok()) co_return read;
    const auto asked = options_.clock->MonotonicNow();
    auto lease = co_await etcd_.GrantLease(limit, options_.life);
    if (!lease.ok()) co_return lease.status();
    lease_ = *lease;
    renewed_ = heard_ = asked;
    contact_ = true;
    co_await ShowUp(limit);
    tasks_.Spawn(executor_, WatchOn());
    tasks_.Spawn(executor_, Beat());
    co_return absl::OkStatus();
  }

  asio::awaitable<absl::Status> CheckKey(Scope& scope) {
    const std::string key = absl::StrCat(prefix_, "meta/key_probe");
    TxnRequest request;
    IfCreatedAt(request, key, 0);
    Put(request.add_success(), key, sealer_.Seal(kProbe, key));
    Read(request.add_failure(), key);
    auto answer = co_await Txn(scope, std::move(request));
    if (!answer.ok()) co_return answer.status();
    if (answer->succeeded()) co_return absl::OkStatus();
    const mvccpb::KeyValue* probe = Found(*answer, 0);
    if (probe != nullptr && sealer_.Open(probe->value(), key).ok()) co_return absl::OkStatus();
    co_return absl::InvalidArgumentError(
        absl::StrCat("etcd, below ", options_.prefix,
                     ": the store was sealed with another key. Give every replica the same session.store_key, or "
                     "another prefix."));
  }

  /// A use that has not been given back goes on elsewhere: then the lease is left to its end.
  asio::awaitable<void> Close() {
    Scope limit(life_, kCloseLimit, absl::DeadlineExceededError("closed"));
    while (!chains_.empty() && !limit.ended()) co_await Sleep(limit, absl::Milliseconds(5));
    if (mine_.empty() && lease_ != 0) co_await etcd_.RevokeLease(limit, lease_);
  }

  asio::awaitable<void> AfterAll(Done done) {
    Scope limit(life_, options_.write_limit, NoAnswer());
    while (!chains_.empty() && !limit.ended()) co_await Sleep(limit, absl::Milliseconds(5));
    Tell(done, limit.status());
  }

  // ---- what others do

  asio::awaitable<absl::Status> ReadAll(Scope& scope) {
    auto all = co_await etcd_.Range(scope, prefix_, EtcdPrefixEnd(prefix_));
    if (!all.ok()) co_return all.status();
    const int64_t revision = all->header().revision();
    News news;
    std::set<std::string> present;
    for (const mvccpb::KeyValue& kv : all->kvs()) present.insert(kv.key());
    std::vector<std::string> gone;
    for (const auto& [key, modified] : known_) {
      if (present.count(key) == 0 && modified <= revision) gone.push_back(key);
    }
    for (const std::string& key : gone) TakeDeletion(key, revision, news);
    // Slots before the conversations that they hold.
    for (const bool slots : {true, false}) {
      for (const mvccpb::KeyValue& kv : all->kvs()) {
        if (absl::StartsWith(kv.key(), absl::StrCat(prefix_, "slots/")) == slots) TakePut(kv, news);
      }
    }
    seen_ = std::max(seen_, revision);
    newest_ = std::max(newest_, seen_);
    TellNews(news);
    co_return absl::OkStatus();
  }

  asio::awaitable<void> WatchOn() {
    const EtcdClient::Take take = [this](const etcdserverpb::WatchResponse& response) { TakeResponse(response); };
    while (!life_.ended()) {
      absl::Status why;
      if (!went_back_) why = co_await etcd_.Watch(life_, prefix_, seen_ + 1, take);
      if (life_.ended()) break;
      if (went_back_ || why.code() == absl::StatusCode::kOutOfRange) {
        Scope limit(life_, options_.start_limit, NoAnswer());
        const absl::Status read = co_await ReadAll(limit);
        LogInfo("store_read_again", {{"ok", read.ok()}});
        if (read.ok()) {
          went_back_ = false;
          continue;
        }
      } else if (std::exchange(watch_fault_, why.code()) != why.code()) {
        LogWarning("store_watch_ended", {{"error", why.message()}});
      }
      co_await Sleep(life_, kRetryPause);
    }
  }

  asio::awaitable<absl::StatusOr<TxnResponse>> Txn(Scope& scope, TxnRequest request) {
    const int64_t before = newest_;
    auto answer = co_await etcd_.Txn(scope, std::move(request));
    if (answer.ok()) CheckAge(before, answer->header().revision());
    co_return answer;
  }

  /// A transaction is never behind what was known when it was sent: unless the store is an older one than it was. A
  /// backup that was put back knows nothing of what came after it, and a watch would be silent until it has caught up.
  void CheckAge(int64_t before, int64_t revision) {
    if (revision >= before) newest_ = std::max(newest_, revision);
    if (revision >= before || went_back_) return;
    LogWarning("store_went_back", {{"from", before}, {"to", revision}});
    went_back_ = true;
    seen_ = newest_ = 0;
    for (auto& [key, modified] : known_) modified = 0;
    etcd_.CutWatch();
  }

  void TakeResponse(const etcdserverpb::WatchResponse& response) {
    heard_ = options_.clock->MonotonicNow();
    watch_fault_ = absl::StatusCode::kOk;
    News news;
    for (const mvccpb::Event& event : response.events()) {
      if (event.type() == mvccpb::Event::DELETE) {
        TakeDeletion(event.kv().key(), event.kv().mod_revision(), news);
      } else {
        TakePut(event.kv(), news);
      }
      // Not by the header's revision: up to 3.4.24 a sign of life could overtake the events before it.
      seen_ = std::max(seen_, event.kv().mod_revision());
      newest_ = std::max(newest_, seen_);
    }
    TellNews(news);
  }

  /// What this replica has just written, before the watch says so. A watch that is ahead knows better.
  void Learn(const std::string& key, const std::string& value, int64_t lease, int64_t revision) {
    if (revision <= seen_) return;
    mvccpb::KeyValue kv;
    kv.set_key(key);
    kv.set_value(value);
    kv.set_lease(lease);
    kv.set_create_revision(revision);
    kv.set_mod_revision(revision);
    News news;
    learning_ = true;
    TakePut(kv, news);
    learning_ = false;
    TellNews(news);
  }
  /// What a transaction that lost out found.
  void TakeFound(const mvccpb::KeyValue* kv, int64_t revision) {
    if (kv == nullptr || revision <= seen_) return;
    News news;
    TakePut(*kv, news);
    TellNews(news);
  }

  void TakePut(const mvccpb::KeyValue& kv, News& news) {
    int64_t& modified = known_[kv.key()];
    if (kv.mod_revision() <= modified) return;
    modified = kv.mod_revision();
    const std::vector<std::string> parts = absl::StrSplit(kv.key().substr(prefix_.size()), '/');
    if (parts.size() < 2) return;
    const std::string& kind = parts[0];
    const std::string& label = parts[1];
    if (kind == "accounts") {
      AccountRecord record;
      if (!Open(kv, record)) return;
      accounts_[label] = std::move(record);
      if (observer_ != nullptr && !learning_) observer_->OnAccount(Composed(label));
    } else if (kind == "states") {
      StateRecord record;
      if (!Open(kv, record)) return;
      states_[label] = record;
      if (observer_ != nullptr && !learning_ && states_under_way_.count(label) == 0 && Concerns(label, record))
        observer_->OnState(label, record.state(), record.until_ms());
    } else if (kind == "exchanges") {
      journal_.insert(label);
      news.exchanges.insert(label);
    } else if (kind == "locks" && parts.size() == 3) {
      locks_.insert(parts[2]);
      news.exchanges.insert(parts[2]);
    } else if (kind == "replicas") {
      replicas_[label] = kv.lease();
      others_ = CountOthers();
    } else if (kind == "slots" && parts.size() == 3) {
      auto& places = slots_[label];
      const auto old = places.find(parts[2]);
      auto& ended = news.uses[label];
      if (old != places.end()) {
        if (old->second.name != kv.value()) ended.push_back(old->second.name);
        if (old->second.name != kv.value() || kv.lease() != lease_) LoseIfMine(label, old->second.name);
      }
      places[parts[2]] = {kv.value(), kv.lease()};
      // Asked for once, given up, and written all the same: a request may take effect long after its call has ended.
      if (kv.lease() == lease_ && mine_.count(kv.value()) == 0)
        tasks_.Spawn(executor_, GiveBackLater(label, kv.value(), lease_, kRetryPause * 2));
    } else if (kind == "conversations") {
      ConversationRecord record;
      if (!Open(kv, record)) return;
      StoredConversation& one = conversations_[kv.key()];
      one = {label, record.ref(), record.opened_ms(), record.failures(), record.slot()};
      if (observer_ != nullptr && !learning_ && mine_.count(one.slot) == 0)
        observer_->OnConversation(one, IsLive(label, one.slot));
    }
  }

  void TakeDeletion(const std::string& key, int64_t revision, News& news) {
    const auto found = known_.find(key);
    if (found == known_.end() || found->second > revision) return;
    known_.erase(found);
    const std::vector<std::string> parts = absl::StrSplit(key.substr(prefix_.size()), '/');
    if (parts.size() < 2) return;
    const std::string& kind = parts[0];
    const std::string& label = parts[1];
    if (kind == "accounts") {
      accounts_.erase(label);
    } else if (kind == "states") {
      states_.erase(label);
    } else if (kind == "exchanges") {
      journal_.erase(label);
      news.exchanges.insert(label);
    } else if (kind == "locks" && parts.size() == 3) {
      locks_.erase(parts[2]);
      news.exchanges.insert(parts[2]);
      news.unlocked.insert(parts[2]);
    } else if (kind == "replicas") {
      replicas_.erase(label);
      others_ = CountOthers();
    } else if (kind == "slots" && parts.size() == 3) {
      const auto places = slots_.find(label);
      if (places == slots_.end()) return;
      const auto old = places->second.find(parts[2]);
      if (old == places->second.end()) return;
      news.uses[label].push_back(old->second.name);
      LoseIfMine(label, old->second.name);
      places->second.erase(old);
      // Callers' own tokens come and go.
      if (places->second.empty()) slots_.erase(places);
    } else if (kind == "conversations") {
      const auto one = conversations_.find(key);
      if (one == conversations_.end()) return;
      if (observer_ != nullptr) observer_->OnConversationDropped(label, one->second.ref);
      conversations_.erase(one);
    }
  }

  void LoseIfMine(const std::string& label, const std::string& slot) {
    if (mine_.erase(slot) == 0) return;
    LogWarning("slot_lost", {{"account", label}});
    if (observer_ != nullptr) observer_->OnSlotLost(label, slot);
  }

  void TellNews(const News& news) {
    for (const auto& [label, ended] : news.uses) {
      if (observer_ != nullptr) observer_->OnUse(label, Elsewhere(label), ended);
    }
    for (const std::string& label : news.exchanges) {
      // A doubt stays until the journal's entry goes, also while another exchange is under way.
      const bool open = journal_.count(label) > 0;
      if (open && locks_.count(label) > 0) continue;
      const bool changed = open ? in_doubt_.insert(label).second : in_doubt_.erase(label) > 0;
      if (changed && observer_ != nullptr) observer_->OnInDoubt(label, open);
    }
    for (const std::string& label : news.unlocked) {
      if (observer_ != nullptr) observer_->OnExchangeOver(label);
    }
  }

  int CountOthers() const {
    return static_cast<int>(
        std::count_if(replicas_.begin(), replicas_.end(), [this](const auto& one) { return one.second != lease_; }));
  }

  int Elsewhere(const std::string& label) const {
    const auto found = slots_.find(label);
    if (found == slots_.end()) return 0;
    return static_cast<int>(std::count_if(found->second.begin(), found->second.end(), [this](const auto& place) {
      return place.first != kCleanUpPlace && place.second.lease != lease_;
    }));
  }
  bool IsLive(const std::string& label, const std::string& slot) const {
    const auto found = slots_.find(label);
    if (slot.empty() || found == slots_.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(),
                       [&](const auto& place) { return place.second.name == slot; });
  }

  StoredAccount Composed(const std::string& label) const {
    const AccountRecord& record = accounts_.at(label);
    StoredAccount account;
    account.label = label;
    account.platform = record.platform();
    account.fingerprint = record.fingerprint();
    account.token = Secret(record.token());
    account.token_version = record.token_version();
    account.expires_ms = record.expires_ms();
    account.credential = Secret(record.credential());
    account.previous = Secret(record.previous());
    account.identity = record.identity();
    account.configured = Secret(record.configured());
    account.state = ProtoAccount::STATE_READY;
    if (const auto state = states_.find(label); state != states_.end() && Concerns(label, state->second)) {
      account.state = state->second.state();
      account.until_ms = state->second.until_ms();
    }
    account.exchanging = journal_.count(label) > 0 && locks_.count(label) == 0;
    return account;
  }

  /// Whether a state is that of the login in force, as far as is known.
  bool Concerns(const std::string& label, const StateRecord& state) const {
    const auto account = accounts_.find(label);
    return state.fingerprint().empty() || account == accounts_.end() ||
           account->second.fingerprint() == state.fingerprint();
  }

  // ---- the lease

  asio::awaitable<void> Beat() {
    while (!life_.ended()) {
      const auto asked = options_.clock->MonotonicNow();
      const absl::Duration unsure = absl::FromChrono(asked - renewed_);
      const absl::Duration left = std::max(options_.life / 2 - unsure, options_.life / 20);
      Scope attempt(life_, std::min(kRenewLimit, left), NoAnswer());
      const absl::Status renewed = co_await etcd_.RenewLease(attempt, lease_);
      if (life_.ended()) co_return;
      if (renewed.ok()) {
        renewed_ = asked;
        SetContact(true);
        if (!shown_) {
          Scope limit(life_, kRenewLimit, NoAnswer());
          co_await ShowUp(limit);
        }
        // A connection that is half open would let the watch wait for ever.
        if (absl::FromChrono(options_.clock->MonotonicNow() - heard_) > options_.life / 2) {
          heard_ = options_.clock->MonotonicNow();
          etcd_.CutWatch();
        }
        etcd_.ProdWatch();
        co_await Sleep(life_, options_.life / 4);
      } else if (renewed.code() == absl::StatusCode::kNotFound) {
        co_await BeginAnew();
      } else {
        if (absl::FromChrono(options_.clock->MonotonicNow() - renewed_) >= options_.life / 2) SetContact(false);
        co_await Sleep(life_, kRetryPause);
      }
    }
  }

  /// The lease has ended, and all that was held with it.
  asio::awaitable<void> BeginAnew() {
    LogWarning("store_lease_lost", {});
    SetContact(false);
    for (const auto& [label, places] : slots_) {
      for (const auto& [place, slot] : places) LoseIfMine(label, slot.name);
    }
    mine_.clear();  // claims that are under way
    for (;;) {
      const auto asked = options_.clock->MonotonicNow();
      Scope limit(life_, options_.write_limit, NoAnswer());
      auto lease = co_await etcd_.GrantLease(limit, options_.life);
      if (life_.ended()) co_return;
      if (lease.ok()) {
        lease_ = *lease;
        renewed_ = asked;
        shown_ = false;
        co_await ShowUp(limit);
        break;
      }
      co_await Sleep(life_, kRetryPause);
    }
    News news;
    for (const auto& [label, places] : slots_) news.uses[label];
    TellNews(news);
    SetContact(true);
  }

  std::string ReplicaKey() const { return absl::StrCat(prefix_, "replicas/", lease_); }

  /// Others see by it that there is one more replica. What fails is done again with the next renewal.
  asio::awaitable<void> ShowUp(Scope& scope) {
    if (leaving_) co_return;
    TxnRequest request;
    Put(request.add_success(), ReplicaKey(), "", lease_);
    const auto shown = co_await Txn(scope, std::move(request));
    shown_ = shown.ok();
  }

  /// Two that stop at once must not hand over to each other.
  asio::awaitable<void> LeaveNow() {
    leaving_ = true;
    TxnRequest request;
    Delete(request.add_success(), ReplicaKey());
    Scope limit(life_, kCloseLimit, NoAnswer());
    co_await Txn(limit, std::move(request));
    const std::string all = absl::StrCat(prefix_, "replicas/");
    auto left = co_await etcd_.Range(limit, all, EtcdPrefixEnd(all));
    if (!left.ok()) co_return;
    replicas_.clear();
    for (const mvccpb::KeyValue& kv : left->kvs()) replicas_[kv.key().substr(all.size())] = kv.lease();
    others_ = CountOthers();
  }

  void SetContact(bool good) {
    if (contact_ == good) return;
    contact_ = good;
    LogWarning(good ? "store_contact_back" : "store_contact_lost", {});
    if (observer_ != nullptr) observer_->OnContact(good);
  }

  // ---- writing: one after the other for an account, accounts side by side

  void Queue(const std::string& label, Item item) {
    auto& chain = chains_[label];
    chain.push_back(std::move(item));
    if (working_.insert(label).second) tasks_.Spawn(executor_, Drain(label));
  }

  asio::awaitable<void> Drain(std::string label) {
    for (;;) {
      std::deque<Item>& chain = chains_[label];
      if (chain.empty()) break;
      if (IsBatchable(chain.front())) {
        Batch batch = TakeBatch(label, chain);
        co_await WriteBatch(label, batch);
        continue;
      }
      Item item = std::move(chain.front());
      chain.pop_front();
      if (auto* change = std::get_if<ChangeItem>(&item)) {
        co_await WriteChange(*change);
      } else if (auto* claim = std::get_if<ClaimItem>(&item)) {
        auto slot = co_await ClaimNow(label, claim->places, claim->use);
        if (!slot.ok() && !absl::IsAborted(slot.status()) && contact_) {
          LogError("store_write_failed", {{"error", slot.status().message()}});
          Metrics::Get().StoreWriteFailures().Increment();
        }
        if (!silent_) claim->claimed(std::move(slot));
      } else if (auto* adopt = std::get_if<AdoptItem>(&item)) {
        const absl::Status adopted = co_await AdoptNow(label, adopt->slot);
        Tell(adopt->done, adopted);
      } else if (auto* left = std::get_if<LeftLock>(&item)) {
        co_await DropLock(label, *left);
      } else if (auto* configured = std::get_if<RegisterItem>(&item)) {
        auto in_force = co_await RegisterNow(configured->account);
        configured->done(std::move(in_force));
      }
    }
    chains_.erase(label);
    working_.erase(label);
  }

  void Tell(Done& done, const absl::Status& status) {
    if (done && !silent_) done(status);
  }

  static bool IsBatchable(const Item& item) {
    if (std::holds_alternative<GiveBackItem>(item)) return true;
    const auto* change = std::get_if<ChangeItem>(&item);
    return change != nullptr && (std::holds_alternative<PutConversation>(change->change) ||
                                 std::holds_alternative<DropConversation>(change->change));
  }

  struct Batch {
    TxnRequest request;
    std::vector<Done> done;
    std::vector<std::string> given_back;
    std::map<int, PutConversation> held;  // operation -> what is only put while its slot is held
  };
  /// What can go into one transaction: no key twice.
  Batch TakeBatch(const std::string& label, std::deque<Item>& chain) {
    Batch batch;
    std::set<std::string> keys;
    while (!chain.empty() && keys.size() < kBatch && IsBatchable(chain.front())) {
      if (auto* back = std::get_if<GiveBackItem>(&chain.front())) {
        const std::string key = SlotKey(label, PlaceOf(back->slot));
        if (!keys.insert(key).second) break;
        TxnRequest& inner = *batch.request.add_success()->mutable_request_txn();
        IfValue(inner, key, back->slot);
        IfLease(inner, key, lease_);
        Delete(inner.add_success(), key);
        batch.given_back.push_back(back->slot);
      } else {
        auto& item = std::get<ChangeItem>(chain.front());
        if (const auto* put = std::get_if<PutConversation>(&item.change)) {
          const StoredConversation& one = put->conversation;
          const std::string key = ConversationKey(label, one.ref);
          if (!keys.insert(key).second) break;
          ConversationRecord record;
          record.set_ref(one.ref);
          record.set_opened_ms(one.opened_ms);
          record.set_failures(one.failures);
          record.set_slot(one.slot);
          if (one.slot.empty()) {
            Put(batch.request.add_success(), key, Sealed(record, key));
          } else {
            // A copy of this request that takes effect when the turn is long over would bring back what was struck out.
            batch.held.emplace(batch.request.success_size(), *put);
            TxnRequest& inner = *batch.request.add_success()->mutable_request_txn();
            IfValue(inner, SlotKey(label, PlaceOf(one.slot)), one.slot);
            Put(inner.add_success(), key, Sealed(record, key));
          }
        } else {
          const std::string key = ConversationKey(label, std::get<DropConversation>(item.change).ref);
          if (!keys.insert(key).second) break;
          Delete(batch.request.add_success(), key);
        }
        batch.done.push_back(std::move(item.done));
      }
      chain.pop_front();
    }
    return batch;
  }

  asio::awaitable<void> WriteBatch(const std::string& label, Batch& batch) {
    Scope limit(life_, options_.write_limit, NoAnswer());
    auto answer = co_await Txn(limit, batch.request);
    if (answer.ok()) {
      const int64_t revision = answer->header().revision();
      for (int i = 0; i < batch.request.success_size(); ++i) {
        const auto& op = batch.request.success(i);
        const auto held = batch.held.find(i);
        const bool put =
            op.has_request_put() || (held != batch.held.end() && answer->responses(i).response_txn().succeeded());
        if (put) {
          const auto& written = held == batch.held.end() ? op.request_put() : op.request_txn().success(0).request_put();
          Learn(written.key(), written.value(), 0, revision);
        } else if (held != batch.held.end()) {
          // The use is over, so whoever opened it will not see to it any more: it is pending.
          PutConversation pending = std::move(held->second);
          pending.conversation.slot.clear();
          Queue(label, ChangeItem{std::move(pending), nullptr});
        }
      }
    } else {
      LogError("store_write_failed", {{"error", answer.status().message()}});
      for (const std::string& slot : batch.given_back)
        tasks_.Spawn(executor_, GiveBackLater(label, slot, lease_, kRetryPause * 2));
    }
    const absl::Status status = answer.ok() ? absl::OkStatus() : NoAnswer();
    for (Done& done : batch.done) Tell(done, status);
  }

  /// A slot that is not given back blocks its account for as long as the replica lives.
  asio::awaitable<void> GiveBackLater(std::string label, std::string slot, int64_t lease, absl::Duration pause) {
    while (lease == lease_) {
      const absl::Status slept = co_await Sleep(life_, pause);
      pause = kRetryPause * 2;
      if (!slept.ok() || mine_.count(slot) > 0) co_return;  // its holder has come back to it
      Scope limit(life_, options_.write_limit, NoAnswer());
      const std::string key = SlotKey(label, PlaceOf(slot));
      TxnRequest request;
      IfValue(request, key, slot);
      IfLease(request, key, lease);
      Delete(request.add_success(), key);
      auto answer = co_await Txn(limit, std::move(request));
      if (answer.ok() || !EtcdClient::IsPassing(answer.status())) co_return;
    }
  }

  asio::awaitable<void> WriteChange(ChangeItem& item) {
    absl::Status written = absl::InternalError("unknown change");
    if (auto* account = std::get_if<PutAccount>(&item.change)) {
      written = co_await WriteAccount(account->account, account->ends_exchange);
    } else if (auto* state = std::get_if<PutState>(&item.change)) {
      written = co_await WriteState(*state);
    } else if (auto* token = std::get_if<PutToken>(&item.change)) {
      written = co_await WriteToken(*token);
    } else if (auto* begin = std::get_if<Store::BeginExchange>(&item.change)) {
      written = co_await BeginExchangeNow(*begin);
    } else if (auto* end = std::get_if<Store::EndExchange>(&item.change)) {
      written = co_await EndExchangeNow(*end);
    }
    if (!written.ok() && written.code() != absl::StatusCode::kAborted)
      LogError("store_write_failed", {{"error", written.message()}});
    Tell(item.done, written);
  }

  AccountRecord RecordOf(const StoredAccount& account) {
    AccountRecord record;
    record.set_platform(account.platform);
    record.set_fingerprint(account.fingerprint);
    record.set_configured(account.configured.Reveal());
    record.set_token(account.token.Reveal());
    record.set_token_version(account.token_version);
    record.set_expires_ms(account.expires_ms);
    record.set_credential(account.credential.Reveal());
    record.set_previous(account.previous.Reveal());
    record.set_identity(account.identity);
    record.set_write_id(options_.random->NextHex(16));
    const auto known = accounts_.find(account.label);
    if (known != accounts_.end()) *record.mutable_superseded() = known->second.superseded();
    return record;
  }

  int64_t KnownRevision(const std::string& key) const {
    const auto found = known_.find(key);
    return found == known_.end() ? 0 : found->second;
  }

  /// Whether a transaction that found `kv` had been carried out before, and only its answer was lost.
  bool IsOwnWrite(const mvccpb::KeyValue* kv, const AccountRecord& record) const {
    AccountRecord found;
    return kv != nullptr && Open(*kv, found) && found.write_id() == record.write_id();
  }

  asio::awaitable<absl::Status> WriteAccount(const StoredAccount& account, bool ends_exchange) {
    const std::string& label = account.label;
    const std::string key = AccountKey(label);
    const AccountRecord record = RecordOf(account);
    const std::string value = Sealed(record, key);
    Scope limit(life_, options_.write_limit, NoAnswer());
    const auto in_force = accounts_.find(label);
    const Store::EndExchange over{label};
    if (ends_exchange && in_force != accounts_.end() && in_force->second.fingerprint() != account.fingerprint) {
      if (fences_.count(label) > 0) co_await EndExchangeNow(over);
      co_return absl::AbortedError("the exchange was made for a login that has been replaced");
    }
    for (int round = 0; round < kRounds; ++round) {
      const auto fence = fences_.find(label);
      // What came of an exchange replaces what the exchange was made for, and nothing that has been learnt of since.
      const int64_t base = ends_exchange && fence != fences_.end() ? fence->second.account : KnownRevision(key);
      TxnRequest request;
      IfModifiedAt(request, key, base);
      Put(request.add_success(), key, value);
      if (ends_exchange) {
        // A lock that was lost, or another's, has another number; none has -1.
        IfCreatedAt(request, LockKey(label), fence == fences_.end() ? -1 : fence->second.created);
        Delete(request.add_success(), JournalKey(label));
        Delete(request.add_success(), LockKey(label));
      } else {
        StateRecord state;
        state.set_state(account.state);
        state.set_until_ms(account.until_ms);
        state.set_fingerprint(account.fingerprint);
        Put(request.add_success(), StateKey(label), Sealed(state, StateKey(label)));
      }
      Read(request.add_failure(), key);
      auto answer = co_await Txn(limit, request);
      if (!answer.ok()) co_return answer.status();
      const int64_t revision = answer->header().revision();
      const mvccpb::KeyValue* found = answer->succeeded() ? nullptr : Found(*answer, 0);
      if (answer->succeeded() || IsOwnWrite(found, record)) {
        if (ends_exchange) fences_.erase(label);
        if (answer->succeeded()) {
          Learn(key, value, 0, revision);
          if (!ends_exchange) Learn(StateKey(label), request.success(1).request_put().value(), 0, revision);
        } else {
          learning_ = true;
          TakeFound(found, revision);
          learning_ = false;
        }
        co_return absl::OkStatus();
      }
      const bool newer = (found == nullptr ? 0 : found->mod_revision()) != base;
      if (newer && found == nullptr) known_.erase(key);
      TakeFound(found, revision);
      if (ends_exchange) {
        // The lock may still be there, and would keep everybody out.
        if (newer && fences_.count(label) > 0) co_await EndExchangeNow(over);
        fences_.erase(label);
        if (newer) co_return absl::AbortedError("another replica has stored a newer token");
        co_return absl::FailedPreconditionError("the exchange took too long, and its lock was lost");
      }
    }
    co_return absl::AbortedError("other replicas change the account all the time");
  }

  asio::awaitable<absl::Status> WriteToken(const PutToken& put) {
    const auto known = accounts_.find(put.label);
    if (known == accounts_.end()) co_return absl::AbortedError("there is no such account in the store");
    if (known->second.token_version() >= put.token_version)
      co_return absl::AbortedError("another replica has stored a newer token");
    const std::string key = AccountKey(put.label);
    AccountRecord record = known->second;
    record.set_token(put.token.Reveal());
    record.set_token_version(put.token_version);
    record.set_expires_ms(put.expires_ms);
    record.set_write_id(options_.random->NextHex(16));
    const std::string value = Sealed(record, key);
    TxnRequest request;
    IfModifiedAt(request, key, KnownRevision(key));
    Put(request.add_success(), key, value);
    Read(request.add_failure(), key);
    Scope limit(life_, options_.write_limit, NoAnswer());
    auto answer = co_await Txn(limit, std::move(request));
    if (!answer.ok()) co_return answer.status();
    const int64_t revision = answer->header().revision();
    if (answer->succeeded()) {
      Learn(key, value, 0, revision);
      co_return absl::OkStatus();
    }
    const bool own = IsOwnWrite(Found(*answer, 0), record);
    TakeFound(Found(*answer, 0), revision);
    co_return own ? absl::OkStatus() : absl::AbortedError("another replica has changed the account");
  }

  asio::awaitable<absl::Status> WriteState(const PutState& put) {
    const std::string key = StateKey(put.label);
    StateRecord record;
    record.set_state(put.state);
    record.set_until_ms(put.until_ms);
    record.set_fingerprint(put.fingerprint);
    absl::Status written = absl::AbortedError("other replicas change the account all the time");
    Scope limit(life_, options_.write_limit, NoAnswer());
    for (int round = 0; round < kRounds; ++round) {
      if (!Concerns(put.label, record)) {
        written = absl::AbortedError("the login whose state it is has been replaced");
        break;
      }
      const std::string value = Sealed(record, key);
      const int64_t base = KnownRevision(key);
      TxnRequest request;
      IfModifiedAt(request, key, base);
      Put(request.add_success(), key, value);
      Read(request.add_failure(), key);
      Read(request.add_failure(), AccountKey(put.label));
      auto answer = co_await Txn(limit, std::move(request));
      if (!answer.ok()) {
        written = answer.status();
        break;
      }
      if (answer->succeeded()) {
        Learn(key, value, 0, answer->header().revision());
        written = absl::OkStatus();
        break;
      }
      const mvccpb::KeyValue* found = Found(*answer, 0);
      StateRecord other;
      TakeFound(Found(*answer, 1), answer->header().revision());
      if (found == nullptr) {
        known_.erase(key);
        continue;
      }
      TakeFound(found, answer->header().revision());
      if (Open(*found, other) && Concerns(put.label, other) && !Outweighs(record, other)) {
        written = absl::AbortedError("another replica knows more of the account's state");
        break;
      }
    }
    const auto under_way = states_under_way_.find(put.label);
    if (under_way != states_under_way_.end() && --under_way->second == 0) {
      states_under_way_.erase(under_way);
      // What the watch told meanwhile was held back; if it is what stays, it is told now.
      const auto now = states_.find(put.label);
      const bool differs = now != states_.end() && Concerns(put.label, now->second) &&
                           (now->second.state() != put.state || now->second.until_ms() != put.until_ms);
      if (differs && observer_ != nullptr) observer_->OnState(put.label, now->second.state(), now->second.until_ms());
    }
    co_return written;
  }

  asio::awaitable<absl::Status> BeginExchangeNow(const Store::BeginExchange& begin) {
    const std::string& label = begin.label;
    const std::string lock = LockKey(label);
    const std::string account = AccountKey(label);
    if (!contact_) co_return NoAnswer();
    LeftLock left;
    left.value = options_.random->NextHex(16);
    left.journal = begin.journal && journal_.count(label) == 0;  // a doubt from before stays
    left.lease = lease_;
    TxnRequest request;
    IfCreatedAt(request, lock, 0);
    // A credential that another replica has replaced a moment ago must not be sent again.
    IfModifiedAt(request, account, KnownRevision(account));
    Put(request.add_success(), lock, left.value, lease_);
    if (begin.journal) {
      ExchangeRecord record;
      record.set_started_ms(begin.started_ms);
      Put(request.add_success(), JournalKey(label), Sealed(record, JournalKey(label)));
    }
    Read(request.add_failure(), lock);
    Read(request.add_failure(), account);
    Scope limit(life_, options_.write_limit, NoAnswer());
    auto answer = co_await Txn(limit, std::move(request));
    if (!answer.ok()) {
      tasks_.Spawn(executor_, DropLockLater(label, std::move(left)));
      co_return NoAnswer();
    }
    const int64_t revision = answer->header().revision();
    if (answer->succeeded()) {
      fences_[label] = {revision, KnownRevision(account)};
      co_return absl::OkStatus();
    }
    const mvccpb::KeyValue* held = Found(*answer, 0);
    const mvccpb::KeyValue* record = Found(*answer, 1);
    const bool unchanged = (record == nullptr ? 0 : record->mod_revision()) == KnownRevision(account);
    if (held != nullptr && held->lease() == lease_ && unchanged) {
      // Its own, from an attempt whose end could not be written.
      fences_[label] = {held->create_revision(), KnownRevision(account)};
      co_return absl::OkStatus();
    }
    TakeFound(held, revision);
    TakeFound(record, revision);
    co_return absl::AbortedError("another replica exchanges the credential, or has just done so");
  }

  asio::awaitable<absl::Status> EndExchangeNow(const Store::EndExchange& end) {
    const auto fence = fences_.find(end.label);
    LeftLock left;
    left.journal = !end.in_doubt;
    left.lease = lease_;
    TxnRequest request;
    if (fence != fences_.end()) {
      left.created = fence->second.created;
      IfCreatedAt(request, LockKey(end.label), fence->second.created);
      Delete(request.add_success(), LockKey(end.label));
    }
    if (!end.in_doubt) Delete(request.add_success(), JournalKey(end.label));
    fences_.erase(end.label);
    if (request.success().empty()) co_return absl::OkStatus();
    Scope limit(life_, options_.write_limit, NoAnswer());
    auto answer = co_await Txn(limit, std::move(request));
    if (!answer.ok()) {
      if (left.created != 0) tasks_.Spawn(executor_, DropLockLater(end.label, std::move(left)));
      co_return answer.status();
    }
    co_return answer->succeeded() ? absl::OkStatus() : absl::AbortedError("the exchange's lock was lost");
  }

  /// In its turn among the account's other changes: none of them is overtaken.
  asio::awaitable<void> DropLockLater(std::string label, LeftLock left) {
    const absl::Status slept = co_await Sleep(life_, kRetryPause * 2);
    if (slept.ok()) Queue(label, std::move(left));
  }

  /// A lock that is left behind keeps all replicas from exchanging the credential for as long as this one lives.
  asio::awaitable<void> DropLock(const std::string& label, LeftLock& left) {
    // With another lease it is gone; and a later exchange of this replica's own has taken it over.
    if (left.lease != lease_ || fences_.count(label) > 0) co_return;
    TxnRequest request;
    if (left.created != 0) {
      IfCreatedAt(request, LockKey(label), left.created);
    } else {
      IfValue(request, LockKey(label), left.value);
    }
    Delete(request.add_success(), LockKey(label));
    if (left.journal) Delete(request.add_success(), JournalKey(label));
    Scope limit(life_, options_.write_limit, NoAnswer());
    auto answer = co_await Txn(limit, std::move(request));
    if (!answer.ok()) tasks_.Spawn(executor_, DropLockLater(label, std::move(left)));
  }

  asio::awaitable<absl::StatusOr<StoredAccount>> RegisterNow(StoredAccount configured) {
    const std::string label = configured.label;
    const std::string key = AccountKey(label);
    Scope limit(life_, options_.write_limit, NoAnswer());
    for (int round = 0; round < kRounds; ++round) {
      const auto known = accounts_.find(label);
      const absl::Time now = options_.clock->Now();
      AccountRecord record = RecordOf(configured);
      if (known != accounts_.end()) {
        const AccountRecord& in_force = known->second;
        if (in_force.fingerprint() == configured.fingerprint) co_return Composed(label);
        bool older = false;
        record.clear_superseded();
        for (const auto& one : in_force.superseded()) {
          const bool same = one.fingerprint() == configured.fingerprint;
          if (same && now - absl::FromUnixMillis(one.at_ms()) < options_.older_login) older = true;
          if (!same) *record.add_superseded() = one;
        }
        if (older) {
          LogWarning("account_value_older", {{"account", label}});
          co_return Composed(label);
        }
        auto& replaced = *record.add_superseded();
        replaced.set_fingerprint(in_force.fingerprint());
        replaced.set_at_ms(absl::ToUnixMillis(now));
        while (record.superseded_size() > kMostSuperseded)
          record.mutable_superseded()->erase(record.mutable_superseded()->begin());
        record.set_token_version(in_force.token_version() + 1);
      }
      StateRecord state;
      state.set_state(configured.state);
      state.set_until_ms(configured.until_ms);
      state.set_fingerprint(configured.fingerprint);
      const std::string value = Sealed(record, key);
      const std::string state_value = Sealed(state, StateKey(label));
      TxnRequest request;
      IfModifiedAt(request, key, KnownRevision(key));
      Put(request.add_success(), key, value);
      Put(request.add_success(), StateKey(label), state_value);
      Delete(request.add_success(), JournalKey(label));
      Read(request.add_failure(), key);
      auto answer = co_await Txn(limit, std::move(request));
      if (!answer.ok()) co_return answer.status();
      const int64_t revision = answer->header().revision();
      if (answer->succeeded()) {
        Learn(key, value, 0, revision);
        Learn(StateKey(label), state_value, 0, revision);
        // Where the watch was faster, the same is there already.
        if (accounts_.count(label) > 0) co_return Composed(label);
        co_return configured;
      }
      const mvccpb::KeyValue* found = Found(*answer, 0);
      if (found == nullptr) {
        known_.erase(key);
        accounts_.erase(label);
      }
      TakeFound(found, revision);
    }
    co_return absl::AbortedError(absl::StrCat(label, ": other replicas change the account all the time"));
  }

  // ---- slots

  static absl::string_view PlaceOf(absl::string_view slot) { return slot.substr(0, slot.find('-')); }
  static bool IsChatSlot(absl::string_view slot) {
    const absl::string_view place = PlaceOf(slot);
    return place.size() < slot.size() && !place.empty() && place.size() <= 4 &&
           std::all_of(place.begin(), place.end(), [](char c) { return c >= '0' && c <= '9'; });
  }

  asio::awaitable<absl::StatusOr<std::string>> ClaimNow(std::string label, int places, Use use) {
    if (!contact_) co_return NoAnswer();
    std::vector<std::string> free;
    const auto uses = slots_.find(label);
    const std::map<std::string, Slot> taken = uses == slots_.end() ? std::map<std::string, Slot>() : uses->second;
    for (int i = 0; i < places || use == Use::kCleanUp; ++i) {
      const std::string place = use == Use::kCleanUp ? kCleanUpPlace : absl::StrCat(i);
      const auto found = taken.find(place);
      // What this replica has given back is free, though the watch has not said so yet.
      if (found == taken.end() || (found->second.lease == lease_ && mine_.count(found->second.name) == 0))
        free.push_back(place);
      if (use == Use::kCleanUp) break;
    }
    if (free.empty()) co_return absl::AbortedError("the account is in use");
    const std::string place = free[options_.random->Next() % free.size()];
    const std::string slot = absl::StrCat(place, "-", options_.random->NextHex(24));
    const std::string key = SlotKey(label, place);
    const int64_t lease = lease_;
    TxnRequest request;
    IfCreatedAt(request, key, 0);
    Put(request.add_success(), key, slot, lease);
    Read(request.add_failure(), key);
    Scope limit(life_, options_.write_limit, NoAnswer());
    mine_.insert(slot);  // before the watch tells of it
    auto answer = co_await Txn(limit, std::move(request));
    const mvccpb::KeyValue* found = answer.ok() && !answer->succeeded() ? Found(*answer, 0) : nullptr;
    const bool won = answer.ok() && (answer->succeeded() || (found != nullptr && found->value() == slot));
    if (won && contact_ && lease == lease_ && mine_.count(slot) > 0) {
      Learn(key, slot, lease, answer->header().revision());
      co_return slot;
    }
    mine_.erase(slot);
    // Whether it was written is not known, or it comes too late to be used.
    if (!answer.ok() || won) tasks_.Spawn(executor_, GiveBackLater(label, slot, lease, kRetryPause * 2));
    if (!answer.ok()) co_return answer.status();
    if (won) co_return NoAnswer();
    TakeFound(found, answer->header().revision());
    co_return absl::AbortedError("another replica was first");
  }

  asio::awaitable<absl::Status> AdoptNow(std::string label, std::string slot) {
    if (!contact_) co_return NoAnswer();
    if (!IsChatSlot(slot)) co_return absl::AbortedError("this is no slot of this store");
    const std::string key = SlotKey(label, PlaceOf(slot));
    const int64_t lease = lease_;
    TxnRequest request;
    IfValue(request, key, slot);
    Put(request.add_success(), key, slot, lease);
    TxnRequest& if_free = *request.add_failure()->mutable_request_txn();
    IfCreatedAt(if_free, key, 0);
    Put(if_free.add_success(), key, slot, lease);
    Read(if_free.add_failure(), key);
    Scope limit(life_, options_.write_limit, NoAnswer());
    mine_.insert(slot);
    auto answer = co_await Txn(limit, std::move(request));
    const bool won = answer.ok() && (answer->succeeded() || answer->responses(0).response_txn().succeeded());
    if (won && contact_ && lease == lease_) {
      mine_.insert(slot);
      Learn(key, slot, lease, answer->header().revision());
      co_return absl::OkStatus();
    }
    mine_.erase(slot);
    // Its holder is told, and may go on with it elsewhere, or here again.
    if (!answer.ok() || won) tasks_.Spawn(executor_, GiveBackLater(label, slot, lease, options_.life / 2));
    if (!answer.ok() || won) co_return NoAnswer();
    TakeFound(Found(answer->responses(0).response_txn(), 0), answer->header().revision());
    co_return absl::AbortedError("the account has been given to another");
  }

  const EtcdStoreOptions options_;
  const std::string prefix_;
  const Sealer sealer_;
  Runtime runtime_;
  const Executor executor_;
  TaskGroup tasks_;

  // All of this on the loop alone.
  EtcdClient etcd_;
  Scope life_;
  StoreObserver* observer_ = nullptr;
  bool silent_ = false;    // nobody is there to be told
  bool learning_ = false;  // what is taken in is this replica's own
  bool contact_ = false;
  int64_t lease_ = 0;
  Clock::Monotonic renewed_;  // when the last renewal that succeeded was asked for
  Clock::Monotonic heard_;    // from the watch
  int64_t seen_ = 0;          // the newest revision that the watch has told of
  int64_t newest_ = 0;        // the newest one that etcd has answered or told with
  bool went_back_ = false;    // the store is an older one than it was; all is to be read again
  bool shown_ = false;        // in `replicas`, for others to see
  bool leaving_ = false;
  absl::StatusCode watch_fault_ = absl::StatusCode::kOk;
  std::map<std::string, int64_t> replicas_;  // name -> lease
  std::atomic<int> others_{0};
  std::map<std::string, int64_t> known_;  // key -> revision of its last change
  std::map<std::string, AccountRecord> accounts_;
  std::map<std::string, StateRecord> states_;
  std::map<std::string, std::map<std::string, Slot>> slots_;  // account -> place
  std::map<std::string, StoredConversation> conversations_;   // by key
  std::set<std::string> journal_, locks_, in_doubt_;          // accounts
  std::set<std::string> mine_;                                // slots that this replica has claimed
  std::map<std::string, Fence> fences_;                       // by account
  std::map<std::string, int> states_under_way_;
  std::map<std::string, std::deque<Item>> chains_;  // account -> what is to be written
  std::set<std::string> working_;
  bool started_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenEtcdStore(EtcdStoreOptions options, Secret key) {
  auto store = std::make_unique<EtcdStore>(std::move(options), std::move(key));
  if (auto status = store->Start(); !status.ok()) return status;
  return store;
}

}  // namespace switchyard
