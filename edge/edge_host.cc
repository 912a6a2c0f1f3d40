#include "edge/edge_host.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "edge/error_body.h"
#include "edge/origin_guard.h"
#include "services/common/log/log.h"
#include "services/common/status/reason.h"
#include "services/common/time/random.h"

namespace switchyard {
namespace {

constexpr int kRequestIdDigits = 24;

std::string Authority(const std::string& host, int port) {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

}  // namespace

absl::Status SetHttpListen(Config& config, const std::string& listen) {
  const size_t colon = listen.rfind(':');
  int port;
  if (colon == std::string::npos || !absl::SimpleAtoi(listen.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError("--listen: must be an address and a port, like 127.0.0.1:8000");
  }
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  config.server.host = host.empty() ? "127.0.0.1" : host;
  config.server.port = static_cast<uint16_t>(port);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<EdgeHost>> EdgeHost::Start(const Config& config, Runtime& runtime, ChatClient& chat) {
  const bool loopback = IsLoopbackAuthority(Authority(config.server.host, config.server.port));
  if (!loopback && !config.server.insecure) {
    return absl::FailedPreconditionError(
        absl::StrCat("server.host: ", config.server.host,
                     " can be reached from other machines, and anybody there could use the accounts. "
                     "Keep 127.0.0.1, or set server.insecure: true if that is what you want."));
  }
  auto edge = std::make_unique<EdgeHost>();
  edge->host_ = config.server.host;
  EdgeService::Options options;
  options.turn.request_limit = config.server.request_limit;
  options.turn.heartbeat = config.server.heartbeat;
  options.max_in_flight = config.server.max_in_flight;
  options.loopback_only = loopback;
  edge->service_ = std::make_unique<EdgeService>(chat, options, SystemClock::Get(), SystemRandom::Get());
  HttpServerOptions http;
  http.host = config.server.host;
  http.port = config.server.port;
  http.max_body_bytes = static_cast<size_t>(config.server.max_body_bytes);
  http.error_body = [](int status, absl::string_view message, HttpHeaders& headers) {
    const std::string id = absl::StrCat("req_", SystemRandom::Get().NextHex(kRequestIdDigits));
    headers.Add("x-request-id", id);
    LogInfo("request_refused", {{"request_id", id}, {"http_status", status}, {"reason", message}});
    return HttpErrorBody(status, message);
  };
  auto server = HttpServer::Listen(runtime, std::move(http), edge->service_->Handler());
  if (!server.ok()) return server.status();
  edge->server_ = *std::move(server);
  return edge;
}

EdgeHost::~EdgeHost() {
  if (server_) Finish(absl::ZeroDuration());
}

std::string EdgeHost::url() const { return absl::StrCat("http://", Authority(host_, server_->port())); }

void EdgeHost::Drain() { service_->Drain(); }

void EdgeHost::Finish(absl::Duration limit) {
  const absl::Status why = MakeError(Reason::REASON_NO_BACKEND, "the relay is stopping", {.cause = "stopping"});
  server_->Shutdown(limit, why);
}

}  // namespace switchyard
