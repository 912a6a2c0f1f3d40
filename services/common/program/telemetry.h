// What a program tells about itself while it runs: its admin port, and its spans. On an event loop of its own, so that
// it goes on also while those of the requests are busy.
//
//   auto telemetry = Telemetry::Start("switchyard-signing", config, /*port_given=*/true);
//   (*telemetry)->SetReady(true);
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/common/admin/admin_server.h"
#include "services/common/async/runtime.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/trace/otlp_exporter.h"

namespace switchyard {

class Telemetry {
 public:
  /// @param must_listen whether an admin port that is taken is an error; otherwise it is logged, and there is none
  /// @return the errors of AdminServer::Start() and MakeHttpClient()
  static absl::StatusOr<std::unique_ptr<Telemetry>> Start(absl::string_view program, const Config& config,
                                                          bool must_listen);
  /// After the last request: what spans are left are sent, for a moment.
  ~Telemetry();

  void SetReady(bool ready);
  /// For the person who started it; "" if there is no admin port.
  std::string Greeting() const;

 private:
  Telemetry() = default;
  absl::Status StartTracing(absl::string_view program, const Config& config);

  std::unique_ptr<Runtime> runtime_;  // none if there is nothing to run
  std::unique_ptr<AdminServer> admin_;
  std::unique_ptr<HttpClient> http_;
  std::shared_ptr<OtlpExporter> exporter_;
};

}  // namespace switchyard
