// A small client of etcd's API, 3.4 and newer: transactions, leases, one watch.
//
//   EtcdClient etcd({.endpoints = {"10.0.0.1:2379", "10.0.0.2:2379"}});
//   auto answer = co_await etcd.Txn(scope, request);
//   int64_t seen = …; absl::Status why = co_await etcd.Watch(scope, "/switchyard/", seen + 1, take);
//
// A call goes to one member; one that does not answer within the attempt's limit, or has no leader, is left for the
// next, until the scope ends. So a transaction may have been carried out although its answer was lost, and its caller
// sees that by its comparisons. Lives on one executor.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "etcd/rpc.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/security/credentials.h"
#include "services/common/async/scope.h"
#include "services/common/rpc/client_call.h"

namespace switchyard {

struct EtcdOptions {
  std::vector<std::string> endpoints;                               // "host:port", at least one
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;  // nullptr: in the clear
  absl::Duration attempt_limit = absl::Milliseconds(1500);          // a call at one member, at first
};

/// The end of the range of all keys that begin with `prefix`.
std::string EtcdPrefixEnd(std::string prefix);

class EtcdClient {
 public:
  explicit EtcdClient(EtcdOptions options);

  /// What another member, or the same one a moment later, may answer otherwise; it may have been carried out, too.
  static bool IsPassing(const absl::Status& status);

  /// Errors: the scope's own if no member answered well in its time, with what etcd said last; else etcd's: NOT_FOUND
  /// for a lease that is gone.
  boost::asio::awaitable<absl::StatusOr<etcdserverpb::TxnResponse>> Txn(Scope& scope, etcdserverpb::TxnRequest request);
  boost::asio::awaitable<absl::StatusOr<etcdserverpb::RangeResponse>> Range(Scope& scope, std::string key,
                                                                            std::string range_end);

  /// @return its id
  boost::asio::awaitable<absl::StatusOr<int64_t>> GrantLease(Scope& scope, absl::Duration ttl);
  /// NOT_FOUND if it is gone.
  boost::asio::awaitable<absl::Status> RenewLease(Scope& scope, int64_t lease);
  boost::asio::awaitable<absl::Status> RevokeLease(Scope& scope, int64_t lease);

  /// Everything that changes below `prefix` from revision `from` on, until the stream breaks: UNAVAILABLE, and the next
  /// call asks another member; OUT_OF_RANGE if `from` is no longer kept; the scope's own. `take` gets each response,
  /// also those without events.
  using Take = std::function<void(const etcdserverpb::WatchResponse& response)>;
  boost::asio::awaitable<absl::Status> Watch(Scope& scope, std::string prefix, int64_t from, Take take);
  /// Asks the running watch for a sign of life.
  void ProdWatch();
  /// Ends the running watch: it has been silent for too long.
  void CutWatch();

 private:
  using WatchCall = ClientBidi<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>;
  struct Member {
    std::unique_ptr<etcdserverpb::KV::Stub> kv;
    std::unique_ptr<etcdserverpb::Lease::Stub> lease;
    std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  };

  /// `call` at one member after the other.
  template <typename T>
  boost::asio::awaitable<absl::StatusOr<T>> Try(
      Scope& scope, std::function<boost::asio::awaitable<absl::StatusOr<T>>(Scope& scope, Member& member)> call);
  void Leave(size_t member);

  const EtcdOptions options_;
  std::vector<Member> members_;
  size_t current_ = 0;
  WatchCall* watch_ = nullptr;
};

}  // namespace switchyard
