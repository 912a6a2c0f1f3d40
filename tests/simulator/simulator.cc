#include "tests/simulator/simulator.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/async/sleep.h"
#include "tests/simulator/stamp.h"

namespace simulator {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;
using switchyard::HttpResponder;
using switchyard::HttpServerRequest;

namespace {

json::object ListOf(const FaultsByDialect& faults) {
  json::object list;
  for (const auto& [dialect, names] : faults) list[dialect] = json::array(names.begin(), names.end());
  return list;
}

bool Knows(const Platform& platform, const std::string& fault) {
  const FaultsByDialect faults = platform.Faults();
  return fault.empty() || std::any_of(faults.begin(), faults.end(),
                                      [&](const auto& dialect) { return dialect.second.count(fault) > 0; });
}

}  // namespace

switchyard::HttpHandler Simulator::Handler() {
  return [this](HttpServerRequest& request, HttpResponder& responder) { return Serve(request, responder); };
}

asio::awaitable<void> Simulator::Serve(HttpServerRequest& request, HttpResponder& responder) {
  for (const auto& platform : platforms_) {
    const std::string prefix = "/" + platform->name();
    if (request.path != prefix && !absl::StartsWith(request.path, prefix + "/")) continue;
    const std::string path = request.path == prefix ? "/" : request.path.substr(prefix.size());
    co_await platform->Serve(path, request, responder);
    co_return;
  }
  if (absl::StartsWith(request.path, "/_control/")) {
    co_await Control(request, responder);
    co_return;
  }
  if (request.path == "/_plain") {
    co_await Plain(request, responder);
    co_return;
  }
  HttpHeaders headers{{"Content-Type", "text/plain"}};
  co_await responder.Send(404, std::move(headers), "there is no such platform\n");
}

asio::awaitable<void> Simulator::Plain(HttpServerRequest& request, HttpResponder& responder) {
  const Script script = ParseScript(absl::StrReplaceAll(request.query, {{"&", " "}}));
  const auto pause = absl::Milliseconds(script.Number("chunk_ms", 0));
  HttpHeaders headers{{"Content-Type", "text/event-stream"}};
  const absl::Status begun = co_await responder.Begin(200, std::move(headers));
  bool alive = begun.ok();
  std::string out;
  for (int i = 0; alive && i < script.Number("chunks", 50); ++i) {
    if (pause > absl::ZeroDuration()) co_await switchyard::Sleep(responder.scope(), pause);
    const std::string text = script.Number("stamp", 0) != 0 ? Stamp() : " piece " + std::to_string(i);
    // As long as the relay's own chunks, so that the same bytes are compared.
    absl::StrAppend(
        &out,
        R"(data: {"id":"chatcmpl-000000000000000000000000","object":"chat.completion.chunk","created":1793000000,"model":"deepseek-chat",)",
        R"("choices":[{"index":0,"delta":{"content":")", text, "\"},\"finish_reason\":null}]}\n\n");
    if (pause == absl::ZeroDuration() && i + 1 < script.Number("chunks", 50)) continue;
    const absl::Status written = co_await responder.Write(out);
    alive = written.ok();
    out.clear();
  }
  if (alive) co_await responder.End();
}

asio::awaitable<void> Simulator::Control(HttpServerRequest& request, HttpResponder& responder) {
  int status = 200;
  std::string body = "{}";
  const std::string command = request.path.substr(std::string("/_control/").size());
  const auto named = std::find_if(platforms_.begin(), platforms_.end(),
                                  [&](const auto& platform) { return platform->name() == command; });
  if (command == "state") {
    json::object state;
    for (const auto& platform : platforms_) state[platform->name()] = platform->State();
    body = json::serialize(state);
  } else if (command == "faults") {
    json::object faults;
    for (const auto& platform : platforms_) faults[platform->name()] = ListOf(platform->Faults());
    body = json::serialize(faults);
  } else if (command == "credentials") {
    const int number = ParseScript(request.query).Number("number", 1);
    json::object credentials;
    for (const auto& platform : platforms_)
      credentials[absl::AsciiStrToUpper(platform->name()) + "_TOKEN"] = platform->Credential(number);
    body = json::serialize(credentials);
  } else if (command == "reset") {
    for (const auto& platform : platforms_) platform->Reset();
  } else if (named != platforms_.end()) {
    json::error_code error;
    const json::value plan = json::parse(request.body, error);
    const json::object* object = plan.if_object();
    const json::value* script = object == nullptr ? nullptr : object->if_contains("script");
    const bool told = script != nullptr && script->is_string();
    const Script planned = told ? ParseScript(script->get_string().c_str()) : Script();
    if (!told || !Knows(**named, planned.fault())) {
      status = 400;
    } else {
      const json::value* account = object->if_contains("account");
      const json::value* times = object->if_contains("times");
      (*named)->Plan(account == nullptr ? "" : std::string(account->as_string().c_str()), planned,
                     times == nullptr ? 1 : static_cast<int>(times->as_int64()));
    }
  } else {
    status = 404;
  }
  HttpHeaders headers{{"Content-Type", "application/json"}};
  co_await responder.Send(status, std::move(headers), std::move(body));
}

}  // namespace simulator
