#include "services/common/admin/admin_server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/common/net/host_port.h"

namespace switchyard {

namespace asio = boost::asio;

namespace {

constexpr int kMaxConnections = 64;
constexpr size_t kMaxHeaderBytes = 8 * 1024;
constexpr size_t kMaxBodyBytes = 1024;
constexpr absl::Duration kLastAnswers = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(Runtime& runtime, const std::string& listen,
                                                                Metrics& metrics) {
  const auto address = ParseHostPort(listen);
  if (!address) return absl::InvalidArgumentError(absl::StrCat("admin.listen: ", listen, " is no address with a port"));
  auto admin = std::unique_ptr<AdminServer>(new AdminServer(metrics));
  admin->host_ = address->host;
  HttpServerOptions options;
  options.host = address->host;
  options.port = address->port;
  options.max_connections = kMaxConnections;
  options.max_header_bytes = kMaxHeaderBytes;
  options.max_body_bytes = kMaxBodyBytes;
  options.write_limit = absl::Seconds(10);
  auto server = HttpServer::Listen(
      runtime, std::move(options),
      [self = admin.get()](auto& request, HttpResponder& responder) { return self->Serve(request, responder); });
  if (!server.ok())
    return absl::Status(server.status().code(), absl::StrCat("admin.listen: ", server.status().message()));
  admin->server_ = *std::move(server);
  metrics.Ready().Set(0);
  return admin;
}

AdminServer::~AdminServer() {
  if (server_) server_->Shutdown(kLastAnswers, absl::CancelledError("the program ends"));
}

void AdminServer::SetReady(bool ready) {
  ready_ = ready;
  metrics_.Ready().Set(ready ? 1 : 0);
}

std::string AdminServer::url() const { return absl::StrCat("http://", JoinHostPort(host_, server_->port())); }

asio::awaitable<void> AdminServer::Serve(const HttpServerRequest& request, HttpResponder& responder) {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  HttpHeaders headers;
  if (request.method != "GET" && request.method != "HEAD") {
    status = 405;
    headers.Add("Allow", "GET, HEAD");
    body = R"({"error":"only GET"})";
  } else if (request.path == "/metrics") {
    type = "text/plain; version=0.0.4; charset=utf-8";
    body = metrics_.Text();
  } else if (request.path == "/healthz") {
    body = R"({"status":"ok"})";
  } else if (request.path == "/readyz") {
    status = ready_ ? 200 : 503;
    body = ready_ ? R"({"status":"ready"})" : R"({"status":"not ready"})";
  } else {
    status = 404;
    body = R"({"error":"there are /metrics, /healthz and /readyz"})";
  }
  headers.Add("Content-Type", type);
  headers.Add("Cache-Control", "no-store");
  co_await responder.Send(status, std::move(headers), std::move(body));
}

}  // namespace switchyard
