#include "services/session/etcd/etcd_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpcpp/create_channel.h"
#include "services/common/async/sleep.h"
#include "services/common/rpc/channel.h"

namespace switchyard {

namespace asio = boost::asio;

using etcdserverpb::RangeResponse;
using etcdserverpb::TxnResponse;

namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Milliseconds(500);

// A member that has lost its leader says so at once instead of letting the call wait. Source: etcd,
// rpctypes/metadatafields.go.
void RequireLeader(grpc::ClientContext& context) { context.AddMetadata("hasleader", "true"); }

// What the scope says of its end, and what etcd has said last: "no space" explains more than "does not answer".
absl::Status WithLast(const absl::Status& end, const absl::Status& last) {
  if (last.ok()) return end;
  return absl::Status(end.code(), absl::StrCat(end.message(), ": ", last.message()));
}

}  // namespace

bool EtcdClient::IsPassing(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kInternal:
      return true;
    default:
      return false;
  }
}

std::string EtcdPrefixEnd(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xFF) prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

EtcdClient::EtcdClient(EtcdOptions options) : options_(std::move(options)) {
  KeepCallbackThreads();
  for (const std::string& endpoint : options_.endpoints) {
    auto credentials = options_.credentials ? options_.credentials : grpc::InsecureChannelCredentials();
    grpc::ChannelArguments arguments = ChannelSettings();
    // A member that stops ends its calls without a status, and gRPC 1.51 looks for one where it might send them again:
    // it ends the process when there is none. The client asks another member itself.
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    // A member that comes back is needed soon: leases end within seconds.
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
    auto channel = grpc::CreateCustomChannel(endpoint, credentials, arguments);
    members_.push_back({etcdserverpb::KV::NewStub(channel), etcdserverpb::Lease::NewStub(channel),
                        etcdserverpb::Watch::NewStub(channel)});
  }
}

void EtcdClient::Leave(size_t member) {
  // Several calls may leave the same member at once; the first of them moves on for all.
  if (member == current_) current_ = (current_ + 1) % members_.size();
}

template <typename T>
asio::awaitable<absl::StatusOr<T>> EtcdClient::Try(
    Scope& scope, std::function<asio::awaitable<absl::StatusOr<T>>(Scope& scope, Member& member)> call) {
  absl::Duration pause = kFirstPause;
  absl::Duration limit = options_.attempt_limit;
  absl::Status last;
  for (size_t tries = 1;; ++tries) {
    const size_t member = current_;
    Scope attempt(scope, limit, absl::UnavailableError("etcd does not answer"));
    absl::StatusOr<T> answer = co_await call(attempt, members_[member]);
    if (answer.ok()) co_return answer;
    const bool passing = IsPassing(answer.status()) || attempt.ended();
    if (passing) Leave(member);
    // Members that are slow, all of them, are given more time instead of the same work again.
    if (attempt.ended()) {
      limit *= 2;
    } else {
      last = answer.status();
    }
    if (scope.ended()) co_return WithLast(scope.status(), last);
    if (!passing) co_return answer;
    // Round all the members without a pause, then with longer and longer ones.
    if (tries % members_.size() != 0) continue;
    const absl::Status slept = co_await Sleep(scope, pause);
    if (!slept.ok()) co_return WithLast(scope.status(), last);
    pause = std::min(pause * 2, kLongestPause);
  }
}

asio::awaitable<absl::StatusOr<TxnResponse>> EtcdClient::Txn(Scope& scope, etcdserverpb::TxnRequest request) {
  std::function<asio::awaitable<absl::StatusOr<TxnResponse>>(Scope&, Member&)> call = [&request](Scope& attempt,
                                                                                                 Member& member) {
    return CallUnary<TxnResponse>(attempt, CallContext(), request,
                                  [&member](auto* client, auto* in, auto* out, auto done) {
                                    RequireLeader(*client);
                                    member.kv->async()->Txn(client, in, out, std::move(done));
                                  });
  };
  co_return co_await Try(scope, std::move(call));
}

asio::awaitable<absl::StatusOr<RangeResponse>> EtcdClient::Range(Scope& scope, std::string key, std::string range_end) {
  etcdserverpb::RangeRequest request;
  request.set_key(std::move(key));
  request.set_range_end(std::move(range_end));
  std::function<asio::awaitable<absl::StatusOr<RangeResponse>>(Scope&, Member&)> call = [&request](Scope& attempt,
                                                                                                   Member& member) {
    return CallUnary<RangeResponse>(attempt, CallContext(), request,
                                    [&member](auto* client, auto* in, auto* out, auto done) {
                                      RequireLeader(*client);
                                      member.kv->async()->Range(client, in, out, std::move(done));
                                    });
  };
  co_return co_await Try(scope, std::move(call));
}

asio::awaitable<absl::StatusOr<int64_t>> EtcdClient::GrantLease(Scope& scope, absl::Duration ttl) {
  using etcdserverpb::LeaseGrantResponse;
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(absl::ToInt64Seconds(ttl));
  std::function<asio::awaitable<absl::StatusOr<LeaseGrantResponse>>(Scope&, Member&)> call =
      [&request](Scope& attempt, Member& member) {
        return CallUnary<LeaseGrantResponse>(attempt, CallContext(), request,
                                             [&member](auto* client, auto* in, auto* out, auto done) {
                                               RequireLeader(*client);
                                               member.lease->async()->LeaseGrant(client, in, out, std::move(done));
                                             });
      };
  auto granted = co_await Try(scope, std::move(call));
  if (!granted.ok()) co_return granted.status();
  co_return granted->id();
}

asio::awaitable<absl::Status> EtcdClient::RenewLease(Scope& scope, int64_t lease) {
  using Call = ClientBidi<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>;
  std::function<asio::awaitable<absl::StatusOr<int64_t>>(Scope&, Member&)> renew =
      [lease](Scope& attempt, Member& member) -> asio::awaitable<absl::StatusOr<int64_t>> {
    auto call = Call::Start(attempt, CallContext(), [&member](grpc::ClientContext* client, auto* reactor) {
      RequireLeader(*client);
      member.lease->async()->LeaseKeepAlive(client, reactor);
    });
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(lease);
    call->Send(std::move(request));
    auto answer = co_await call->Read();
    const absl::Status ended = co_await call->Finish();
    if (answer) co_return answer->ttl();
    if (ended.ok()) co_return absl::UnavailableError("etcd does not answer");
    co_return ended;
  };
  auto left = co_await Try(scope, std::move(renew));
  if (!left.ok()) co_return left.status();
  if (*left <= 0) co_return absl::NotFoundError("the lease is gone");
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> EtcdClient::RevokeLease(Scope& scope, int64_t lease) {
  using etcdserverpb::LeaseRevokeResponse;
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  std::function<asio::awaitable<absl::StatusOr<LeaseRevokeResponse>>(Scope&, Member&)> call =
      [&request](Scope& attempt, Member& member) {
        return CallUnary<LeaseRevokeResponse>(attempt, CallContext(), request,
                                              [&member](auto* client, auto* in, auto* out, auto done) {
                                                member.lease->async()->LeaseRevoke(client, in, out, std::move(done));
                                              });
      };
  auto answer = co_await Try(scope, std::move(call));
  co_return answer.status();
}

asio::awaitable<absl::Status> EtcdClient::Watch(Scope& scope, std::string prefix, int64_t from, Take take) {
  const size_t member = current_;
  auto call = WatchCall::Start(scope, CallContext(), [this, member](grpc::ClientContext* client, auto* reactor) {
    RequireLeader(*client);
    members_[member].watch->async()->Watch(client, reactor);
  });
  etcdserverpb::WatchRequest request;
  auto& create = *request.mutable_create_request();
  create.set_key(prefix);
  create.set_range_end(EtcdPrefixEnd(prefix));
  create.set_start_revision(from);
  create.set_progress_notify(true);
  call->Send(std::move(request));
  watch_ = call.get();
  absl::Status why = absl::UnavailableError("the watch broke");
  for (;;) {
    auto response = co_await call->Read();
    if (!response) break;
    if (response->canceled()) {
      if (response->compact_revision() > 0) why = absl::OutOfRangeError("the revision is no longer kept");
      break;
    }
    take(*response);
  }
  watch_ = nullptr;
  call->Cancel();
  co_await call->Finish();
  if (why.code() == absl::StatusCode::kUnavailable) Leave(member);
  co_return scope.ended() ? scope.status() : why;
}

void EtcdClient::ProdWatch() {
  if (watch_ == nullptr) return;
  etcdserverpb::WatchRequest request;
  request.mutable_progress_request();
  watch_->Send(std::move(request));
}

void EtcdClient::CutWatch() {
  if (watch_ != nullptr) watch_->Cancel();
}

}  // namespace switchyard
