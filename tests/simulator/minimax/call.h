// A request to the simulated MiniMax while it is answered.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "boost/json/object.hpp"
#include "tests/simulator/minimax/server.h"
#include "tests/simulator/minimax/sign.h"

namespace simulator::minimax {

/// One request under way.
struct Server::Call {
  std::string path;
  switchyard::HttpServerRequest& request;
  switchyard::HttpResponder& responder;
  std::map<std::string, std::vector<std::string>> query = {};
  TokenClaims claims = {};
  boost::json::object body = {};

  std::string Query(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() ? std::string() : found->second.front();
  }
  boost::asio::awaitable<void> Json(int status, std::string text) {
    switchyard::HttpHeaders headers{{"Content-Type", "application/json"}};
    co_await responder.Send(status, std::move(headers), std::move(text));
  }
  boost::asio::awaitable<void> Plain(int status, std::string type, std::string text) {
    switchyard::HttpHeaders headers;
    if (!type.empty()) headers.Add("Content-Type", type);
    co_await responder.Send(status, std::move(headers), std::move(text));
  }
};

/// A path of the agent dialect without its prefix; empty for any other.
std::string AgentPath(const std::string& path);

}  // namespace simulator::minimax
