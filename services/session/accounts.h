// Every account of every platform: who holds it, how it fares, what it has left to clean up. The state behind
// SessionService; the rules themselves are in LeaseTable, AccountHealth and Ledger.
//
// Thread-safe: one mutex, held briefly and never while anything is waited for. Destroyed after the event loops stopped
// and before they are destroyed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/steady_timer.hpp"
#include "services/common/async/runtime.h"
#include "services/common/config/config.h"
#include "services/common/time/clock.h"
#include "services/common/time/random.h"
#include "services/session/account_health.h"
#include "services/session/lease_table.h"
#include "services/session/ledger.h"
#include "services/session/refreshers/refresher.h"
#include "services/session/seal.h"
#include "services/session/store.h"

namespace switchyard {

class Accounts {
 public:
  struct Dependencies {  // all outlive it
    Executor executor;   // for its timers
    Store& store;
    const Sealer& sealer;
    HttpClient& http;
    SigningClient& signing;
    const Clock& clock;
    Random& random;
  };
  /// What a lease holder gets.
  struct Granted {
    std::string account;
    Secret token;
    int64_t token_version = 0;
    std::map<std::string, std::string> identity;
  };
  /// Called once, on any thread and under the lock, when the wish is granted or refused: it posts and returns.
  using Answer = absl::AnyInvocable<void(absl::StatusOr<Granted>)>;

  explicit Accounts(Dependencies dependencies);
  ~Accounts();

  /// Joins configuration and store. Fails only if the store cannot be read.
  absl::Status Load(const Config& config);

  /// The pool in which a caller's own token is lent: a single account, known by a keyed digest, with the platform's
  /// limits, that lives in memory alone. What is opened with it cannot be cleaned up after a restart. @return the pool,
  /// which is the account's label too. INVALID_ARGUMENT if the value cannot be a token of the platform.
  absl::StatusOr<std::string> AdmitOwn(const std::string& platform, const Secret& token);

  /// Asks for a lease. `pool` is a platform, or what AdmitOwn() answered. @return an id for Withdraw(), and the
  /// position in the queue if it has to wait.
  struct Queued {
    LeaseTable::Id id = 0;
    std::optional<int> position;
  };
  Queued Acquire(const std::string& pool, LeaseWish wish, Answer answer);
  /// @return whether it was still waiting; if not, its answer has been given.
  bool Withdraw(const std::string& pool, LeaseTable::Id id);
  void Release(const std::string& pool, const std::string& account);

  /// Tells the holders of an account what concerns them all: a newer token, or that the account is withdrawn. Called
  /// under the lock: it posts and returns.
  using Listener = std::function<void(const session::v1::LeaseEvent& event)>;
  using ListenerId = int64_t;
  ListenerId Listen(const std::string& account, Listener listener);
  void Unlisten(const std::string& account, ListenerId id);

  /// An account with pending conversations and what is pending. NOT_FOUND if there is nothing to do.
  struct CleanUp {
    Granted granted;
    std::vector<std::string> refs;
  };
  absl::StatusOr<CleanUp> AcquireCleanUp(const std::string& platform);

  /// What a turn says of its account. Success does not end a refusal: the turn may have begun before it. If the account
  /// is withdrawn by it, every listener but the `reporter` is told.
  void Report(const std::string& account, const session::v1::ReportOutcome& outcome, ListenerId reporter);
  /// What the platform says of the credential itself: ends any earlier state.
  void Checked(const std::string& account, const session::v1::ReportOutcome& outcome);

  /// The platform refused token `version`. @return the newer one, if there is one; otherwise the account has expired.
  std::optional<Granted> TokenRefused(const std::string& account, int64_t version, ListenerId reporter);
  /// Takes a newer token that the platform handed out; all holders are told once it is stored.
  void AdoptToken(const std::string& account, Secret token);

  /// The ledger; `done`, which may be null, runs once the change is durable, or has failed.
  void ConversationOpened(const std::string& account, const std::string& ref, Store::Done done);
  void ConversationDropped(const std::string& account, const std::string& ref, Store::Done done);
  void LeaseEnded(const std::string& account, const std::set<std::string>& refs);

  /// Why the account cannot be used now; OK if it can, or is not known.
  absl::Status WhyNot(const std::string& account) const;

  std::vector<session::v1::Account> List(const std::string& platform) const;
  std::optional<session::v1::Account> Find(const std::string& account) const;

  /// For a check: the account's token and the platform's refresher. nullopt for an unknown account.
  struct Checkable {
    Secret token;
    Identity identity;
    const Refresher* refresher;
  };
  std::optional<Checkable> ForCheck(const std::string& account) const;

 private:
  struct Account {
    std::string platform;
    std::string pool;  // the platform, or its own label for a caller's own
    bool own = false;  // a caller's own: neither stored nor listed
    std::string fingerprint;
    Secret token;    // in use
    Secret adopted;  // newer than the configured one; empty if none
    int64_t token_version = 1;
    int64_t newest_version = 1;  // also of tokens that are still being stored
    std::map<std::string, std::string> identity;
    AccountHealth health;
    std::string advice;  // about the configured value
    absl::Time last_used = absl::InfinitePast();
  };
  struct Pool {
    std::unique_ptr<LeaseTable> table;
    std::map<LeaseTable::Id, std::pair<LeaseWish, Answer>> waiting;
    std::unique_ptr<boost::asio::steady_timer> timer;
  };

  void AddPool(const std::string& name, const ProviderConfig& limits) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetIdleOwn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Poll(const std::string& pool);
  void PollLocked(const std::string& pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle(const std::string& name, Pool& pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Apply(const std::string& label, const session::v1::ReportOutcome& outcome, bool ends_refusals,
             ListenerId reporter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tell(const std::string& label, const session::v1::LeaseEvent& event, ListenerId except)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RefusalFor(const std::string& pool, const LeaseWish& wish) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Granted GrantOf(const std::string& label) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  session::v1::Account Describe(const std::string& label, const Account& account) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static StoredAccount ToStored(const std::string& label, const Account& account);
  void Remember(const std::string& label) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Arm(const std::string& name, Pool& pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Dependencies dependencies_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Account> accounts_ ABSL_GUARDED_BY(mutex_);  // by label
  std::map<std::string, Pool> pools_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::unique_ptr<Refresher>> refreshers_;  // by platform; set by Load()
  std::map<std::string, ProviderConfig> limits_;                  // by platform; set by Load()
  std::map<std::string, std::map<ListenerId, Listener>> listeners_ ABSL_GUARDED_BY(mutex_);
  ListenerId next_listener_ ABSL_GUARDED_BY(mutex_) = 1;
  Ledger ledger_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace switchyard
