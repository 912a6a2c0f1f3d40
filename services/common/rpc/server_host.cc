#include "services/common/rpc/server_host.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <mutex>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "grpcpp/ext/channelz_service_plugin.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/impl/server_builder_option.h"
#include "grpcpp/impl/server_builder_plugin.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "services/common/net/loopback.h"
#include "services/common/rpc/channel.h"

namespace switchyard {
namespace {

constexpr absl::string_view kUnixPrefix = "unix:";
constexpr int kConnectionAgeMs = 5 * 60 * 1000;

void ApplySettings(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(64 * 1024 * 1024);
  builder.SetMaxSendMessageSize(64 * 1024 * 1024);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 * 1024);
  // Half the interval of the most watchful client: pings arrive early, and a strict server would cut the connection.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
  // What a client that was cut off holds, an account first of all, is free again soon.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // Without this, a second process would share the port and take every other connection.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

/// Which of gRPC's own services a server has. Being linked in is enough for reflection to be in every server, so what
/// is not wanted is taken out.
class OwnTools final : public grpc::ServerBuilderOption {
 public:
  OwnTools(bool reflection, bool channelz) : reflection_(reflection), channelz_(channelz) {}

  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [this](const std::unique_ptr<grpc::ServerBuilderPlugin>& plugin) {
      const std::string name = plugin->name();
      return (name == "proto_server_reflection" && !reflection_) || (name == "channelz_service" && !channelz_);
    });
  }

 private:
  const bool reflection_;
  const bool channelz_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ServerHost>> ServerHost::Start(ServerHostOptions options,
                                                              std::vector<grpc::Service*> services) {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::channelz::experimental::InitChannelzService();
  });

  KeepCallbackThreads();
  auto host = std::unique_ptr<ServerHost>(new ServerHost());
  grpc::ServerBuilder builder;
  ApplySettings(builder);
  builder.SetOption(std::make_unique<OwnTools>(options.reflection, options.channelz));
  for (grpc::Service* service : services) builder.RegisterService(service);

  int port = -1;
  const bool unix_socket = absl::StartsWith(options.listen, kUnixPrefix);
  if (!options.listen.empty()) {
    if (options.identity == nullptr && !IsLoopbackListen(options.listen)) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.listen,
                       ": gRPC is served without mutual TLS, so only loopback addresses and Unix sockets are allowed"));
    }
    if (unix_socket) {
      host->socket_path_ = std::string(absl::StripPrefix(options.listen, kUnixPrefix));
      if (host->socket_path_.size() >= sizeof(sockaddr_un::sun_path)) {
        return absl::InvalidArgumentError(absl::StrCat(options.listen, ": the path of a Unix socket has at most ",
                                                       sizeof(sockaddr_un::sun_path) - 1, " characters"));
      }
      unlink(host->socket_path_.c_str());  // left behind by a process that was killed
    }
    const bool clear = options.identity == nullptr || unix_socket;
    // A name is resolved again when a connection ends, so this is how clients find replicas that were added. Calls
    // under way are not touched: the grace is unlimited unless set.
    if (!clear) builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, kConnectionAgeMs);
    builder.AddListeningPort(
        options.listen, clear ? grpc::InsecureServerCredentials() : options.identity->Server(options.rules), &port);
  }

  // The socket is made with the process's umask; nobody else may connect even for the moment before chmod.
  const mode_t old_mask = unix_socket ? umask(0177) : 0;
  host->server_ = builder.BuildAndStart();
  if (unix_socket) umask(old_mask);

  if (host->server_ == nullptr || (!options.listen.empty() && !unix_socket && port <= 0)) {
    return absl::AlreadyExistsError(
        absl::StrCat(options.listen, ": cannot listen there; is another program using the address?"));
  }
  if (unix_socket) chmod(host->socket_path_.c_str(), 0600);
  host->address_ = unix_socket || options.listen.empty()
                       ? options.listen
                       : absl::StrCat(options.listen.substr(0, options.listen.rfind(':')), ":", port);
  return host;
}

ServerHost::~ServerHost() {
  if (server_) Shutdown(absl::ZeroDuration());
}

std::shared_ptr<grpc::Channel> ServerHost::InProcessChannel() { return server_->InProcessChannel(ChannelSettings()); }

void ServerHost::SetServing(bool serving) {
  absl::MutexLock lock(&mutex_);
  auto* health = server_->GetHealthCheckService();
  if (health != nullptr && !draining_) health->SetServingStatus(serving);
}

void ServerHost::Drain() {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
  if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(false);
}

void ServerHost::Shutdown(absl::Duration grace) {
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));
  server_->Wait();
  if (!socket_path_.empty()) unlink(socket_path_.c_str());
}

}  // namespace switchyard
