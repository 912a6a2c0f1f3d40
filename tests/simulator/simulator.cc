#include "tests/simulator/simulator.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"

namespace simulator {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using switchyard::HttpResponder;
using switchyard::HttpServerRequest;

switchyard::HttpHandler Simulator::Handler() {
  return [this](HttpServerRequest& request, HttpResponder& responder) { return Serve(request, responder); };
}

asio::awaitable<void> Simulator::Serve(HttpServerRequest& request, HttpResponder& responder) {
  const std::string deepseek = "/deepseek";
  if (absl::StartsWith(request.path, deepseek + "/")) {
    const std::string path = request.path.substr(deepseek.size());
    co_await deepseek_.Serve(path, request, responder);
    co_return;
  }
  if (absl::StartsWith(request.path, "/_control/")) {
    co_await Control(request, responder);
    co_return;
  }
  HttpHeaders headers{{"Content-Type", "text/plain"}};
  co_await responder.Send(404, std::move(headers), "there is no such platform\n");
}

asio::awaitable<void> Simulator::Control(HttpServerRequest& request, HttpResponder& responder) {
  int status = 200;
  std::string body = "{}";
  if (request.path == "/_control/state") {
    json::object state{{"deepseek", deepseek_.State()}};
    body = json::serialize(state);
  } else if (request.path == "/_control/reset") {
    deepseek_.Reset();
  } else if (request.path == "/_control/deepseek") {
    json::error_code error;
    const json::value plan = json::parse(request.body, error);
    const json::object* object = plan.if_object();
    const json::value* script = object == nullptr ? nullptr : object->if_contains("script");
    if (script == nullptr || !script->is_string()) {
      status = 400;
    } else {
      const json::value* account = object->if_contains("account");
      const json::value* times = object->if_contains("times");
      deepseek_.Plan(account == nullptr ? "" : std::string(account->as_string().c_str()), ParseScript(script->get_string().c_str()),
                     times == nullptr ? 1 : static_cast<int>(times->as_int64()));
    }
  } else {
    status = 404;
  }
  HttpHeaders headers{{"Content-Type", "application/json"}};
  co_await responder.Send(status, std::move(headers), std::move(body));
}

}  // namespace simulator
