// The platforms' server sides under one port, each below its own name, and what tests need to steer and to see.
//
//   GET  /_control/state               counters, open conversations, violations
//   POST /_control/reset
//   POST /_control/deepseek            {"script":"fault=cut at=3","account":"sim-1","times":1}
//   any  /_plain?chunks=N&chunk_ms=N&stamp=1   a stream like an answer's, without a platform: what a plain proxy is
//   measured with any  /deepseek/api/v0/…            the platform
#pragma once

#include "services/common/http/http_server.h"
#include "tests/simulator/deepseek/server.h"

namespace simulator {

/// Thread-safe.
class Simulator {
 public:
  explicit Simulator(deepseek::Server::Options deepseek) : deepseek_(deepseek) {}

  /// For HttpServer; the simulator outlives the server.
  switchyard::HttpHandler Handler();

 private:
  boost::asio::awaitable<void> Serve(switchyard::HttpServerRequest& request, switchyard::HttpResponder& responder);
  boost::asio::awaitable<void> Control(switchyard::HttpServerRequest& request, switchyard::HttpResponder& responder);

  boost::asio::awaitable<void> Plain(switchyard::HttpServerRequest& request, switchyard::HttpResponder& responder);

  deepseek::Server deepseek_;
};

}  // namespace simulator
