// One account in use by one turn: the lease, what was opened on the platform with it, and how that is undone.
//
// Outlives the call it was made for: clean-up goes on after the caller has its answer. Lives on one executor.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"
#include "services/common/provider/provider.h"
#include "services/session/client/session_client.h"

namespace switchyard {

class AccountUse {
 public:
  /// `provider` outlives it.
  AccountUse(Executor executor, Provider& provider) : provider_(provider), life_(std::move(executor)) {}

  /// Takes a lease. The wait ends with `call`; the lease itself does not. @param lost see LeaseHandle::OnLost()
  boost::asio::awaitable<absl::Status> Acquire(Scope& call, SessionClient& sessions, CallContext context,
                                               session::v1::Acquire acquire,
                                               std::function<void(const absl::Status&)> lost = nullptr);

  /// Tells the account's health what came of a try.
  void Report(const absl::Status& outcome);

  /// Stops what still runs, deletes what was opened, releases the lease. Bounded; failures are logged, and what could
  /// not be deleted stays in the ledger, and so does all of it once the lease is lost. @param keep_conversation leave
  /// the conversation on the platform.
  boost::asio::awaitable<void> CleanUp(bool keep_conversation);

  /// After the platform refused the token: OK once account() has a newer one, else why there is none.
  boost::asio::awaitable<absl::Status> RenewToken(Scope& call);

  const Account& account() const { return account_; }
  LeaseHandle& lease() { return *lease_; }

  std::vector<std::string> conversations;  // opened and not yet deleted
  std::string kept;                        // of those, the one that is gone on with; empty if not known
  std::string generation;                  // running, by the provider's reference; empty if none
  std::unique_ptr<HttpResponse> to_drain;  // see Turn::DrainLater

 private:
  Provider& provider_;
  Scope life_;
  bool lost_ = false;
  std::unique_ptr<LeaseHandle> lease_;
  Account account_;
};

}  // namespace switchyard
