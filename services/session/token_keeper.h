// Sees to it that an account's token is good before it is lent: exchanges credentials ahead of expiry, one exchange an
// account at a time, and uses nothing that is not stored.
//
//   TokenKeeper tokens(accounts);
//   auto granted = co_await tokens.Fresh(scope, label);       // before a lease is granted
//   auto renewed = co_await tokens.Renew(scope, label, 3);    // the platform refused version 3
//
// The order of an exchange that may rotate the credential: the journal says that it begins, durably; the call; what
// came back is stored, durably, and with it the journal's entry goes; only then anybody gets the token. A process that
// dies in between leaves the entry, and the next one knows that the credential it has may be dead.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"
#include "services/session/accounts.h"
#include "services/session/single_flight.h"

namespace switchyard {

/// Thread-safe. `accounts` outlives it and every exchange that it began.
class TokenKeeper {
 public:
  explicit TokenKeeper(Accounts& accounts) : accounts_(accounts) {}

  /// The account with a token that can be lent. Waits for an exchange where there has to be one; where the token is
  /// only getting old, that goes on behind. Errors: CREDENTIAL_EXPIRED, what else the platform says, UPSTREAM_*,
  /// NO_BACKEND (cause store) if what came back could not be stored, DEADLINE; the scope's own. The exchange itself
  /// does not end with the scope.
  boost::asio::awaitable<absl::StatusOr<Accounts::Granted>> Fresh(Scope& scope, std::string account);

  /// A token newer than `refused`: what another turn has got in the meantime, or a new one. Errors as above;
  /// CREDENTIAL_EXPIRED where there can be none.
  boost::asio::awaitable<absl::StatusOr<Accounts::Granted>> Renew(Scope& scope, std::string account, int64_t refused);

  /// Replaces the tokens of accounts in use ahead of their end, for as long as `executor` runs.
  boost::asio::awaitable<void> Watch(Executor executor);

 private:
  boost::asio::awaitable<absl::StatusOr<Accounts::Granted>> Flight(Scope& scope, std::string account);
  boost::asio::awaitable<void> Behind(Executor executor, std::string account);

  Accounts& accounts_;
  SingleFlight<Accounts::Granted> flights_;  // by account
};

}  // namespace switchyard
