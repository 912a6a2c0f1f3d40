#include "tests/support/relay.h"

#include <gtest/gtest.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"

namespace switchyard {

namespace json = boost::json;

namespace {

std::string Quoted(const std::string& text) { return json::serialize(json::value(text)); }

std::string TextOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string().c_str(), value->get_string().size())
                                                : std::string();
}

json::value Parse(const std::string& text) {
  json::error_code error;
  json::value value = json::parse(text, error);
  return error ? json::value(nullptr) : value;
}

}  // namespace

SimulatedPlatforms::SimulatedPlatforms()
    : process_({"tests/simulator/switchyard-simulator", "--listen", "127.0.0.1:0", "--difficulty", "500"}, {}),
      port_(process_.PortAfter("on http://127.0.0.1:")) {}

std::string SimulatedPlatforms::url(const std::string& platform) const {
  return absl::StrCat("http://127.0.0.1:", port_, "/", platform);
}

Variables SimulatedPlatforms::Credentials(int number) const {
  const json::value credentials =
      Parse(Fetch(port_, "GET", absl::StrCat("/_control/credentials?number=", number)).body);
  Variables variables;
  for (const auto& entry : credentials.as_object()) variables[entry.key()] = entry.value().as_string().c_str();
  return variables;
}

json::object SimulatedPlatforms::State(const std::string& platform) const {
  const json::value state = Parse(Fetch(port_, "GET", "/_control/state").body);
  return state.is_object() ? state.at(platform).as_object() : json::object();
}

int64_t SimulatedPlatforms::Count(const std::string& name, const std::string& platform) const {
  const json::object state = State(platform);
  const json::value* count = state.at("counts").as_object().if_contains(name);
  return count == nullptr ? 0 : count->as_int64();
}

std::string SimulatedPlatforms::Violations(const std::string& platform) const {
  const json::object state = State(platform);
  return state.at("violations").as_array().empty() ? std::string() : json::serialize(state.at("violations"));
}

std::vector<std::string> SimulatedPlatforms::Faults(const std::string& platform, const std::string& dialect) const {
  const json::value faults = Parse(Fetch(port_, "GET", "/_control/faults").body);
  std::vector<std::string> names;
  for (const json::value& name : faults.at(platform).at(dialect).as_array())
    names.emplace_back(name.as_string().c_str());
  EXPECT_FALSE(names.empty()) << platform << " " << dialect;
  return names;
}

int64_t SimulatedPlatforms::OpenConversations(const std::string& platform) const {
  return State(platform).at("open_conversations").to_number<int64_t>();
}

void SimulatedPlatforms::Plan(const std::string& script, int times, const std::string& account,
                              const std::string& platform) const {
  json::object plan{{"script", script}, {"times", times}};
  if (!account.empty()) plan["account"] = account;
  EXPECT_EQ(Fetch(port_, "POST", absl::StrCat("/_control/", platform), json::serialize(plan)).status, 200);
}

Variables RelayVariables(const SimulatedPlatforms& platforms, const std::string& state_dir) {
  Variables variables = platforms.Credentials();
  for (const auto& [name, credential] : Variables(variables)) {
    const std::string platform = name.substr(0, name.find('_'));
    const std::string at = absl::StrCat("SWITCHYARD_PROVIDERS__", platform, "__");
    variables[at + "BASE_URL"] = platforms.url(absl::AsciiStrToLower(platform));
    variables[at + "SPACING"] = "0s";
  }
  variables["SWITCHYARD_PROVIDERS__QWEN__OPTIONS__UPLOAD_URL"] = platforms.url("qwen") + "/oss";
  variables["DEEPSEEK_TOKEN"] = "sim-canary-token-1";
  variables["SWITCHYARD_CHAT__LISTEN"] = "127.0.0.1:0";
  variables["SWITCHYARD_ADMIN__LISTEN"] = "127.0.0.1:0";
  variables["SWITCHYARD_STATE_DIR"] = state_dir;
  return variables;
}

Relay::Relay(const SimulatedPlatforms& platforms, Variables more, std::string state_dir)
    : state_dir_(state_dir.empty() ? FreshDirectory() : std::move(state_dir)) {
  Variables variables = std::move(more);
  for (const auto& [name, value] : RelayVariables(platforms, state_dir_)) variables.emplace(name, value);
  std::erase_if(variables, [](const auto& variable) { return variable.second.empty(); });
  process_ = std::make_unique<Process>(
      std::vector<std::string>{"deploy/all_in_one/switchyard", "--listen", "127.0.0.1:0", "--env-file", "/dev/null"},
      variables);
  port_ = process_->PortAfter("serving HTTP on http://127.0.0.1:");
  grpc_port_ = process_->PortAfter("ChatService) on 127.0.0.1:");
}

std::string ChatBody(const std::string& text, const std::string& more, const std::string& model) {
  return absl::StrCat(R"({"model":)", Quoted(model), R"(,"messages":[{"role":"user","content":)", Quoted(text), "}]",
                      more, "}");
}

Streamed ReadStream(const HttpReply& reply) {
  Streamed streamed;
  streamed.status = reply.status;
  streamed.whole = reply.whole;
  streamed.headers = reply.headers;
  streamed.body = reply.body;
  if (reply.status != 200) {
    const json::value body = Parse(reply.body);
    if (body.is_object() && body.get_object().contains("error")) streamed.error = body.get_object().at("error");
    return streamed;
  }
  for (size_t from = 0; from < reply.body.size();) {
    size_t to = reply.body.find("\n\n", from);
    if (to == std::string::npos) to = reply.body.size();
    const std::string event = reply.body.substr(from, to - from);
    from = to + 2;
    if (event.rfind("data: ", 0) != 0) continue;
    const std::string data = event.substr(6);
    if (data == "[DONE]") {
      streamed.done = true;
      continue;
    }
    EXPECT_FALSE(streamed.done) << "something after [DONE]: " << data;
    const json::value chunk = Parse(data);
    if (!chunk.is_object()) {
      ADD_FAILURE() << "not a JSON object: " << data;
      continue;
    }
    if (const json::value* error = chunk.get_object().if_contains("error")) {
      streamed.error = *error;
      continue;
    }
    ++streamed.chunks;
    if (const json::value* usage = chunk.get_object().if_contains("usage"); usage != nullptr && !usage->is_null())
      streamed.usage = *usage;
    for (const json::value& choice : chunk.at("choices").as_array()) {
      const json::object& delta = choice.at("delta").as_object();
      if (delta.contains("role")) ++streamed.roles;
      streamed.text += TextOf(delta, "content");
      streamed.reasoning += TextOf(delta, "reasoning_content");
      streamed.refusal += TextOf(delta, "refusal");
      if (const json::value* annotations = delta.if_contains("annotations")) streamed.annotations = *annotations;
      if (std::string reason = TextOf(choice.as_object(), "finish_reason"); !reason.empty())
        streamed.finish_reason = std::move(reason);
    }
  }
  return streamed;
}

Streamed Stream(int port, const std::string& text, const std::string& more, const std::string& model) {
  return ReadStream(
      Fetch(port, "POST", "/v1/chat/completions", ChatBody(text, absl::StrCat(R"(,"stream":true)", more), model)));
}

Whole ReadWhole(const HttpReply& reply) { return {reply.status, Parse(reply.body), reply.headers}; }

Whole Chat(int port, const std::string& text, const std::string& more, const std::string& model) {
  return ReadWhole(Fetch(port, "POST", "/v1/chat/completions", ChatBody(text, more, model)));
}

std::string Whole::text() const {
  if (!json.is_object() || !json.get_object().contains("choices")) return "";
  return TextOf(json.at("choices").at(0).at("message").as_object(), "content");
}
std::string Whole::finish_reason() const {
  if (!json.is_object() || !json.get_object().contains("choices")) return "";
  return TextOf(json.at("choices").at(0).as_object(), "finish_reason");
}
std::string Whole::error(const std::string& member) const {
  if (!json.is_object() || !json.get_object().contains("error")) return "";
  return TextOf(json.at("error").as_object(), member.c_str());
}

}  // namespace switchyard
