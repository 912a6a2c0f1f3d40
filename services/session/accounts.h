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
    absl::Time token_expires = absl::InfiniteFuture();
    Identity identity;
  };
  /// Called once, on any thread and under the lock, when the wish is granted or refused: it posts and returns.
  using Answer = absl::AnyInvocable<void(absl::StatusOr<Granted>)>;

  /// @param make_refresher MakeRefresher(), or a test's own
  using RefresherFactory = std::function<std::unique_ptr<Refresher>(
      const std::string& platform, const ProviderConfig& config, const RefresherTools& tools)>;
  explicit Accounts(Dependencies dependencies, RefresherFactory make_refresher = MakeRefresher);
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

  /// The account's token as it stands; its `token` is empty where one has to be got first. nullopt if unknown.
  std::optional<Granted> Current(const std::string& account) const;
  /// Whether the token is good enough to be lent, may be lent while a newer one is got, or must be replaced first.
  enum class Freshness { kFresh, kStale, kUseless };
  Freshness FreshnessOf(const std::string& account) const;

  /// The platform refused token `version`, and there is no other to be had: the account has expired.
  void TokenRefused(const std::string& account, int64_t version, ListenerId reporter);

  // ---- exchanging a credential for a token; TokenKeeper is the only caller

  /// What an exchange needs to know. nullopt if the account's platform has no such thing.
  struct Exchange {
    const Refresher* refresher;
    Identity identity;
    std::vector<Secret> credentials;  // the newest first
    // What an earlier exchange brought and the store would not take: it is stored before anything else is asked for.
    std::optional<FreshToken> unstored;
    Secret unstored_for;  // the credential that was sent for it
  };
  std::optional<Exchange> ExchangeFor(const std::string& account) const;
  /// Durable before the call leaves; `done` at once where the platform does not rotate.
  void BeginExchange(const std::string& account, Store::Done done);
  /// Stores what came back; only then it is used, and all holders are told. If it cannot be stored, it is kept for the
  /// next attempt. @param used the credential that was sent
  void CommitExchange(const std::string& account, const FreshToken& fresh, const Secret& used, Store::Done done);
  /// The exchange failed. Definitely (`settled`): nothing has changed on the platform's side. Otherwise that is open,
  /// and stays in the journal. A refused credential is the account's end: it has expired, or, where a newer credential
  /// may have been lost, it needs a login.
  void FailExchange(const std::string& account, const absl::Status& why, bool settled);
  /// Takes a newer token that the platform handed out; all holders are told once it is stored.
  void AdoptToken(const std::string& account, Secret token);
  /// Accounts in use whose token should be replaced before somebody has to wait for it.
  std::vector<std::string> Ageing() const;

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
    bool has_credential;  // the configured value can be one
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
    Secret token;           // in use; empty if it has to be got first
    bool adopted = false;   // the token is newer than the configured one, and stored
    Secret credential;      // what is exchanged for a token; empty where the token is all there is
    Secret previous;        // the credential before it was rotated
    bool rotated = false;   // the credential is newer than the configured one
    bool in_doubt = false;  // an exchange may have rotated the credential, and the answer was lost
    absl::Time expires = absl::InfiniteFuture();     // of the token
    absl::Time obtained = absl::InfinitePast();      // the token
    absl::Time next_attempt = absl::InfinitePast();  // to replace a token that is still good, after one that failed
    std::optional<std::pair<FreshToken, Secret>> unstored;  // and the credential it was got for
    int64_t token_version = 1;
    int64_t newest_version = 1;  // also of tokens that are still being stored
    Identity identity;
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
  static Granted GrantedOf(const std::string& label, const Account& account);
  Granted GrantOf(const std::string& label) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  session::v1::Account Describe(const std::string& label, const Account& account) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static StoredAccount ToStored(const std::string& label, const Account& account);
  void RememberState(const std::string& label) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellWithdrawn(const std::string& label, const Account& account, ListenerId except)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Arm(const std::string& name, Pool& pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Dependencies dependencies_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Account> accounts_ ABSL_GUARDED_BY(mutex_);  // by label
  std::map<std::string, Pool> pools_ ABSL_GUARDED_BY(mutex_);
  static void Take(const NormalCredential& normal, Account& account);
  void Recall(const StoredAccount& known, Account& account) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellToken(const std::string& label, const Account& account) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RefresherFactory make_refresher_;
  std::map<std::string, std::unique_ptr<Refresher>> refreshers_;  // by platform; set by Load()
  std::map<std::string, ProviderConfig> limits_;                  // by platform; set by Load()
  std::map<std::string, std::map<ListenerId, Listener>> listeners_ ABSL_GUARDED_BY(mutex_);
  ListenerId next_listener_ ABSL_GUARDED_BY(mutex_) = 1;
  Ledger ledger_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace switchyard
