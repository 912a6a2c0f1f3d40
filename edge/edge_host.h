// The HTTP API on its address, as the configuration says.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "edge/api_keys.h"
#include "edge/chat_client.h"
#include "edge/edge_service.h"
#include "services/common/async/runtime.h"
#include "services/common/config/config.h"
#include "services/common/http/http_server.h"

namespace switchyard {

/// "host:port" of --listen into `server.host` and `server.port`.
absl::Status SetHttpListen(Config& config, const std::string& listen);

class EdgeHost {
 public:
  EdgeHost();
  /// Whether it could start with these keys at this address; the errors of Start().
  static absl::Status Check(const Config& config);
  /// `runtime` and `chat` outlive it. FAILED_PRECONDITION for an address that others can reach, with neither API keys
  /// nor `server.insecure`; INVALID_ARGUMENT for a damaged key file or certificate.
  static absl::StatusOr<std::unique_ptr<EdgeHost>> Start(const Config& config, Runtime& runtime, ChatClient& chat);
  ~EdgeHost();

  std::string url() const;  // "http://127.0.0.1:8000", or https where it has a certificate
  /// What to tell the person who started it: the address, and whether callers need a key.
  std::string Greeting() const;
  /// Not ready from now on, and every answer closes its connection; everything is still served.
  void Drain();
  /// Waits for running requests, `limit` at most, then ends them with an error.
  void Finish(absl::Duration limit);

 private:
  /// What new connections are shown, and a newer one when the files have changed. Thread-safe.
  class Https;

  std::string host_;
  std::unique_ptr<Https> https_;  // null: in the clear
  std::unique_ptr<ApiKeys> keys_;
  std::unique_ptr<EdgeService> service_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace switchyard
