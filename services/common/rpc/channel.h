// Client channels with the settings every hop shares.
#pragma once

#include <memory>
#include <string>

#include "grpcpp/channel.h"
#include "grpcpp/support/channel_arguments.h"

namespace switchyard {

/// Keepalive, reconnect back-off, flow-control window, message limits; no proxy. Source of the values: measured on
/// gRPC 1.51, see ARCHITECTURE.md, "Mesh settings".
grpc::ChannelArguments ChannelSettings();

/// A channel in the clear to a loopback address or Unix socket ("127.0.0.1:8021", "unix:/run/x.sock"); connects lazily.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target);

/// Called by everything that makes a server or a channel. gRPC's callback threads come with the first of those and are
/// joined with the last one, which may go on one of these very threads: gRPC 1.51 does not survive that. A server that
/// serves nothing and is never taken down keeps them as long as the process.
void KeepCallbackThreads();

}  // namespace switchyard
