// The platforms' server sides under one port, each below its own name, and what tests need to steer and to see.
//
//   GET  /_control/state               {platform: counters, open conversations, violations, …}
//   GET  /_control/faults              {platform: {dialect: ["cut", …]}}: all that a script's `fault=` may name
//   GET  /_control/credentials         {"KIMI_TOKEN": …}: accounts that the platforms know; ?number=2 is another one
//   POST /_control/reset
//   POST /_control/<platform>          {"script":"fault=cut at=3","account":"sim-1","times":1}; 400 for a fault that it
//   does not know
//   any  /_plain?chunks=N&chunk_ms=N&stamp=1   a stream like an answer's, without a platform: what a plain proxy is
//   measured with any  /<platform>/…   the platform
#pragma once

#include <memory>
#include <vector>

#include "services/common/http/http_server.h"
#include "tests/simulator/platform.h"

namespace simulator {

/// Thread-safe.
class Simulator {
 public:
  explicit Simulator(std::vector<std::unique_ptr<Platform>> platforms) : platforms_(std::move(platforms)) {}

  /// For HttpServer; the simulator outlives the server.
  switchyard::HttpHandler Handler();

 private:
  boost::asio::awaitable<void> Serve(switchyard::HttpServerRequest& request, switchyard::HttpResponder& responder);
  boost::asio::awaitable<void> Control(switchyard::HttpServerRequest& request, switchyard::HttpResponder& responder);
  boost::asio::awaitable<void> Plain(switchyard::HttpServerRequest& request, switchyard::HttpResponder& responder);

  std::vector<std::unique_ptr<Platform>> platforms_;
};

}  // namespace simulator
