#include "services/common/metrics/metrics.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/family.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "services/common/catalogue/catalogue.h"
#include "services/common/log/log.h"
#include "services/common/metrics/process_metrics.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

using prometheus::ClientMetric;
using prometheus::Family;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Buckets = Histogram::BucketBoundaries;

// Seconds.
const Buckets& FirstTokenBuckets() {
  static const Buckets buckets = {0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120};
  return buckets;
}
const Buckets& BetweenChunksBuckets() {
  static const Buckets buckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
  return buckets;
}
const Buckets& DurationBuckets() {
  static const Buckets buckets = {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600};
  return buckets;
}
const Buckets& WaitBuckets() {
  static const Buckets buckets = {0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60};
  return buckets;
}
const Buckets& WorkBuckets() {
  static const Buckets buckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
  return buckets;
}

std::string ModelLabel(absl::string_view id) {
  const ModelEntry* model = FindModel(id);
  return model == nullptr ? "other" : std::string(model->id);
}

std::string PlatformLabel(absl::string_view name) {
  static const auto& known = *new std::set<std::string, std::less<>>([] {
    std::set<std::string, std::less<>> names;
    for (const ModelEntry& model : AllModels()) names.emplace(model.platform);
    return names;
  }());
  const auto found = known.find(std::string(name));
  return found == known.end() ? "other" : *found;
}

// The HTTP statuses that the edge answers with are few; a platform's may be anything.
std::string StatusClass(int http_status) {
  if (http_status < 100 || http_status > 599) return "none";
  return absl::StrCat(http_status / 100, "xx");
}

std::string SchemeLabel(absl::string_view scheme) {
  constexpr std::array<absl::string_view, 3> kSchemes = {"deepseek_pow", "zhipu", "minimax"};
  const bool known = std::find(kSchemes.begin(), kSchemes.end(), scheme) != kSchemes.end();
  return known ? std::string(scheme) : "other";
}

// Source: the causes that HttpClient documents for opening a connection.
std::string ConnectLabel(absl::string_view cause) {
  constexpr std::array<absl::string_view, 10> kCauses = {
      "dns",      "connect_refused", "connect_timeout", "connect_failed", "tls_untrusted",
      "tls_name", "tls_expired",     "tls_failed",      "tls_timeout",    "proxy_refused"};
  if (cause.empty()) return "ok";
  const bool known = std::find(kCauses.begin(), kCauses.end(), cause) != kCauses.end();
  return known ? std::string(cause) : "other";
}

std::string CodeLabel(absl::StatusCode code) { return absl::StatusCodeToString(code); }

MetricFamily GaugeFamily(const char* name, const char* help) { return {name, help, MetricType::Gauge, {}}; }

void AddGauge(MetricFamily& family, std::vector<ClientMetric::Label> labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  family.metric.push_back(std::move(metric));
}

/// What session's accounts come to.
std::vector<MetricFamily> AccountFamilies(const std::vector<Metrics::AccountSample>& accounts) {
  constexpr std::array kStates = {"ready",           "cooling_down", "expired",     "muted",          "banned",
                                  "captcha_pending", "quota_spent",  "needs_login", "client_refused", "wrong_form"};
  MetricFamily states = GaugeFamily("switchyard_account_state", "1 for the state that the account is in, else 0.");
  MetricFamily in_flight = GaugeFamily("switchyard_account_in_flight", "Turns that hold a lease of the account.");
  MetricFamily queued = GaugeFamily("switchyard_lease_queue_length", "Wishes that wait for an account.");
  MetricFamily pending = GaugeFamily("switchyard_ledger_conversations",
                                     "Conversations on the platforms that the relay has opened and has to delete.");
  std::map<std::string, std::pair<int, int>> platforms;
  for (const Metrics::AccountSample& one : accounts) {
    bool known = false;
    for (const char* state : kStates) {
      known = known || one.state == state;
      AddGauge(states, {{"account", one.account}, {"platform", one.platform}, {"state", state}}, one.state == state);
    }
    AddGauge(states, {{"account", one.account}, {"platform", one.platform}, {"state", "other"}}, !known);
    AddGauge(in_flight, {{"account", one.account}, {"platform", one.platform}}, one.in_flight);
    auto& [waiting, left] = platforms[one.platform];
    waiting = one.queued;
    left += one.pending_conversations;
  }
  for (const auto& [platform, numbers] : platforms) {
    AddGauge(queued, {{"platform", platform}}, numbers.first);
    AddGauge(pending, {{"platform", platform}}, numbers.second);
  }
  if (accounts.empty()) return {};
  return {std::move(states), std::move(in_flight), std::move(queued), std::move(pending)};
}

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;

  Family<Counter>& Counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<Gauge>& Gauges(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Family<Histogram>& Histograms(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  Family<Gauge>& build_info = Gauges("switchyard_build_info", "1, for the program and version that runs.");
  Family<Gauge>& ready = Gauges("switchyard_ready", "1 while the program is ready, 0 while it starts or drains.");

  Family<Gauge>& certificate_expiry =
      Gauges("switchyard_certificate_expiry_seconds", "When the certificate in use ends, in seconds since 1970.");

  Family<Counter>& requests = Counters("switchyard_requests_total", "HTTP requests that the edge has answered.");
  Family<Histogram>& request_duration =
      Histograms("switchyard_request_duration_seconds", "From a request's header to the end of its answer.");
  Family<Counter>& internal_errors =
      Counters("switchyard_internal_errors_total", "HTTP requests that failed through a bug of the relay.");
  Family<Gauge>& requests_in_flight =
      Gauges("switchyard_requests_in_flight", "Chat requests being served by the edge.");
  Family<Histogram>& first_token = Histograms("switchyard_time_to_first_token_seconds",
                                              "From a request's header to the first content of its answer.");
  Family<Histogram>& between_chunks =
      Histograms("switchyard_time_between_chunks_seconds", "Between two pieces of content of one answer.");
  Family<Counter>& response_bytes = Counters("switchyard_response_bytes_total", "Bytes of answers' bodies.");
  Family<Counter>& clients_gone =
      Counters("switchyard_clients_gone_total", "Requests whose client left before the end of the answer.");
  Family<Counter>& refusals =
      Counters("switchyard_refusals_total", "Requests that a limit of the edge itself turned away.");
  Family<Counter>& connections_refused =
      Counters("switchyard_connections_refused_total", "Connections closed at once for being too many.");

  Family<Counter>& turns = Counters("switchyard_turns_total", "Chat turns that a provider has ended.");
  Family<Gauge>& turns_in_flight = Gauges("switchyard_turns_in_flight", "Chat turns that a provider is running.");
  Family<Histogram>& turn_first_token = Histograms("switchyard_turn_time_to_first_token_seconds",
                                                   "From a turn's begin at the provider to its first content.");
  Family<Histogram>& lease_wait =
      Histograms("switchyard_lease_wait_seconds", "How long a turn waited for its account, as its provider sees it.");
  Family<Counter>& retries =
      Counters("switchyard_turn_retries_total", "Second tries of turns, by why the first failed.");
  Family<Counter>& repairs =
      Counters("switchyard_turn_repairs_total", "Answers that were asked for again for being in the wrong format.");
  Family<Counter>& upstream_changed =
      Counters("switchyard_upstream_changed_total", "Tries whose answer from the platform was not understood.");
  Family<Counter>& upstream_requests = Counters("switchyard_upstream_requests_total",
                                                "HTTP requests to platforms, by the class of the answer's status.");
  Family<Histogram>& upstream_header = Histograms("switchyard_upstream_response_header_seconds",
                                                  "From a request to a platform to the header of its answer.");

  Family<Gauge>& upstream_connections =
      Gauges("switchyard_upstream_connections", "Open connections to platforms, kept ones included.");
  Family<Counter>& upstream_connects = Counters("switchyard_upstream_connects_total",
                                                "Attempts to open a connection to a platform, by what came of it.");

  Family<Counter>& sign_jobs = Counters("switchyard_sign_jobs_total", "Signing jobs that have been answered.");
  Family<Histogram>& proof_of_work =
      Histograms("switchyard_proof_of_work_seconds", "Time to compute one proof of work, without its wait.");

  Family<Counter>& leases = Counters("switchyard_leases_total", "Wishes for an account that have been answered.");
  Family<Counter>& leases_queued =
      Counters("switchyard_leases_queued_total", "Wishes for an account that had to wait.");
  Family<Histogram>& queue_wait =
      Histograms("switchyard_lease_queue_wait_seconds", "From a wish for an account to its answer.");
  Family<Counter>& refreshes = Counters("switchyard_token_refreshes_total", "Exchanges of a credential for a token.");
  Family<Counter>& refresh_failures =
      Counters("switchyard_token_refresh_failures_total", "Exchanges of a credential for a token that failed.");
  Family<Histogram>& store_write =
      Histograms("switchyard_store_write_seconds", "From a change to its being durable in the store.");
  Family<Counter>& store_failures =
      Counters("switchyard_store_write_failures_total", "Changes that could not be made durable.");
  Family<Gauge>& store_contact =
      Gauges("switchyard_store_contact", "1 while the store can be reached, 0 while nothing is lent for want of it.");

  Family<Counter>& spans_exported = Counters("switchyard_spans_exported_total", "Spans that the collector has taken.");
  Family<Counter>& spans_dropped =
      Counters("switchyard_spans_dropped_total", "Spans that never reached the collector.");
};

/// What is read at each scrape. The lock is held while a function runs, so that none runs once its Watch is gone.
struct Metrics::Watched {
  absl::Mutex mutex;
  int next ABSL_GUARDED_BY(mutex) = 0;
  std::map<int, std::function<std::vector<MetricFamily>()>> reads ABSL_GUARDED_BY(mutex);

  static Watch Add(const std::shared_ptr<Watched>& self, std::function<std::vector<MetricFamily>()> read) {
    absl::MutexLock lock(&self->mutex);
    const int id = self->next++;
    self->reads.emplace(id, std::move(read));
    return Watch([self, id] {
      absl::MutexLock lock(&self->mutex);
      self->reads.erase(id);
    });
  }
};

std::string ReasonLabel(const absl::Status& status) {
  if (status.ok()) return "ok";
  if (status.code() == absl::StatusCode::kCancelled) return "cancelled";
  return ReasonName(ReasonOf(status));
}

Metrics::Metrics() : families_(std::make_unique<Families>()), watched_(std::make_shared<Watched>()) {}

Metrics::~Metrics() = default;

Metrics& Metrics::Get() {
  static Metrics& metrics = *new Metrics();  // used until the very end of the process
  return metrics;
}

std::string Metrics::Text() const {
  std::vector<MetricFamily> all = families_->registry.Collect();
  const auto append = [&all](std::vector<MetricFamily> more) {
    std::move(more.begin(), more.end(), std::back_inserter(all));
  };
  {
    absl::MutexLock lock(&watched_->mutex);
    for (const auto& [id, read] : watched_->reads) append(read());
  }
  MetricFamily dropped{"switchyard_log_lines_dropped_total",
                       "Log lines dropped because their reader was too slow.",
                       MetricType::Counter,
                       {}};
  dropped.metric.emplace_back();
  dropped.metric.back().counter.value = static_cast<double>(DroppedLogLines());
  all.push_back(std::move(dropped));
  append(ProcessMetrics());
  return prometheus::TextSerializer().Serialize(all);
}

void Metrics::SetBuildInfo(absl::string_view program, absl::string_view version) {
  families_->build_info.Add({{"program", std::string(program)}, {"version", std::string(version)}}).Set(1);
}
Gauge& Metrics::Ready() { return families_->ready.Add({}); }
Gauge& Metrics::CertificateExpiry(CertificateUse use) {
  constexpr std::array<const char*, 3> kNames = {"mesh", "https", "etcd"};
  return families_->certificate_expiry.Add({{"set", kNames.at(static_cast<size_t>(use))}});
}

void Metrics::ShowEdge(const std::vector<absl::string_view>& apis) {
  RequestsInFlight();
  Refusals(Limit::kAdmission);
  Refusals(Limit::kRate);
  ConnectionsRefused(true);
  ConnectionsRefused(false);
  for (const absl::string_view api : apis) {
    ClientsGone(api);
    InternalErrors(api);
  }
}
void Metrics::ShowProvider(absl::string_view platform) {
  TurnsInFlight(platform);
  Repairs(platform);
  UpstreamChanged(platform);
  Retries(platform, MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, ""));
  UpstreamConnections();
}
void Metrics::ShowSigning() { ProofOfWorkTime(); }
void Metrics::ShowSession(const std::vector<std::string>& platforms) {
  StoreWriteFailures();
  StoreContact();
  for (const std::string& platform : platforms) {
    LeasesQueued(platform);
    RefreshFailures(platform);
    families_->refreshes.Add({{"outcome", "ok"}, {"platform", PlatformLabel(platform)}});
  }
}

void Metrics::RequestDone(const Request& request) {
  // A status of 499 is how proxies write that there was nobody left to answer.
  const int code = request.http_status == 0 ? 499 : request.http_status;
  const std::string api(request.api);
  std::string reason = ReasonLabel(request.status);
  if (request.status.ok() && code >= 400 && code != 499) reason = ReasonName(Reason::REASON_INVALID_REQUEST);
  families_->requests
      .Add({{"api", api},
            {"code", absl::StrCat(code)},
            {"model", ModelLabel(request.model)},
            {"platform", PlatformLabel(request.platform)},
            {"reason", reason}})
      .Increment();
  if (reason == ReasonName(Reason::REASON_INTERNAL)) InternalErrors(api).Increment();
  families_->request_duration.Add({{"api", api}}, DurationBuckets()).Observe(absl::ToDoubleSeconds(request.duration));
}
Gauge& Metrics::RequestsInFlight() { return families_->requests_in_flight.Add({}); }
Histogram& Metrics::TimeToFirstToken(absl::string_view platform, absl::string_view model) {
  return families_->first_token.Add({{"model", ModelLabel(model)}, {"platform", PlatformLabel(platform)}},
                                    FirstTokenBuckets());
}
Histogram& Metrics::TimeBetweenChunks(absl::string_view platform) {
  return families_->between_chunks.Add({{"platform", PlatformLabel(platform)}}, BetweenChunksBuckets());
}
Counter& Metrics::ResponseBytes(absl::string_view api) {
  return families_->response_bytes.Add({{"api", std::string(api)}});
}
Counter& Metrics::ClientsGone(absl::string_view api) {
  return families_->clients_gone.Add({{"api", std::string(api)}});
}
Counter& Metrics::InternalErrors(absl::string_view api) {
  return families_->internal_errors.Add({{"api", std::string(api)}});
}
Counter& Metrics::Refusals(Limit limit) {
  return families_->refusals.Add({{"limit", limit == Limit::kAdmission ? "admission" : "rate"}});
}
Counter& Metrics::ConnectionsRefused(bool of_one_address) {
  return families_->connections_refused.Add({{"limit", of_one_address ? "address" : "all"}});
}

void Metrics::TurnDone(const Turn& turn) {
  families_->turns
      .Add({{"code", CodeLabel(turn.status.code())},
            {"model", ModelLabel(turn.model)},
            {"platform", PlatformLabel(turn.platform)},
            {"reason", ReasonLabel(turn.status)}})
      .Increment();
}
Gauge& Metrics::TurnsInFlight(absl::string_view platform) {
  return families_->turns_in_flight.Add({{"platform", PlatformLabel(platform)}});
}
Histogram& Metrics::TurnTimeToFirstToken(absl::string_view platform) {
  return families_->turn_first_token.Add({{"platform", PlatformLabel(platform)}}, FirstTokenBuckets());
}
Histogram& Metrics::LeaseWait(absl::string_view platform) {
  return families_->lease_wait.Add({{"platform", PlatformLabel(platform)}}, WaitBuckets());
}
Counter& Metrics::Retries(absl::string_view platform, const absl::Status& why) {
  return families_->retries.Add({{"platform", PlatformLabel(platform)}, {"reason", ReasonLabel(why)}});
}
Counter& Metrics::Repairs(absl::string_view platform) {
  return families_->repairs.Add({{"platform", PlatformLabel(platform)}});
}
Counter& Metrics::UpstreamChanged(absl::string_view platform) {
  return families_->upstream_changed.Add({{"platform", PlatformLabel(platform)}});
}
void Metrics::UpstreamRequestDone(absl::string_view platform, int http_status, absl::Duration to_header) {
  const std::string label = PlatformLabel(platform);
  families_->upstream_requests.Add({{"code", StatusClass(http_status)}, {"platform", label}}).Increment();
  if (http_status == 0) return;
  families_->upstream_header.Add({{"platform", label}}, DurationBuckets()).Observe(absl::ToDoubleSeconds(to_header));
}

Gauge& Metrics::UpstreamConnections() { return families_->upstream_connections.Add({}); }
Counter& Metrics::UpstreamConnects(absl::string_view cause) {
  return families_->upstream_connects.Add({{"outcome", ConnectLabel(cause)}});
}

void Metrics::SignJobDone(absl::string_view scheme, const absl::Status& outcome) {
  families_->sign_jobs.Add({{"outcome", CodeLabel(outcome.code())}, {"scheme", SchemeLabel(scheme)}}).Increment();
}
Histogram& Metrics::ProofOfWorkTime() { return families_->proof_of_work.Add({}, WorkBuckets()); }

void Metrics::LeaseAnswered(absl::string_view platform, const absl::Status& outcome, absl::Duration waited) {
  const std::string label = PlatformLabel(platform);
  const std::string result = outcome.ok() ? "granted" : ReasonLabel(outcome);
  families_->leases.Add({{"outcome", result}, {"platform", label}}).Increment();
  families_->queue_wait.Add({{"platform", label}}, WaitBuckets()).Observe(absl::ToDoubleSeconds(waited));
}
Counter& Metrics::LeasesQueued(absl::string_view platform) {
  return families_->leases_queued.Add({{"platform", PlatformLabel(platform)}});
}
void Metrics::RefreshDone(absl::string_view platform, const absl::Status& outcome) {
  families_->refreshes.Add({{"outcome", ReasonLabel(outcome)}, {"platform", PlatformLabel(platform)}}).Increment();
  if (!outcome.ok()) RefreshFailures(platform).Increment();
}
Counter& Metrics::RefreshFailures(absl::string_view platform) {
  return families_->refresh_failures.Add({{"platform", PlatformLabel(platform)}});
}
Histogram& Metrics::StoreWriteTime() { return families_->store_write.Add({}, WorkBuckets()); }
Counter& Metrics::StoreWriteFailures() { return families_->store_failures.Add({}); }
Gauge& Metrics::StoreContact() { return families_->store_contact.Add({}); }

Counter& Metrics::SpansExported() { return families_->spans_exported.Add({}); }
Counter& Metrics::SpansDropped(SpanLoss loss) {
  return families_->spans_dropped.Add({{"why", loss == SpanLoss::kQueueFull ? "queue_full" : "export_failed"}});
}

Metrics::Watch Metrics::WatchAccounts(std::function<std::vector<AccountSample>()> read) {
  return Watched::Add(watched_, [read = std::move(read)] { return AccountFamilies(read()); });
}
Metrics::Watch Metrics::WatchSignQueue(std::function<int()> read) {
  return Watched::Add(watched_, [read = std::move(read)] {
    MetricFamily load = GaugeFamily("switchyard_sign_queue_length", "Signing jobs that run or wait to.");
    AddGauge(load, {}, read());
    return std::vector<MetricFamily>{std::move(load)};
  });
}

}  // namespace switchyard
