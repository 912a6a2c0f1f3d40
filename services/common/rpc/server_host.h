// One gRPC server: address, health, reflection, limits, graceful end.
//
//   auto host = ServerHost::Start({.listen = "127.0.0.1:8021"}, {&chat_service});
//   … (*host)->address() …
//   (*host)->Drain(); (*host)->Shutdown(absl::Seconds(600));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/server.h"
#include "services/common/tls/mesh_identity.h"

namespace switchyard {

struct ServerHostOptions {
  // "127.0.0.1:8021", "[::1]:0" or "unix:/path"; empty: in-process only. A Unix socket gets mode 0600.
  std::string listen;
  bool reflection = false;
  bool channelz = false;  // gRPC's own view of the process's connections and calls
  // For mutual TLS; nullptr: in the clear, and only where no other machine comes. A Unix socket is always in the clear.
  const MeshIdentity* identity = nullptr;
  std::vector<CallRule> rules = {};  // with an identity: who may call what
};

/// Thread-safe. The services outlive it.
class ServerHost {
 public:
  /// ALREADY_EXISTS if the address is in use, INVALID_ARGUMENT if it is not a loopback address or Unix socket and there
  /// is no identity.
  static absl::StatusOr<std::unique_ptr<ServerHost>> Start(ServerHostOptions options,
                                                           std::vector<grpc::Service*> services);
  ~ServerHost();

  /// With the port that was picked: "127.0.0.1:43121".
  const std::string& address() const { return address_; }

  /// A channel that stays inside the process.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  /// Reports NOT_SERVING; calls are still taken.
  void Drain();
  /// Reports SERVING or NOT_SERVING for the time being; no effect once it drains.
  void SetServing(bool serving);

  /// Takes no new calls, waits, blocking, for running ones, cancels what is left after `grace`.
  void Shutdown(absl::Duration grace);

 private:
  ServerHost() = default;
  absl::Mutex mutex_;  // held until the status is said, so that nothing is said after the last word
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::string socket_path_;
};

}  // namespace switchyard
