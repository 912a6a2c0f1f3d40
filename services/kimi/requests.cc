#include "services/kimi/requests.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/http/multipart.h"
#include "services/kimi/frames.h"

namespace switchyard::kimi {

namespace json = boost::json;

namespace {

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

/// What every call tells: whose it is, and from where.
HttpHeaders Identity(const Settings& settings, const Account& account) {
  HttpHeaders headers;
  headers.Add("User-Agent", settings.user_agent);
  headers.Add("Authorization", absl::StrCat("Bearer ", account.token.Reveal()));
  headers.Add("Connect-Protocol-Version", "1");
  headers.Add("Origin", settings.base_url);
  headers.Add("x-msh-platform", "web");
  const auto device = account.identity.find("device_id");
  if (device != account.identity.end()) headers.Add("x-msh-device-id", device->second);
  return headers;
}

HttpRequest Post(const Settings& settings, const Account& account, absl::string_view path,
                 absl::string_view content_type) {
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(settings.base_url, path);
  request.headers = Identity(settings, account);
  request.headers.Add("Content-Type", content_type);
  request.headers.Add("Accept", "*/*");
  request.headers.Add("Referer", absl::StrCat(settings.base_url, "/"));
  return request;
}

std::string ScenarioOf(const Settings& settings, absl::string_view generation) {
  if (settings.chat_form) return "SCENARIO_CHAT";
  if (generation == "k3") return "SCENARIO_OK_COMPUTER";
  if (generation == "k1.5") return "SCENARIO_K1D5";
  return generation == "k2.6" ? settings.k26_scenario : "SCENARIO_K2D5";
}

json::object MessageOf(const ChatInput& input, const std::string& scenario) {
  json::array blocks;
  for (const std::string& file : input.files)
    blocks.push_back(json::object{{"message_id", ""}, {"file", json::object{{"id", file}}}});
  blocks.push_back(json::object{{"message_id", ""}, {"text", json::object{{"content", View(input.prompt)}}}});
  json::object message;
  if (input.after) message["parent_id"] = input.after->message;
  message["role"] = "user";
  message["blocks"] = std::move(blocks);
  message["scenario"] = scenario;
  return message;
}

// Source: protocol notes of Kimi, section 1.1. What "high" of the caller is to "low" and "high" of the platform is
// ours.
absl::string_view EffortOf(const ChatInput& input) {
  if (!input.thinking) return "REASONING_EFFORT_NONE";
  switch (input.effort) {
    case chat::v1::ReasoningOptions::EFFORT_MAX:
      return "REASONING_EFFORT_MAX";
    case chat::v1::ReasoningOptions::EFFORT_MEDIUM:
    case chat::v1::ReasoningOptions::EFFORT_HIGH:
      return "REASONING_EFFORT_HIGH";
    default:
      return "REASONING_EFFORT_LOW";
  }
}

}  // namespace

std::string MessageRef::ToString() const { return absl::StrCat(chat, "@", message); }

std::optional<MessageRef> MessageRef::Parse(absl::string_view text) {
  const size_t at = text.rfind('@');
  if (at == absl::string_view::npos || at == 0 || at + 1 == text.size()) return std::nullopt;
  MessageRef ref;
  ref.chat = std::string(text.substr(0, at));
  ref.message = std::string(text.substr(at + 1));
  return ref;
}

bool CanName(const Settings& settings, absl::string_view generation) {
  return !settings.chat_form || generation != "k1.5";
}

std::string ChatEnvelope(const Settings& settings, const ChatInput& input) {
  const std::string scenario = ScenarioOf(settings, input.generation);
  const bool agent = input.generation == "k3";
  json::array tools;
  if (input.search) tools.push_back(json::object{{"type", "TOOL_TYPE_SEARCH"}, {"search", json::object()}});
  json::object message = MessageOf(input, scenario);
  json::object options;
  options["thinking"] = input.thinking;
  json::object body;
  body["scenario"] = scenario;
  if (input.after) body["chat_id"] = input.after->chat;
  body["tools"] = std::move(tools);
  if (settings.chat_form) {
    message["is_goal"] = false;
    options["enable_plugin"] = true;
    options["reasoning_effort"] = View(EffortOf(input));
    options["model"] = agent ? "k3-agent" : "k2d6-chat";
    body["project_id"] = "";
  } else if (agent) {
    body["kimiplusId"] = "ok-computer";
  }
  body["message"] = std::move(message);
  body["options"] = std::move(options);
  return EncodeFrame(json::serialize(body));
}

HttpRequest Chat(const Settings& settings, const Account& account, const ChatInput& input) {
  HttpRequest request = Post(settings, account, kChat, "application/connect+json");
  if (input.after) request.headers.Set("Referer", absl::StrCat(settings.base_url, "/chat/", input.after->chat));
  request.body = ChatEnvelope(settings, input);
  return request;
}

HttpRequest ChatHandshake(const Settings& settings, const Account& account) {
  HttpRequest request;
  request.url = absl::StrCat(settings.base_url, settings.web_socket_path);
  request.headers = Identity(settings, account);
  return request;
}

HttpRequest DeleteChat(const Settings& settings, const Account& account, absl::string_view path,
                       absl::string_view chat) {
  HttpRequest request = Post(settings, account, path, "application/json");
  request.body = json::serialize(json::object{{"chat_id", View(chat)}});
  request.repeatable = true;
  return request;
}

HttpRequest Upload(const Settings& settings, const Account& account, const Attachment& attachment,
                   absl::string_view digits) {
  MultipartForm form(absl::StrCat("----WebKitFormBoundary", digits));
  form.AddFile("file", attachment.filename, attachment.media_type, attachment.bytes);
  HttpRequest request = Post(settings, account, kUpload, form.content_type());
  request.body = std::move(form).Finish();
  return request;
}

}  // namespace switchyard::kimi
