// Client channels with the settings every hop shares.
#pragma once

#include <memory>
#include <string>

#include "grpcpp/channel.h"
#include "grpcpp/support/channel_arguments.h"
#include "services/common/tls/mesh_identity.h"

namespace switchyard {

/// Keepalive, reconnect back-off, flow-control window, message limits; no proxy. Source of the values: measured on
/// gRPC 1.51, see ARCHITECTURE.md, "Mesh settings".
grpc::ChannelArguments ChannelSettings();

/// What the library may do about a call that fails before any answer to it came.
enum class Resend {
  kNever,
  // Once, after UNAVAILABLE, on another replica where there is one, for a tenth of the calls at most: for whoever owns
  // the retries of a hop. The other side forbids it as soon as repeating could do anything twice
  // (StreamWriter::ForbidRetry).
  kOnce,
};

/// What gRPC is told of a service, as JSON. @param balanced where there may be several replicas: calls go round those
/// that say they are serving; with `resend`, past one that keeps failing.
std::string ServiceConfig(bool balanced, Resend resend);

/// A channel to a loopback address or Unix socket ("127.0.0.1:8021", "unix:/run/x.sock") or, with an identity, to
/// anywhere ("dns:///switchyard-session:8012"): calls go round all the addresses of the name. Without a name, a list
/// ("ipv4:10.0.0.1:8012,10.0.0.2:8012") does, where all the certificates are good for the first address. Connects
/// lazily.
/// @param identity for mutual TLS; nullptr: in the clear. A Unix socket is always in the clear.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const MeshIdentity* identity = nullptr,
                                           Resend resend = Resend::kNever);

/// The same for calls whose holder has to know soon, within 4 s, that the other side is gone, although nothing is said
/// for minutes: leases.
std::shared_ptr<grpc::Channel> MakeWatchfulChannel(const std::string& target, const MeshIdentity* identity = nullptr);

/// Called by everything that makes a server or a channel. gRPC's callback threads come with the first of those and are
/// joined with the last one, which may go on one of these very threads: gRPC 1.51 does not survive that. A server that
/// serves nothing and is never taken down keeps them as long as the process.
void KeepCallbackThreads();

}  // namespace switchyard
