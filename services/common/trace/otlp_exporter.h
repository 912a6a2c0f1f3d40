// Sends spans to an OpenTelemetry collector by OTLP/HTTP in JSON: in batches, from a bounded queue, behind everybody's
// back. Nobody waits for it; what the collector does not take in time is dropped and counted.
//
//   OtlpExporter exporter({.url = "http://collector:4318/v1/traces", .resource = {…}}, executor, http, metrics,
//   random); exporter.Take(std::move(span)); exporter.Finish(absl::Seconds(2));   // at exit
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/event.h"
#include "services/common/async/scope.h"
#include "services/common/async/task_group.h"
#include "services/common/http/http_client.h"
#include "services/common/metrics/metrics.h"
#include "services/common/time/random.h"
#include "services/common/trace/otlp_json.h"
#include "services/common/trace/span.h"

namespace switchyard {

class OtlpExporter {
 public:
  struct Options {
    std::string url;
    TraceResource resource;
    size_t queue_spans = 4096;  // waiting, beside those on their way
    size_t batch_spans = 512;
    absl::Duration pause = absl::Seconds(1);           // what comes in this time goes together
    absl::Duration request_limit = absl::Seconds(10);  // of one export
  };
  /// `executor` runs, and `http` and the others live, longer than it.
  OtlpExporter(Options options, Executor executor, HttpClient& http, Metrics& metrics, Random& random);
  /// After Finish().
  ~OtlpExporter();

  /// Thread-safe; never waits.
  void Take(SpanData span);

  /// Sends what is queued, without second tries, and ends; blocking, `limit` and a moment at most. Once.
  void Finish(absl::Duration limit);

 private:
  enum class Verdict { kTaken, kLater, kNever };

  boost::asio::awaitable<void> Run();
  boost::asio::awaitable<void> Export(const std::vector<SpanData>& batch);
  boost::asio::awaitable<Verdict> Post(std::string body);
  std::vector<SpanData> NextBatch();
  void Tell(bool failing, absl::string_view why);

  const Options options_;
  Executor executor_;
  HttpClient& http_;
  Random& random_;
  Counter& exported_;
  Counter& dropped_full_;
  Counter& dropped_failed_;
  Scope life_;      // ends with Finish(): no more pauses
  Scope patience_;  // ends when Finish() has waited long enough
  Event wake_;
  bool failing_ = false;
  std::string why_;
  TaskGroup task_;
  absl::Mutex mutex_;
  std::deque<SpanData> queue_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace switchyard
