// The agent dialect: agents, sessions, and answers by event stream.
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "boost/json/serialize.hpp"
#include "services/common/async/sleep.h"
#include "tests/simulator/minimax/call.h"

namespace simulator::minimax {

namespace asio = boost::asio;
namespace json = boost::json;
using switchyard::HttpHeaders;

namespace {

constexpr char kAgents[] =
    R"({"agents":[{"name":"380000000000001","agent_role":"general"},{"name":"380000000000002","agent_role":"mavis"}]})";
constexpr char kAgent[] = "380000000000002";

std::string TextOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string().c_str(), value->get_string().size())
                                                : std::string();
}

/// The events of one answer.
class AgentAnswer {
 public:
  AgentAnswer(const Script& script, const std::string& prompt, bool thinking) : script_(script) {
    if (script.Number("comments", 0) != 0) events_.push_back(": still here\n\n");
    const bool cumulative = script.Text("dialect", "cumulative") == "cumulative";
    std::string thought, text;
    for (const std::string& piece : thinking ? ThoughtPieces(script) : std::vector<std::string>()) {
      thought += piece;
      opening_ +=
          Line(6, "agent_message_chunk", {{"msg_id", "m1"}, {"thinking_content", cumulative ? thought : piece}});
    }
    for (const std::string& piece : TextPieces(script, prompt)) {
      text += piece;
      events_.push_back(Line(6, "agent_message_chunk", {{"msg_id", "m1"}, {"msg_content", cumulative ? text : piece}}));
    }
    const json::object usage{{"input_tokens", 12}, {"output_tokens", 5}, {"total_tokens", 17}};
    ending_ = Line(10, "ignored", json::object()) + Line(2, "agent_message",
                                                         {{"msg_id", "m1"},
                                                          {"msg_content", text},
                                                          {"thinking_content", thought},
                                                          {"finish_reason", script.Text("finish", "stop")},
                                                          {"usage", usage}});
    if (script.Number("done", 0) != 0) ending_ += "data:[DONE]\n\n";
  }

  const std::string& opening() const { return opening_; }
  const std::vector<std::string>& events() const { return events_; }
  const std::string& ending() const { return ending_; }

 private:
  std::string Line(int type, const char* name, json::object content) const {
    json::object event{{"type", type}};
    event[name] = std::move(content);
    return absl::StrCat(script_.Number("space", 0) != 0 ? "data: " : "data:", json::serialize(event), "\n\n");
  }

  const Script& script_;
  std::string opening_, ending_;
  std::vector<std::string> events_;
};

/// The first member that is not as the page has it; empty if all are.
std::string MisfitOf(const json::object& body) {
  const json::value* model = body.if_contains("model");
  const json::value* attachments = body.if_contains("attachments");
  if (TextOf(body, "content").empty()) return "content";
  if (TextOf(body, "turn_id").size() != 36) return "turn_id";
  if (attachments == nullptr || !attachments->is_array()) return "attachments";
  if (model == nullptr || !model->is_object()) return "model";
  const json::object& object = model->get_object();
  if (TextOf(object, "provider_id") != "minimax" || !absl::StartsWith(TextOf(object, "model_id"), "MiniMax-"))
    return "model_id";
  const std::string variant = TextOf(object, "variant");
  return variant.empty() || (variant == "thinking" && TextOf(object, "model_id") == "MiniMax-M3") ? "" : "variant";
}

/// What goes wrong between two events; empty if it is none of those faults.
std::string BadEvent(const std::string& fault) {
  if (fault == "in_stream")
    return "data:{\"base_resp\":{\"status_code\":1000500,\"status_msg\":\"sandbox connection error\"}}\n\n";
  if (fault == "in_stream_unknown")
    return "data:{\"base_resp\":{\"status_code\":1999999,\"status_msg\":\"something new\"}}\n\n";
  if (fault == "in_stream_garbage") return "data:{\"type\":6,\n\n";
  if (fault == "in_stream_utf8") return "data:{\"type\":10,\"ignored\":\"\xFF\xFE\"}\n\n";
  if (fault == "in_stream_oversized") return absl::StrCat("data:{\"x\":\"", std::string(2 << 20, 'x'), "\"}\n\n");
  return "";
}

std::string SessionAnswer(const std::string& id) {
  return json::serialize(json::object{{"agent_name", kAgent}, {"session_id", id}});
}

}  // namespace

std::string AgentPath(const std::string& path) {
  for (const char* prefix : {"/minimax-cloud/api", "/archon/api"}) {
    const std::string start = absl::StrCat(prefix, "/v1/");
    if (absl::StartsWith(path, start)) return path.substr(start.size() - 4);
  }
  return "";
}

asio::awaitable<void> Server::Agent(Call& call) {
  const std::vector<std::string> parts = absl::StrSplit(AgentPath(call.path), '/', absl::SkipEmpty());
  if (parts.size() == 2) {
    co_await call.Json(200, kAgents);
  } else if (parts.size() == 4 && parts[1] == "agent" && parts[3] == "session") {
    if (parts[2] != kAgent) journal_.Violate("a session was asked of an agent that opens none");
    std::string answer;
    {
      absl::MutexLock lock(&mutex_);
      const std::string id = absl::StrCat(next_id_ += 100);
      sessions_[id] = call.claims.user;
      answer = SessionAnswer(id);
    }
    journal_.Count("sessions");
    co_await call.Json(200, std::move(answer));
  } else if (parts.size() == 4 && parts[1] == "session" && parts[3] == "message") {
    co_await Say(call, parts[2]);
  } else {
    co_await call.Plain(404, "text/html", "<html>nothing here</html>");
  }
}

asio::awaitable<void> Server::Say(Call& call, const std::string& session) {
  const std::string prompt = TextOf(call.body, "content");
  const Script script = journal_.Take(call.claims.user, prompt);
  json::object recorded = call.body;
  recorded["prompt"] = prompt;
  journal_.Record(std::move(recorded));
  const bool refused = co_await Refused(call, script);
  if (refused) co_return;
  std::string why = MisfitOf(call.body);
  bool thinking = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = sessions_.find(session);
    if (found == sessions_.end() || found->second != call.claims.user) why = "session";
  }
  if (!why.empty()) {
    journal_.Violate("message: " + why);
    std::string answer = R"({"base_resp":{"status_code":1000400,"status_msg":"invalid params"}})";
    co_await call.Json(200, std::move(answer));
    co_return;
  }
  thinking = TextOf(call.body.at("model").get_object(), "variant") == "thinking";
  const AgentAnswer answer(script, prompt, thinking);
  journal_.Begin(call.claims.user);
  ScriptedBody body(call.responder, script);
  HttpHeaders headers{{"Content-Type", "text/event-stream"}};
  bool alive = co_await body.Begin(std::move(headers));
  if (alive) alive = co_await body.Write(answer.opening());
  for (size_t i = 0; alive && i < answer.events().size(); ++i) {
    alive = co_await body.BeforePiece(i);
    if (std::string bad = body.Now(script.fault(), i) ? BadEvent(script.fault()) : ""; alive && !bad.empty()) {
      alive = co_await body.Write(std::move(bad));
    }
    if (alive) alive = co_await body.Write(answer.events()[i]);
  }
  if (alive) alive = co_await body.BeforeEnd(answer.events().size());
  if (alive) alive = co_await body.Write(answer.ending());
  if (alive) co_await body.End();
  journal_.End(call.claims.user);
}

}  // namespace simulator::minimax
