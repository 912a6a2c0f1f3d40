#include "services/common/rpc/channel.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace switchyard {
namespace {

// A chat request may hold images up to the edge's own body limit.
constexpr int kMaxMessageBytes = 64 * 1024 * 1024;

// Calls go round the replicas; one that says it is about to stop gets no new ones.
constexpr char kBalanced[] = R"("loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""})";
// The same, for calls of which nearly all succeed: a replica that fails four of five calls is left alone for a while,
// a longer one each time, but never more than half of them. Whatever is not OK counts, the caller's own faults too, so
// it takes a number of calls.
constexpr char kWatched[] =
    R"("loadBalancingConfig":[{"outlier_detection_experimental":{"interval":"5s","baseEjectionTime":"10s",)"
    R"("maxEjectionTime":"120s","maxEjectionPercent":50,"failurePercentageEjection":{"threshold":80,)"
    R"("enforcementPercentage":100,"minimumHosts":2,"requestVolume":20},"childPolicy":[{"round_robin":{}}]}}],)"
    R"("healthCheckConfig":{"serviceName":""})";
// The bucket: ten tokens, a failure takes one, a success gives a tenth, and below half nothing is sent again.
constexpr char kOnce[] =
    R"("methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":2,"initialBackoff":"0.05s","maxBackoff":"0.5s",)"
    R"("backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}],)"
    R"("retryThrottling":{"maxTokens":10,"tokenRatio":0.1})";

}  // namespace

std::string ServiceConfig(bool balanced, Resend resend) {
  std::vector<absl::string_view> parts;
  if (balanced) parts.push_back(resend == Resend::kOnce ? kWatched : kBalanced);
  if (resend == Resend::kOnce) parts.push_back(kOnce);
  return absl::StrCat("{", absl::StrJoin(parts, ","), "}");
}

grpc::ChannelArguments ChannelSettings() {
  grpc::ChannelArguments arguments;
  // http_proxy is meant for the platforms; a mesh hop that followed it would leave the machine.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Despite its name, also how long a connection may take to be made, its TLS handshake included.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 2'000);
  // A reader that stops holds back 64 KiB a stream instead of megabytes.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 * 1024);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
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

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const MeshIdentity* identity, Resend resend,
                                           grpc::ChannelArguments arguments) {
  KeepCallbackThreads();
  const bool clear = identity == nullptr || absl::StartsWith(target, "unix:");
  // In the clear there is one process at the other end, and nothing to choose from.
  arguments.SetServiceConfigJSON(ServiceConfig(!clear, resend));
  // What is not kept cannot be sent again: by default anything above 256 KiB, which a long conversation has.
  if (resend == Resend::kOnce) arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, kMaxMessageBytes);
  if (clear) return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  // gRPC would look for the whole list in the certificate.
  if (absl::StartsWith(target, kAddressList) && absl::StrContains(target, ',')) {
    const std::string first = target.substr(kAddressList.size(), target.find(',') - kAddressList.size());
    arguments.SetSslTargetNameOverride(first.substr(0, first.rfind(':')));
  }
  return grpc::CreateCustomChannel(target, identity->Client(), arguments);
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const MeshIdentity* identity, Resend resend) {
  return MakeChannel(target, identity, resend, ChannelSettings());
}

std::shared_ptr<grpc::Channel> MakeWatchfulChannel(const std::string& target, const MeshIdentity* identity) {
  grpc::ChannelArguments arguments = ChannelSettings();
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 2'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2'000);
  return MakeChannel(target, identity, Resend::kNever, std::move(arguments));
}

}  // namespace switchyard
