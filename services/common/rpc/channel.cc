#include "services/common/rpc/channel.h"

#include <utility>

#include "absl/strings/match.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace switchyard {

grpc::ChannelArguments ChannelSettings() {
  grpc::ChannelArguments arguments;
  // http_proxy is meant for the platforms; a mesh hop that followed it would leave the machine.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 2'000);
  // A reader that stops holds back 64 KiB a stream instead of megabytes.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 * 1024);
  // A chat request may hold images up to the edge's own body limit.
  arguments.SetMaxReceiveMessageSize(64 * 1024 * 1024);
  arguments.SetMaxSendMessageSize(64 * 1024 * 1024);
  return arguments;
}

void KeepCallbackThreads() {
  static grpc::Server* const kept = [] {
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(new grpc::CallbackGenericService);  // outlives the server, as it has to
    return builder.BuildAndStart().release();
  }();
  (void)kept;
}

namespace {

constexpr absl::string_view kAddressList = "ipv4:";

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const MeshIdentity* identity,
                                           grpc::ChannelArguments arguments) {
  KeepCallbackThreads();
  if (identity == nullptr || absl::StartsWith(target, "unix:"))
    return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  // gRPC would look for the whole list in the certificate.
  if (absl::StartsWith(target, kAddressList) && absl::StrContains(target, ',')) {
    const std::string first = target.substr(kAddressList.size(), target.find(',') - kAddressList.size());
    arguments.SetSslTargetNameOverride(first.substr(0, first.rfind(':')));
  }
  // A replica that says it is about to stop gets no new calls.
  arguments.SetServiceConfigJSON(
      R"({"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}})");
  return grpc::CreateCustomChannel(target, identity->Client(), arguments);
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const MeshIdentity* identity) {
  return MakeChannel(target, identity, ChannelSettings());
}

std::shared_ptr<grpc::Channel> MakeWatchfulChannel(const std::string& target, const MeshIdentity* identity) {
  grpc::ChannelArguments arguments = ChannelSettings();
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 2'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2'000);
  return MakeChannel(target, identity, std::move(arguments));
}

}  // namespace switchyard
