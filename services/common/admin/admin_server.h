// A program's admin port: GET /metrics for Prometheus, /healthz for "the process lives", /readyz for "it serves and is
// not draining". Nothing here looks at other programs, takes a body or tells a secret.
//
//   auto admin = AdminServer::Start(runtime, "127.0.0.1:9090", Metrics::Get());
//   (*admin)->SetReady(true);
//
// Thread-safe. On an event loop of its own it answers also while those of the requests are busy.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/common/async/runtime.h"
#include "services/common/http/http_server.h"
#include "services/common/metrics/metrics.h"

namespace switchyard {

class AdminServer {
 public:
  /// Not ready at first. `runtime` and `metrics` outlive it. ALREADY_EXISTS if the port is in use, INVALID_ARGUMENT for
  /// what is no address with a port, PERMISSION_DENIED.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(Runtime& runtime, const std::string& listen,
                                                            Metrics& metrics);
  /// Waits, blocking, for answers under way, a moment at most.
  ~AdminServer();

  void SetReady(bool ready);
  std::string url() const;  // "http://127.0.0.1:9090"

 private:
  explicit AdminServer(Metrics& metrics) : metrics_(metrics) {}
  boost::asio::awaitable<void> Serve(const HttpServerRequest& request, HttpResponder& responder);

  Metrics& metrics_;
  std::string host_;  // as it stands in a URL
  std::atomic<bool> ready_{false};
  std::unique_ptr<HttpServer> server_;
};

}  // namespace switchyard
