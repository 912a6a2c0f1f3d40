// The HTTP API: which path is whose, who may ask, how many at once, and one log line a request.
//
//   EdgeService edge(chat, options, SystemClock::Get(), SystemRandom::Get());
//   auto server = HttpServer::Listen(runtime, http_options, edge.Handler());
//
// Thread-safe.
#pragma once

#include <atomic>
#include <string>

#include "edge/chat_client.h"
#include "edge/turn.h"
#include "services/common/http/http_server.h"
#include "services/common/time/random.h"

namespace switchyard {

class EdgeService {
 public:
  struct Options {
    TurnOptions turn = {};
    int max_in_flight = 4096;
    bool loopback_only = true;  // by Host and Origin
  };
  /// All but the options outlive it.
  EdgeService(ChatClient& chat, Options options, const Clock& clock, Random& random)
      : chat_(chat), options_(options), clock_(clock), random_(random) {}

  /// For HttpServer. The service outlives the server.
  HttpHandler Handler();

  /// From now on /readyz says no; everything is still served.
  void Drain() { draining_ = true; }

 private:
  boost::asio::awaitable<void> Serve(HttpServerRequest& request, HttpResponder& responder);
  boost::asio::awaitable<void> Route(HttpServerRequest& request, HttpResponder& responder, const CallContext& context,
                                     HttpHeaders headers, RequestRecord& record);
  boost::asio::awaitable<void> Models(HttpServerRequest& request, HttpResponder& responder, const CallContext& context,
                                      HttpHeaders headers, RequestRecord& record);
  boost::asio::awaitable<void> Ready(HttpResponder& responder, const CallContext& context, HttpHeaders headers,
                                     RequestRecord& record);

  ChatClient& chat_;
  const Options options_;
  const Clock& clock_;
  Random& random_;
  std::atomic<int> in_flight_{0};
  std::atomic<bool> draining_{false};
};

}  // namespace switchyard
