// What must outlive the process: account states, tokens and the journal of their exchanges, and the ledger of
// conversations; and who uses which account. In SQLite for the one process of a machine, in etcd (etcd/etcd_store.h)
// for any number of replicas.
//
//   auto store = Store::Open("session.db", key);
//   store->Write(Store::PutConversation{…}, [](absl::Status durable) { … });
//
// Thread-safe. One thread owns the connection; writes that come while it commits share the next commit, so a thousand
// turns a second do not cost a thousand flushes. A write's callback runs, on that thread, once it is durable or has
// failed.
//
// A shared store is told of what others do by a watch, and tells its observer. What two replicas must not both do is
// decided by it, not by what a replica believes: a slot is claimed, an exchange begun, a token committed by whoever
// comes first, and the other is told so (ABORTED).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/common/text/secret.h"

namespace switchyard {

/// An account as it is remembered. Times are Unix milliseconds, 0 for none.
struct StoredAccount {
  std::string label;
  std::string platform;
  std::string fingerprint;  // of the configured credential
  int state = 0;            // session.v1.Account.State
  int64_t until_ms = 0;
  Secret token;  // a newer token than the configured one; empty if none
  int64_t token_version = 0;
  std::string identity;     // device ids, as JSON
  Secret credential = {};   // a newer credential than the configured one; empty if none
  Secret previous = {};     // the one before it, for the case that the newer one turns out not to be accepted
  int64_t expires_ms = 0;   // of `token`
  bool exchanging = false;  // read only: an exchange was begun and its outcome never stored
  Secret configured = {};   // the configured value itself; in a shared store alone
};

/// A conversation on a platform that the relay has opened and has to delete.
struct StoredConversation {
  std::string account;  // label
  std::string ref;
  int64_t opened_ms = 0;
  int failures = 0;
  std::string slot = {};  // the use that has it open; in a shared store alone
};

/// What others did to a shared store. Told on the store's own thread, in the order in which it happened.
class StoreObserver {
 public:
  virtual ~StoreObserver() = default;
  /// A newer token, or another login.
  virtual void OnAccount(const StoredAccount& account) = 0;
  virtual void OnState(const std::string& label, int state, int64_t until_ms) = 0;
  /// Whether an exchange was begun by somebody who is gone, and its outcome never stored.
  virtual void OnInDoubt(const std::string& label, bool in_doubt) = 0;
  /// Nobody exchanges the account's credential any more.
  virtual void OnExchangeOver(const std::string& label) = 0;
  /// `held`: the use that has it open goes on.
  virtual void OnConversation(const StoredConversation& conversation, bool held) = 0;
  virtual void OnConversationDropped(const std::string& label, const std::string& ref) = 0;
  /// How many chats other replicas have in flight on the account, and which slots are nobody's any more.
  virtual void OnUse(const std::string& label, int elsewhere, const std::vector<std::string>& ended) = 0;
  /// A slot of this replica is somebody else's, or nobody's.
  virtual void OnSlotLost(const std::string& label, const std::string& slot) = 0;
  /// Whether this replica may go on: false once it could not renew what it holds for too long.
  virtual void OnContact(bool good) = 0;
};

/// Times as the store has them: milliseconds since 1970, 0 for none.
inline int64_t ToStoredTime(absl::Time time) { return time == absl::InfinitePast() ? 0 : absl::ToUnixMillis(time); }
inline int64_t ToStoredExpiry(absl::Time time) { return time == absl::InfiniteFuture() ? 0 : absl::ToUnixMillis(time); }
inline absl::Time FromStoredTime(int64_t millis) {
  return millis == 0 ? absl::InfinitePast() : absl::FromUnixMillis(millis);
}

class Store {
 public:
  struct PutAccount {
    StoredAccount account;
    bool ends_exchange = false;  // with the account, in one transaction
  };
  /// The state alone. What else is known of the account may be on its way in another change, and is left to it.
  struct PutState {
    std::string label;
    int state = 0;  // session.v1.Account.State
    int64_t until_ms = 0;
    std::string fingerprint = {};  // of the login that it is the state of
  };
  /// A newer token for the same credential; the credential is left alone, for the same reason.
  struct PutToken {
    std::string label;
    Secret token;
    int64_t token_version = 0;
    int64_t expires_ms = 0;
  };
  /// To be durable before a call leaves that may make the credential it carries worthless.
  struct BeginExchange {
    std::string label;
    int64_t started_ms = 0;
    bool journal = true;  // false: nothing can be lost; others are kept out all the same, where the store is shared
  };
  /// The call came to nothing: the credential is what it was. Or that is open, and stays in the journal.
  struct EndExchange {
    std::string label;
    bool in_doubt = false;
  };
  struct PutConversation {
    StoredConversation conversation;
  };
  struct DropConversation {
    std::string account, ref;
  };
  using Change =
      std::variant<PutAccount, PutState, PutToken, BeginExchange, EndExchange, PutConversation, DropConversation>;
  using Done = absl::AnyInvocable<void(absl::Status)>;

  /// Opens or makes the database: mode 0600, WAL, synchronous FULL. PERMISSION_DENIED, DATA_LOSS (damaged) or
  /// INVALID_ARGUMENT (sealed with another key), naming the file.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path, Secret key);
  virtual ~Store() = default;

  /// UNAVAILABLE through `done` if it cannot be made durable (disk full, I/O error, no answer). An account's changes
  /// are applied in order. Where the store is shared: ABORTED if another replica was first.
  virtual void Write(Change change, Done done) = 0;

  /// Blocking; at start.
  virtual absl::StatusOr<std::vector<StoredAccount>> Accounts() = 0;
  virtual absl::StatusOr<std::vector<StoredConversation>> Conversations() = 0;

  // ---- slots: who uses which account. A slot is an opaque name, "" for none. What is answered at once is not told
  // through the callback. This class itself keeps them in memory, for one process.

  enum class Use { kChat, kCleanUp };
  using Claimed = absl::AnyInvocable<void(absl::StatusOr<std::string> slot)>;
  /// One of the account's `places` for a chat, or the one for a clean-up. ABORTED if none is free; UNAVAILABLE.
  virtual std::optional<absl::StatusOr<std::string>> Claim(const std::string& label, int places, Use use,
                                                           Claimed claimed);
  /// Goes on with a chat's slot that another process had, or had before. ABORTED if the place has been given to
  /// another.
  virtual std::optional<absl::Status> Adopt(const std::string& label, const std::string& slot, int places, Done done);
  /// Seen to in the background.
  virtual void GiveBack(const std::string& label, const std::string& slot);

  // ---- several replicas; these do nothing where the store is one process's own

  virtual bool shared() const { return false; }
  /// Whether other replicas are there to go on with what this one holds, and will stay.
  virtual bool has_others() const { return false; }
  /// Blocking, briefly: tells the others not to count on this replica, which is about to stop.
  virtual void Leave() {}
  /// How long a use goes on in the store once its replica has gone.
  virtual absl::Duration life() const { return absl::ZeroDuration(); }
  /// Blocking: makes an account of the configuration known. @return the account in force, which may be what a replica
  /// with a newer configuration, or an exchange, has made of it.
  virtual absl::StatusOr<StoredAccount> Register(const StoredAccount& configured) { return configured; }
  /// Who is told; nullptr for nobody, and then nothing is told, also not through callbacks, once it returns.
  virtual void Observe(StoreObserver* observer) { (void)observer; }

 protected:
  Store() = default;

 private:
  absl::Mutex slots_mutex_;
  std::map<std::string, std::set<std::string>> slots_ ABSL_GUARDED_BY(slots_mutex_);  // chats, by account
  uint64_t next_slot_ ABSL_GUARDED_BY(slots_mutex_) = 1;
};

}  // namespace switchyard
