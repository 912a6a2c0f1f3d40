// The only door to the session service.
//
//   auto lease = co_await sessions.Acquire(scope, context, std::move(acquire));
//   … (*lease)->token() …
//   co_await (*lease)->Release();
//
// A lease outlives its stream: where that breaks, it is resumed at whatever session service there is, and what was
// reported and not answered is reported again. Where several services share a store, a lease that cannot be resumed in
// time is lost, and its holder told to stop.
//
// SessionClient is thread-safe; a LeaseHandle lives on its scope's executor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "boost/asio/awaitable.hpp"
#include "grpcpp/channel.h"
#include "services/common/async/scope.h"
#include "services/common/rpc/call_context.h"
#include "services/common/text/secret.h"
#include "switchyard/session/v1/session.grpc.pb.h"

namespace switchyard {

/// A borrowed account. Destroying it releases the account, too, behind.
class LeaseHandle {
 public:
  virtual ~LeaseHandle() = default;

  virtual const std::string& account() const = 0;
  virtual const Secret& token() const = 0;
  virtual const std::map<std::string, std::string>& identity() const = 0;
  virtual const std::string& conversation_ref() const = 0;
  virtual const std::vector<std::string>& pending_conversations() const = 0;

  virtual void Report(session::v1::ReportOutcome outcome) = 0;

  /// OK once the ledger holds it durably. UNAVAILABLE (cause store) if it cannot; why the account was withdrawn, if it
  /// was.
  virtual boost::asio::awaitable<absl::Status> RecordConversation(Scope& scope, std::string ref) = 0;
  virtual void ConversationDeleted(const std::string& ref) = 0;
  /// Takes it off the ledger. @return the opaque id by which it is continued
  virtual boost::asio::awaitable<absl::StatusOr<std::string>> KeepConversation(Scope& scope, std::string ref,
                                                                               std::string resume_ref) = 0;

  /// Tells the service that the token was refused. @return OK if token() is a newer one now, else why there is none.
  virtual boost::asio::awaitable<absl::Status> RefreshToken(Scope& scope) = 0;

  /// `told` is called, at most once and on the lease's executor, if the account may be another's by now: its use has to
  /// end. Not where a single service holds the accounts.
  virtual void OnLost(std::function<void(const absl::Status&)> told) = 0;

  /// Ends the lease after everything reported has been taken; 5 s at most.
  virtual boost::asio::awaitable<void> Release() = 0;
};

class SessionClient {
 public:
  explicit SessionClient(std::shared_ptr<grpc::Channel> channel);

  /// Waits for an account. The lease lasts until the handle is released or `scope` ends. Errors as the RPC's.
  boost::asio::awaitable<absl::StatusOr<std::unique_ptr<LeaseHandle>>> Acquire(Scope& scope, CallContext context,
                                                                               session::v1::Acquire acquire);

  /// @param platform empty for all
  boost::asio::awaitable<absl::StatusOr<session::v1::ListAccountsResponse>> ListAccounts(Scope& scope,
                                                                                         CallContext context,
                                                                                         std::string platform);
  boost::asio::awaitable<absl::StatusOr<session::v1::CheckAccountResponse>> CheckAccount(Scope& scope,
                                                                                         CallContext context,
                                                                                         std::string label);

 private:
  std::shared_ptr<session::v1::SessionService::Stub> stub_;
};

}  // namespace switchyard
