// Every account of every platform: who holds it, how it fares, what it has left to clean up. The state behind
// SessionService; the rules themselves are in LeaseTable, AccountHealth and Ledger.
//
// Where the store is shared, other replicas lend the same accounts: what is lent is claimed there first, and what they
// do comes in by StoreObserver (accounts_replicas.cc).
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

class Accounts final : private StoreObserver {
 public:
  struct Dependencies {  // all outlive it
    Executor executor;   // for its timers
    Store& store;
    const Sealer& sealer;
    HttpClient& http;
    SigningClient& signing;
    const Clock& clock;
    Random& random;
    // How long nothing is lent after a start with a store of one process that had been used before: whoever holds an
    // account since then resumes first. Zero where no holder outlives the process.
    absl::Duration resume_first = absl::ZeroDuration();
  };
  /// What a lease holder gets.
  struct Granted {
    std::string account;
    Secret token;
    int64_t token_version = 0;
    absl::Time token_expires = absl::InfiniteFuture();
    Identity identity;
    std::string slot = {};   // of this use, where it is one
    std::string login = {};  // a digest of the configured credential that it is of
  };
  /// Called once, on any thread and under the lock, when the wish is granted or refused: it posts and returns.
  using Answer = absl::AnyInvocable<void(absl::StatusOr<Granted>)>;

  /// @param make_refresher MakeRefresher(), or a test's own
  using RefresherFactory = std::function<std::unique_ptr<Refresher>(
      const std::string& platform, const ProviderConfig& config, const RefresherTools& tools)>;
  explicit Accounts(Dependencies dependencies, RefresherFactory make_refresher = MakeRefresher);
  ~Accounts() override;

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
  void Release(const std::string& pool, const std::string& account, const std::string& slot);

  /// Goes on with a use that another replica had lent, or a former process, or this one. ABORTED if it is another's
  /// now.
  void Resume(const std::string& pool, const std::string& account, const std::string& slot, Answer answer);

  /// Whose a use is, for as long as it lasts. `lost` is called once, under the lock, if it is no longer this replica's
  /// to go on with: it posts and returns. @return 0 if that has happened already
  using HolderId = int64_t;
  using Lost = std::function<void(const absl::Status& why)>;
  HolderId Attach(const std::string& slot, Lost lost);
  /// The holder's stream has ended. If it did not say that the use is over (`released`), and another replica could go
  /// on with it, it is kept for a while. `refs` as for LeaseEnded().
  void Detach(const std::string& pool, const std::string& account, const std::string& slot, HolderId holder,
              const std::set<std::string>& refs, bool released);

  /// How long a holder may go on without a stream before its account may be another's; zero where it never is.
  absl::Duration resume_within() const;
  int held() const;
  bool shared() const { return dependencies_.store.shared(); }
  /// Calls `lost`, under the lock, when this replica loses the store that it shares; at once if it has lost it. For as
  /// long as somebody has what is returned, which may outlive this.
  std::shared_ptr<std::function<void()>> WatchContact(std::function<void()> lost);
  /// Called, under the lock, when this replica loses or regains the store. Before Load().
  void OnContactChange(std::function<void(bool good)> told) { contact_told_ = std::move(told); }
  /// Blocking, briefly: tells other replicas not to count on this one, which will stop.
  void Leave() { dependencies_.store.Leave(); }
  /// Ends every use with UNAVAILABLE, so that its holder goes on at another replica: this one stops. Nothing if there
  /// is none that stays.
  void HandOver();

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
  using CleanUpAnswer = absl::AnyInvocable<void(absl::StatusOr<CleanUp>)>;
  void AcquireCleanUp(const std::string& platform, CleanUpAnswer answer);

  /// What a turn says of its account. Success does not end a refusal: the turn may have begun before it. If the account
  /// is withdrawn by it, every listener but the `reporter` is told.
  /// @param login Granted::login: what is said of a login that was replaced meanwhile counts no more
  void Report(const std::string& account, const std::string& login, const session::v1::ReportOutcome& outcome,
              ListenerId reporter);
  /// What the platform says of the credential itself: ends any earlier state.
  void Checked(const std::string& account, const std::string& login, const session::v1::ReportOutcome& outcome);

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
    std::string login;                // as Granted::login
    int64_t version;                  // of the token that it is to replace
    std::vector<Secret> credentials;  // the newest first
    // What an earlier exchange brought and the store would not take: it is stored before anything else is asked for.
    std::optional<FreshToken> unstored;
    Secret unstored_for;  // the credential that was sent for it
  };
  std::optional<Exchange> ExchangeFor(const std::string& account) const;
  /// Durable before the call leaves; `done` at once where the platform does not rotate.
  void BeginExchange(const std::string& account, Store::Done done);
  /// Stores what came back; only then it is used, and all holders are told. If it cannot be stored, it is kept for the
  /// next attempt. @param login Exchange::login @param used the credential that was sent
  /// ABORTED, and it is forgotten, if another replica has stored a newer one, or the login was replaced.
  void CommitExchange(const std::string& account, const std::string& login, const FreshToken& fresh, const Secret& used,
                      Store::Done done);
  /// Nothing was sent: somebody else has just done it.
  void AbandonExchange(const std::string& account);
  /// Calls `done`, once, when somebody else's exchange has ended or brought a token. On any thread. @return for
  /// StopWaiting()
  uint64_t WhenExchanged(const std::string& account, absl::AnyInvocable<void()> done);
  void StopWaiting(const std::string& account, uint64_t waiter);
  /// Accounts with a token that the store would not take.
  std::vector<std::string> Unstored() const;
  /// The exchange failed. Definitely (`settled`): nothing has changed on the platform's side. Otherwise that is open,
  /// and stays in the journal. A refused credential is the account's end: it has expired, or, where a newer credential
  /// may have been lost, it needs a login. @return false if what the exchange was made for has been replaced meanwhile:
  /// that says nothing of the account, which has another token.
  bool FailExchange(const std::string& account, const Exchange& exchange, const absl::Status& why, bool settled);
  /// Takes a newer token that the platform handed out; all holders are told once it is stored.
  void AdoptToken(const std::string& account, Secret token);
  /// Accounts in use whose token should be replaced before somebody has to wait for it.
  std::vector<std::string> Ageing() const;

  /// The ledger; `done`, which may be null, runs once the change is durable, or has failed.
  void ConversationOpened(const std::string& account, const std::string& ref, const std::string& slot,
                          Store::Done done);
  void ConversationDropped(const std::string& account, const std::string& ref, Store::Done done);
  /// `tried`: those of `refs` that are still there could not be deleted; else nobody came to it.
  void LeaseEnded(const std::string& account, const std::set<std::string>& refs, bool tried);
  void CleanUpEnded(const std::string& account, const std::string& slot, const std::set<std::string>& refs, bool tried);

  /// Why the account cannot be used now; OK if it can, or is not known.
  absl::Status WhyNot(const std::string& account) const;

  std::vector<session::v1::Account> List(const std::string& platform) const;
  std::optional<session::v1::Account> Find(const std::string& account) const;

  /// For a check: the account's token and the platform's refresher. nullopt for an unknown account.
  struct Checkable {
    bool has_credential;  // the configured value can be one
    std::string login;    // as Granted::login
    Identity identity;
    const Refresher* refresher;
  };
  std::optional<Checkable> ForCheck(const std::string& account) const;

 private:
  struct Account {
    std::string platform;
    std::string pool;  // the platform, or its own label for a caller's own
    bool own = false;  // a caller's own: neither stored nor listed
    // Of a store's account that the configuration does not have: its turns may end here, and no more.
    bool retired = false;
    bool malformed = false;  // the configured value cannot be a token: other replicas' may
    std::string fingerprint;
    Secret configured;      // the value that `fingerprint` is of
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
    // After a claim that came to nothing, before the next one.
    Clock::Monotonic not_before = Clock::Monotonic::min();
  };
  /// A use that this replica has claimed.
  struct Held {
    std::string pool, account;
    HolderId holder = 0;  // 0: nobody's yet, or its stream has ended
    HolderId left = 0;    // counts what happened, so that a timer knows whether it is still meant
    Lost lost = {};
  };

  // ---- StoreObserver
  void OnAccount(const StoredAccount& stored) override;
  void OnState(const std::string& label, int state, int64_t until_ms) override;
  void OnInDoubt(const std::string& label, bool in_doubt) override;
  void OnExchangeOver(const std::string& label) override;
  void OnConversation(const StoredConversation& conversation, bool held) override;
  void OnConversationDropped(const std::string& label, const std::string& ref) override;
  void OnUse(const std::string& label, int elsewhere, const std::vector<std::string>& ended) override;
  void OnSlotLost(const std::string& label, const std::string& slot) override;
  void OnContact(bool good) override;

  absl::Status Unreachable() const;
  /// Hands a grant over to the store, and what it answers to its waiter.
  void ClaimFor(const std::string& name, Pool& pool, LeaseTable::Grant grant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Claimed(const std::string& name, LeaseTable::Grant grant, absl::StatusOr<std::string> slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReleaseLocked(const std::string& pool, const std::string& account, const std::string& slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Resumed(const std::string& pool, const std::string& account, const std::string& slot,
               const absl::Status& adopted, Answer& answer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// The account, or one that other replicas have and this one's configuration has not; nullptr if there is none.
  Account* ForResume(const std::string& pool, const std::string& label) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Lose(Held& held, const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Linger(const std::string& slot, HolderId left);
  void CleanUpNext(const std::string& platform, std::set<std::string> passed_over, CleanUpAnswer answer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<CleanUp> CleanUpOf(const std::string& label, const std::string& slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellExchanged(const std::string& label) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Makes what the store says of an account the account's own.
  void Absorb(const StoredAccount& stored, Account& account) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  /// @return what a shared store is to be told of
  std::vector<StoredAccount> Join(const Config& config, const std::vector<StoredAccount>& stored)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddPool(const std::string& name, const ProviderConfig& limits) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetIdleOwn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Poll(const std::string& pool);
  void PollLocked(const std::string& pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle(const std::string& name, Pool& pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsLogin(const std::string& label, const std::string& login) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
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
  std::map<std::string, std::unique_ptr<Refresher>> refreshers_;            // by platform; set by Load()
  std::map<std::string, ProviderConfig> limits_;                            // by platform; set by Load()
  std::map<std::string, StoredAccount> strangers_ ABSL_GUARDED_BY(mutex_);  // the store's, not configured; by label
  std::map<std::string, std::map<ListenerId, Listener>> listeners_ ABSL_GUARDED_BY(mutex_);
  ListenerId next_listener_ ABSL_GUARDED_BY(mutex_) = 1;
  Ledger ledger_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Held> held_ ABSL_GUARDED_BY(mutex_);  // by slot
  HolderId next_holder_ ABSL_GUARDED_BY(mutex_) = 1;
  Clock::Monotonic lend_from_ ABSL_GUARDED_BY(mutex_) = Clock::Monotonic::min();
  std::map<std::string, int> elsewhere_ ABSL_GUARDED_BY(mutex_);  // account -> chats that other replicas have in flight
  std::map<std::string, std::map<uint64_t, absl::AnyInvocable<void()>>> exchange_waiters_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_exchange_waiter_ ABSL_GUARDED_BY(mutex_) = 1;
  bool contact_ ABSL_GUARDED_BY(mutex_) = true;
  bool leaving_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void(bool good)> contact_told_;
  std::vector<std::weak_ptr<std::function<void()>>> contact_watches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace switchyard
