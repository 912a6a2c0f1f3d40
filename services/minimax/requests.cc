#include "services/minimax/requests.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"

namespace switchyard::minimax {

namespace json = boost::json;

namespace {

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

// Form encoding, as a browser's URLSearchParams has it.
void AppendEncoded(std::string& out, absl::string_view value) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ' ') {
      out += '+';
    } else if (absl::ascii_isalnum(byte) || c == '*' || c == '-' || c == '.' || c == '_') {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
}

/// The query that every call has, in the order of the site's own client.
std::string Query(const Settings& settings, const Login& login, int64_t time_ms, absl::string_view before) {
  const std::string unix_ms = absl::StrCat(time_ms);
  const std::array<std::pair<absl::string_view, absl::string_view>, 20> parameters = {{
      {"device_platform", "web"},
      {"biz_id", "3"},
      {"app_id", "3001"},
      {"version_code", "22201"},
      {"unix", unix_ms},
      {"timezone_offset", "28800"},
      {"lang", "zh"},
      {"uuid", login.uuid},
      {"device_id", login.device_id},
      {"os_name", settings.os_name},
      {"browser_name", "chrome"},
      {"device_memory", "8"},
      {"cpu_core_num", "32"},
      {"browser_language", "zh-CN"},
      {"browser_platform", settings.browser_platform},
      {"user_id", login.user_id},
      {"screen_width", "1600"},
      {"screen_height", "1000"},
      {"token", login.jwt.Reveal()},
      {"client", "web"},
  }};
  std::string query(before);
  for (const auto& [name, value] : parameters) {
    absl::StrAppend(&query, query.empty() ? "?" : "&", name, "=");
    AppendEncoded(query, value);
  }
  if (settings.agent) absl::StrAppend(&query, "&region=cn");
  return query;
}

/// Path and query of an absolute URL: what stands in the request line.
absl::string_view TargetOf(absl::string_view url) {
  const size_t authority = url.find("://");
  const size_t path = authority == absl::string_view::npos ? absl::string_view::npos : url.find('/', authority + 3);
  return path == absl::string_view::npos ? absl::string_view("/") : url.substr(path);
}

absl::string_view OriginOf(absl::string_view url) { return url.substr(0, url.size() - TargetOf(url).size()); }

SignedParts Call(const Settings& settings, const Login& login, absl::Time now, absl::string_view method,
                 absl::string_view path, std::string body, absl::string_view parameters = "") {
  // The site's client rounds to whole seconds, so the three places that name the time cannot differ.
  const int64_t time_ms = absl::ToUnixSeconds(now) * 1000;
  SignedParts parts;
  HttpRequest& request = parts.request;
  request.method = std::string(method);
  request.url = absl::StrCat(settings.base_url, path, Query(settings, login, time_ms, parameters));
  request.body = std::move(body);
  const std::string origin(OriginOf(absl::StrCat(settings.base_url, "/")));
  request.headers.Add("User-Agent", settings.user_agent);
  request.headers.Add("Accept", "application/json, text/plain, */*");
  request.headers.Add("Accept-Language", "zh-CN,zh;q=0.9");
  request.headers.Add("Origin", origin);
  request.headers.Add("Referer", absl::StrCat(origin, "/"));
  request.headers.Add("token", login.jwt.Reveal());
  if (!request.body.empty()) request.headers.Add("Content-Type", "application/json");
  parts.to_sign.set_time_ms(time_ms);
  parts.to_sign.set_target(std::string(TargetOf(request.url)));
  parts.to_sign.set_body(request.body);
  return parts;
}

SignedParts Post(const Settings& settings, const Login& login, absl::Time now, absl::string_view path,
                 const json::object& body) {
  return Call(settings, login, now, "POST", path, json::serialize(body));
}

json::value IdValue(const ChatId& id) {
  int64_t number = 0;
  if (!id.text && absl::SimpleAtoi(id.digits, &number)) return number;
  return json::value(id.digits);
}

}  // namespace

HttpRequest Signed(SignedParts parts, const signing::v1::MiniMaxSignatureResult& signature) {
  parts.request.headers.Add("x-timestamp", signature.x_timestamp());
  parts.request.headers.Add("x-signature", signature.x_signature());
  parts.request.headers.Add("yy", signature.yy());
  return std::move(parts.request);
}

std::optional<ChatId> ChatId::Parse(absl::string_view text) {
  ChatId id;
  id.text = absl::ConsumeSuffix(&text, "s");
  id.digits = std::string(text);
  const bool digits = std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
  if (text.empty() || text.size() > 19 || !digits) return std::nullopt;
  return id;
}

std::optional<int> ModelType(absl::string_view display_name) {
  if (display_name == "Auto") return 0;
  if (display_name == "MiniMax-M2.5") return 501;
  if (display_name == "MiniMax-M2.7") return 502;
  return std::nullopt;
}

SignedParts ListAgents(const Settings& settings, const Login& login, absl::Time now) {
  SignedParts parts =
      Call(settings, login, now, "GET", absl::StrCat(settings.agent_prefix, "/v1/agent"), "", "?limit=100");
  parts.request.repeatable = true;
  return parts;
}

SignedParts OpenSession(const Settings& settings, const Login& login, absl::Time now, absl::string_view agent,
                        absl::string_view model_id) {
  json::object body;
  body["model"] = absl::StrCat("minimax/", model_id);
  return Post(settings, login, now, absl::StrCat(settings.agent_prefix, "/v1/agent/", agent, "/session"), body);
}

SignedParts SayInSession(const Settings& settings, const Login& login, absl::Time now, const TurnInput& input) {
  json::object model;
  model["provider_id"] = "minimax";
  model["model_id"] = input.model_id;
  model["variant"] = input.thinking ? "thinking" : "";
  json::object body;
  body["content"] = View(input.prompt);
  body["model"] = std::move(model);
  body["turn_id"] = input.turn_id;
  body["enable_team"] = false;
  body["worktreeMode"] = false;
  body["attachments"] = json::array();
  Settings streaming = settings;
  streaming.base_url = settings.agent_stream_url;
  SignedParts parts =
      Post(streaming, login, now, absl::StrCat(settings.agent_prefix, "/v1/session/", input.session, "/message"), body);
  const std::string origin(OriginOf(absl::StrCat(settings.base_url, "/")));
  parts.request.headers.Set("Accept", "text/event-stream");
  parts.request.headers.Set("Origin", origin);
  parts.request.headers.Set("Referer", absl::StrCat(origin, "/"));
  parts.to_sign.set_target(parts.request.url);
  return parts;
}

std::string AgentModel(absl::string_view display_name) {
  return display_name == "Auto" ? "MiniMax-M3" : std::string(display_name);
}

bool IsPathId(absl::string_view text) {
  constexpr size_t kLongest = 128;
  return !text.empty() && text.size() <= kLongest && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_';
  });
}

SignedParts UserInfo(const Settings& settings, const Login& login, absl::Time now) {
  SignedParts parts = Call(settings, login, now, "GET", kUserInfo, "");
  parts.request.repeatable = true;
  return parts;
}

SignedParts Renewal(const Settings& settings, const Login& login, absl::Time now) {
  return Post(settings, login, now, kRenewal, {});
}

SignedParts SendMessage(const Settings& settings, const Login& login, absl::Time now, const MessageInput& input) {
  json::object body;
  body["msg_type"] = 1;
  body["text"] = View(input.prompt);
  body["chat_type"] = settings.chat_type;
  body["attachments"] = json::array();
  body["selected_mcp_tools"] = json::array();
  body["sub_agent_ids"] = json::array();
  if (const auto type = ModelType(input.model)) {
    json::object option;
    option["display_name"] = View(input.model);
    option["model_type"] = *type;
    body["model_option"] = std::move(option);
  }
  if (input.chat_id) body["chat_id"] = IdValue(*input.chat_id);
  return Post(settings, login, now, kSendMessage, body);
}

SignedParts ChatDetail(const Settings& settings, const Login& login, absl::Time now, const ChatId& chat) {
  constexpr int kMessages = 500;
  json::object body;
  body["chat_id"] = IdValue(chat);
  body["size"] = kMessages;
  body["desc"] = true;
  SignedParts parts = Post(settings, login, now, kChatDetail, body);
  parts.request.repeatable = true;
  return parts;
}

SignedParts DeleteChat(const Settings& settings, const Login& login, absl::Time now, const ChatId& chat) {
  json::object body;
  body["chat_id"] = IdValue(chat);
  SignedParts parts = Post(settings, login, now, kDeleteChat, body);
  parts.request.repeatable = true;
  return parts;
}

bool CanChooseThinking(absl::string_view model_id) { return model_id == "MiniMax-M3"; }

}  // namespace switchyard::minimax
