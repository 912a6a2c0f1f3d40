#include "services/common/program/telemetry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/common/log/log.h"
#include "services/common/metrics/metrics.h"
#include "services/common/program/version.h"
#include "services/common/time/clock.h"
#include "services/common/time/random.h"
#include "services/common/trace/span.h"

namespace switchyard {
namespace {

constexpr absl::Duration kLastSpans = absl::Milliseconds(500);

}  // namespace

absl::StatusOr<std::unique_ptr<Telemetry>> Telemetry::Start(absl::string_view program, const Config& config,
                                                            bool must_listen) {
  auto telemetry = std::unique_ptr<Telemetry>(new Telemetry());
  Metrics& metrics = Metrics::Get();
  metrics.SetBuildInfo(program, kVersion);
  const bool serves = !config.admin.listen.empty() && config.admin.listen != "off";
  if (!serves && config.tracing.otlp_url.empty()) return telemetry;
  telemetry->runtime_ = std::make_unique<Runtime>(Runtime::Options{1});
  if (absl::Status traced = telemetry->StartTracing(program, config); !traced.ok()) return traced;
  if (!serves) return telemetry;
  auto admin = AdminServer::Start(*telemetry->runtime_, config.admin.listen, metrics);
  if (admin.ok()) {
    telemetry->admin_ = *std::move(admin);
  } else if (must_listen) {
    return admin.status();
  } else {
    LogWarning("no_admin_port", {{"error", admin.status().message()}});
  }
  return telemetry;
}

absl::Status Telemetry::StartTracing(absl::string_view program, const Config& config) {
  if (config.tracing.otlp_url.empty()) return absl::OkStatus();
  // A collector is of the same house as the relay: no proxy.
  auto http = MakeHttpClient({});
  if (!http.ok()) return http.status();
  http_ = *std::move(http);
  OtlpExporter::Options options;
  options.url = config.tracing.otlp_url;
  options.resource = {std::string(program), kVersion, SystemRandom::Get().NextUuid()};
  exporter_ =
      std::make_shared<OtlpExporter>(std::move(options), runtime_->Next(), *http_, Metrics::Get(), SystemRandom::Get());
  Tracer::Options tracing{.sample_ratio = config.tracing.sample_ratio,
                          .take = [exporter = exporter_](SpanData span) { exporter->Take(std::move(span)); },
                          .clock = SystemClock::Get(),
                          .random = SystemRandom::Get()};
  Tracer::Set(std::make_shared<Tracer>(std::move(tracing)));
  return absl::OkStatus();
}

Telemetry::~Telemetry() {
  admin_.reset();
  if (exporter_) {
    Tracer::Set(nullptr);
    exporter_->Finish(kLastSpans);
  }
  if (runtime_) runtime_->Stop();
  if (http_) http_->CloseIdle();  // kept connections belong to the loop, and that goes first
}

void Telemetry::SetReady(bool ready) {
  if (admin_) admin_->SetReady(ready);
}

std::string Telemetry::Greeting() const {
  return admin_ ? absl::StrCat("serving metrics on ", admin_->url(), "/metrics") : std::string();
}

}  // namespace switchyard
