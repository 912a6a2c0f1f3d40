// What every program counts: the names, labels and buckets of all metrics, in one place, and their text for Prometheus.
//
//   Metrics& metrics = Metrics::Get();
//   metrics.TurnDone({.platform = "kimi", .model = "kimi-k2", .status = status});
//   Histogram& between = metrics.TimeBetweenChunks("kimi");   // once a turn
//   between.Observe(seconds);                                  // for every chunk
//
// Labels are bounded by construction: a model or platform that is not in the catalogue is "other", a reason is one of
// the closed list, or "ok", or "cancelled" for a caller who left. No label holds anything that a caller wrote.
//
// Thread-safe. What a function answers lives as long as its Metrics. A family without a value is not shown, so each
// program shows its own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"

namespace switchyard {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// Those of the process.
  static Metrics& Get();

  /// All values, in Prometheus' text format 0.0.4, with the process's own (CPU, memory, descriptors, start).
  std::string Text() const;

  void SetBuildInfo(absl::string_view program, absl::string_view version);
  Gauge& Ready();
  /// What a set of certificates is for.
  enum class CertificateUse { kMesh, kHttps, kEtcd };
  /// When the leaf of the set in use ends, in seconds of Unix time. A newer set changes it.
  Gauge& CertificateExpiry(CertificateUse use);

  // What counts things that are rare is shown as 0 from the start: a rate needs a beginning.
  void ShowEdge(const std::vector<absl::string_view>& apis);
  void ShowProvider(absl::string_view platform);
  void ShowSigning();
  void ShowSession(const std::vector<std::string>& platforms);

  // ---- edge

  struct Request {
    absl::string_view api = {};  // of the edge's own closed list
    absl::string_view platform = {};
    absl::string_view model = {};
    int http_status = 0;  // 0: the client left before any
    absl::Status status = {};
    absl::Duration duration = {};
  };
  void RequestDone(const Request& request);
  Gauge& RequestsInFlight();
  Histogram& TimeToFirstToken(absl::string_view platform, absl::string_view model);
  Histogram& TimeBetweenChunks(absl::string_view platform);
  Counter& ResponseBytes(absl::string_view api);
  Counter& ClientsGone(absl::string_view api);
  /// Requests that failed through a bug of the relay. RequestDone() counts them; of those in requests_total, too, whose
  /// series are made by the first request of each, so that no rate sees it.
  Counter& InternalErrors(absl::string_view api);
  enum class Limit { kAdmission, kRate };
  /// Requests that a limit of the edge itself turned away.
  Counter& Refusals(Limit limit);
  /// Connections closed at once for being too many: of one address, or in all.
  Counter& ConnectionsRefused(bool of_one_address);

  // ---- providers

  struct Turn {
    absl::string_view platform = {};
    absl::string_view model = {};
    absl::Status status = {};
  };
  void TurnDone(const Turn& turn);
  Gauge& TurnsInFlight(absl::string_view platform);
  Histogram& TurnTimeToFirstToken(absl::string_view platform);
  Histogram& LeaseWait(absl::string_view platform);
  Counter& Retries(absl::string_view platform, const absl::Status& why);
  Counter& Repairs(absl::string_view platform);
  /// Answers that were not understood, those that a second try made good included.
  Counter& UpstreamChanged(absl::string_view platform);
  /// @param http_status 0 if there was no answer
  void UpstreamRequestDone(absl::string_view platform, int http_status, absl::Duration to_header);

  // ---- the way to the platforms, of providers and session

  Gauge& UpstreamConnections();
  /// @param cause of the failure, one of those of HttpClient; "" if it opened
  Counter& UpstreamConnects(absl::string_view cause);

  // ---- signing

  /// @param scheme "deepseek_pow", "zhipu" or "minimax"; anything else is "other"
  void SignJobDone(absl::string_view scheme, const absl::Status& outcome);
  Histogram& ProofOfWorkTime();

  // ---- session

  /// A wish for an account was answered. @param waited since it was made
  void LeaseAnswered(absl::string_view platform, const absl::Status& outcome, absl::Duration waited);
  Counter& LeasesQueued(absl::string_view platform);
  void RefreshDone(absl::string_view platform, const absl::Status& outcome);
  /// Of any outcome but "ok". RefreshDone() counts them, for the same reason as InternalErrors().
  Counter& RefreshFailures(absl::string_view platform);
  Histogram& StoreWriteTime();
  Counter& StoreWriteFailures();
  /// 1 while the store can be reached, 0 while nothing is lent for want of it.
  Gauge& StoreContact();

  // ---- spans

  Counter& SpansExported();
  enum class SpanLoss { kQueueFull, kExportFailed };
  Counter& SpansDropped(SpanLoss loss);

  // ---- read when somebody asks

  /// One configured account. Callers' own tokens are never among them.
  struct AccountSample {
    std::string platform;
    std::string account;     // its label: "deepseek-2"
    std::string state = {};  // "ready", "cooling_down", …
    int in_flight = 0;
    int queued = 0;  // for any account of its platform
    int pending_conversations = 0;
  };
  /// Unregisters when destroyed; the function is not running then.
  class Watch {
   public:
    Watch() = default;
    explicit Watch(std::function<void()> stop) : stop_(std::move(stop)) {}
    Watch(Watch&& other) noexcept : stop_(std::exchange(other.stop_, nullptr)) {}
    Watch& operator=(Watch&& other) noexcept {
      std::swap(stop_, other.stop_);
      return *this;
    }
    ~Watch() {
      if (stop_) stop_();
    }

   private:
    std::function<void()> stop_;
  };
  [[nodiscard]] Watch WatchAccounts(std::function<std::vector<AccountSample>()> read);
  /// Jobs of the signing pool, running and waiting.
  [[nodiscard]] Watch WatchSignQueue(std::function<int()> read);

 private:
  struct Families;
  struct Watched;
  std::unique_ptr<Families> families_;
  std::shared_ptr<Watched> watched_;
};

/// One of a gauge, for as long as it lives. May be empty.
class Held {
 public:
  Held() = default;
  explicit Held(Gauge& gauge) : gauge_(&gauge) { gauge.Increment(); }
  Held(Held&& other) noexcept : gauge_(std::exchange(other.gauge_, nullptr)) {}
  Held& operator=(Held&& other) noexcept {
    std::swap(gauge_, other.gauge_);
    return *this;
  }
  ~Held() {
    if (gauge_ != nullptr) gauge_->Decrement();
  }

 private:
  Gauge* gauge_ = nullptr;
};

/// The label for an outcome: "ok", "cancelled", or the reason's name.
std::string ReasonLabel(const absl::Status& status);

}  // namespace switchyard
