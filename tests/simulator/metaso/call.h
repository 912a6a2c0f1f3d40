// One request to the simulated Metaso, as its handlers see it.
#pragma once

#include <string>
#include <utility>

#include "boost/asio/awaitable.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/http/http_server.h"
#include "tests/simulator/metaso/server.h"

namespace simulator::metaso {

inline constexpr char kOrigin[] = "https://metaso.cn";

inline std::string Text(const boost::json::object& object, const char* name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string().c_str()) : std::string();
}

/// What all `/api` calls answer with, whatever comes of them.
inline std::string Envelope(int64_t code, const std::string& message, boost::json::value data = nullptr) {
  return boost::json::serialize(boost::json::object{{"errCode", code}, {"errMsg", message}, {"data", std::move(data)}});
}

/// One request under way.
struct Server::Call {
  switchyard::HttpServerRequest& request;
  switchyard::HttpResponder& responder;
  std::string uid;  // "" without a login
  boost::json::object body;

  std::string Header(const char* name) const { return std::string(request.headers.Get(name)); }
  boost::asio::awaitable<void> Send(int status, std::string type, std::string text) {
    switchyard::HttpHeaders headers{{"Content-Type", type}};
    if (status == 302) headers.Add("Location", "/login");
    co_await responder.Send(status, std::move(headers), std::move(text));
  }
};

}  // namespace simulator::metaso
