// SessionService over Accounts: one Lease stream a chat turn.
#pragma once

#include "grpcpp/support/server_callback.h"
#include "services/common/async/runtime.h"
#include "services/common/rpc/server_call.h"
#include "services/session/accounts.h"
#include "services/session/seal.h"
#include "services/session/single_flight.h"
#include "services/session/token_keeper.h"
#include "switchyard/session/v1/session.grpc.pb.h"

namespace switchyard {

/// Thread-safe. What it is given outlives it; it is destroyed after the event loops have stopped.
class SessionService final : public session::v1::SessionService::CallbackService {
 public:
  using LeaseCall = ServerBidi<session::v1::LeaseRequest, session::v1::LeaseEvent>;

  SessionService(Runtime& runtime, Accounts& accounts, const Sealer& sealer)
      : runtime_(runtime), accounts_(accounts), sealer_(sealer), tokens_(accounts) {}

  /// Begins to replace tokens ahead of their end; goes on until the event loops stop.
  void KeepTokens();
  /// Where other replicas share the store: lends nothing any more, and lets the holders go on there.
  void Leave() { accounts_.Leave(); }
  void HandOver() { accounts_.HandOver(); }
  /// Uses of accounts that this replica has.
  int held() const { return accounts_.held(); }

  grpc::ServerBidiReactor<session::v1::LeaseRequest, session::v1::LeaseEvent>* Lease(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ListAccounts(grpc::CallbackServerContext* context,
                                         const session::v1::ListAccountsRequest* request,
                                         session::v1::ListAccountsResponse* response) override;
  grpc::ServerUnaryReactor* CheckAccount(grpc::CallbackServerContext* context,
                                         const session::v1::CheckAccountRequest* request,
                                         session::v1::CheckAccountResponse* response) override;

 private:
  boost::asio::awaitable<absl::Status> Check(Scope& scope, const session::v1::CheckAccountRequest& request,
                                             session::v1::CheckAccountResponse& response);

  boost::asio::awaitable<absl::StatusOr<session::v1::CheckAccountResponse>> CheckNow(Executor executor,
                                                                                     std::string label);

  Runtime& runtime_;
  Accounts& accounts_;
  const Sealer& sealer_;
  TokenKeeper tokens_;
  SingleFlight<session::v1::CheckAccountResponse> checks_;  // by account
};

}  // namespace switchyard
