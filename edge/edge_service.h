// The HTTP API: which path is whose, who may ask, how many at once, and one log line a request.
//
//   EdgeService edge(chat, options, SystemClock::Get(), SystemRandom::Get());
//   auto server = HttpServer::Listen(runtime, http_options, edge.Handler());
//
// Thread-safe.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "edge/api_keys.h"
#include "edge/chat_client.h"
#include "edge/gate.h"
#include "edge/model_list.h"
#include "edge/turn.h"
#include "services/common/async/in_flight.h"
#include "services/common/http/http_server.h"
#include "services/common/metrics/metrics.h"
#include "services/common/time/random.h"
#include "services/common/trace/span.h"

namespace switchyard {

/// What metrics call the APIs: "chat/completions", …
std::vector<absl::string_view> ApiLabels();

class EdgeService {
 public:
  struct Options {
    TurnOptions turn = {};
    int max_in_flight = 4096;
    bool loopback_only = true;  // by Host and Origin, without keys
  };
  /// All but the options outlive it.
  EdgeService(ChatClient& chat, ApiKeys& keys, Options options, const Clock& clock, Random& random)
      : chat_(chat),
        options_(options),
        models_(chat, clock),
        gate_(keys, options.loopback_only, clock),
        clock_(clock),
        random_(random),
        in_flight_(options.max_in_flight) {
    Metrics::Get().ShowEdge(ApiLabels());
  }

  /// For HttpServer. The service outlives the server.
  HttpHandler Handler();

  /// For HttpServerOptions::check_header: answers what the header alone decides, before the body comes.
  std::optional<HttpRefusal> CheckHeader(const HttpServerRequest& request);

  /// For HttpServerOptions::error_body: what the server itself refuses, in the form of the request's API.
  std::string RefusalBody(const HttpServerRequest* request, int status, absl::string_view message,
                          HttpHeaders& headers);

  /// For HttpServerOptions::body_lost.
  void BodyLost(const HttpServerRequest& request);
  /// For HttpServerOptions::connection_refused: counts each, and tells of one a minute.
  void ConnectionRefused(ConnectionLimit limit, const std::string& address);

  /// From now on /readyz says no; everything is still served.
  void Drain() { draining_ = true; }

 private:
  /// One request, and what is said of it.
  struct Exchange {
    CallContext context;
    HttpHeaders headers;  // of every answer
    RequestRecord record;
    absl::string_view api;  // for metrics: one of a closed list
    Caller caller;
    Clock::Monotonic start;
    Span span;
  };
  Exchange Open(const HttpServerRequest& request);
  std::optional<HttpRefusal> Screen(const HttpServerRequest& request, Exchange& exchange) const;
  void Close(const HttpServerRequest& request, Exchange& exchange, bool gone) const;

  boost::asio::awaitable<void> Serve(HttpServerRequest& request, HttpResponder& responder);
  boost::asio::awaitable<void> Route(HttpServerRequest& request, HttpResponder& responder, Exchange& exchange);
  boost::asio::awaitable<void> Models(HttpServerRequest& request, HttpResponder& responder, Exchange& exchange);
  boost::asio::awaitable<void> Ready(HttpResponder& responder, Exchange& exchange);

  ChatClient& chat_;
  const Options options_;
  ModelList models_;
  const Gate gate_;
  const Clock& clock_;
  Random& random_;
  InFlightLimit in_flight_;
  std::atomic<bool> draining_{false};
  absl::Mutex refused_mutex_;
  std::optional<Clock::Monotonic> refused_told_ ABSL_GUARDED_BY(refused_mutex_);
  int64_t refused_untold_ ABSL_GUARDED_BY(refused_mutex_) = 0;
};

}  // namespace switchyard
