// What must outlive the process: account states, tokens and the journal of their exchanges, and the ledger of
// conversations, in SQLite.
//
//   auto store = Store::Open({.path = "session.db", .key_file = "session.key"}, key);
//   store->Write(Store::PutConversation{…}, [](absl::Status durable) { … });
//
// Thread-safe. One thread owns the connection; writes that come while it commits share the next commit, so a thousand
// turns a second do not cost a thousand flushes. A write's callback runs, on that thread, once it is durable or has
// failed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
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
};

/// A conversation on a platform that the relay has opened and has to delete.
struct StoredConversation {
  std::string account;  // label
  std::string ref;
  int64_t opened_ms = 0;
  int failures = 0;
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
  };
  /// The call came to nothing: the credential is what it was.
  struct EndExchange {
    std::string label;
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

  /// UNAVAILABLE through `done` if it cannot be made durable (disk full, I/O error). Changes are applied in order.
  virtual void Write(Change change, Done done) = 0;

  /// Blocking; at start.
  virtual absl::StatusOr<std::vector<StoredAccount>> Accounts() = 0;
  virtual absl::StatusOr<std::vector<StoredConversation>> Conversations() = 0;
};

}  // namespace switchyard
