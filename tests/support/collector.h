// An OpenTelemetry collector as small as can be: takes OTLP/HTTP in JSON, and fails the test for whatever the protocol
// does not allow. Shares the HTTP server with the product, and nothing of its trace code.
//
//   Collector collector;
//   … {"SWITCHYARD_TRACING__OTLP_URL", collector.url()} …
//   for (const CollectedSpan& span : collector.spans()) …
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/common/async/runtime.h"
#include "services/common/http/http_server.h"

namespace switchyard {

struct CollectedSpan {
  std::string service;  // of its resource
  std::string trace_id, span_id, parent_id, name, tracestate;
  int kind = 0;
  int64_t start_ns = 0, end_ns = 0;
  bool failed = false;
  std::map<std::string, std::string> attributes;  // numbers as text
};

class Collector {
 public:
  Collector();
  ~Collector();

  std::string url() const;
  std::vector<CollectedSpan> spans() const;
  /// Every body that came, as it came.
  std::string bodies() const;
  int requests() const;
  /// The next requests are answered with these statuses; after that, with 200.
  void AnswerWith(std::vector<int> statuses);

 private:
  boost::asio::awaitable<void> Serve(HttpServerRequest& request, HttpResponder& responder);
  void Take(const std::string& body);

  mutable absl::Mutex mutex_;
  std::vector<CollectedSpan> spans_ ABSL_GUARDED_BY(mutex_);
  std::string bodies_ ABSL_GUARDED_BY(mutex_);
  int requests_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<int> statuses_ ABSL_GUARDED_BY(mutex_);
  Runtime runtime_{Runtime::Options{1}};
  std::unique_ptr<HttpServer> server_;
};

}  // namespace switchyard
