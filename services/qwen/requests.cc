#include "services/qwen/requests.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"

namespace switchyard::qwen {

namespace json = boost::json;

namespace {

constexpr absl::string_view kThinkingCode = "Qwen3-Max-Thinking-Preview";
constexpr absl::string_view kMaxCode = "Qwen3-Max";
// Ids are 32 hex digits today.
constexpr size_t kLongestId = 64;

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

bool IsId(absl::string_view text) {
  return !text.empty() && text.size() <= kLongestId &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isalnum(c); });
}

HttpRequest Post(const Settings& settings, const QwenCookie& login, absl::string_view path, absl::string_view accept,
                 const json::object& body) {
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(settings.base_url, path);
  request.headers.Add("User-Agent", settings.user_agent);
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("Accept", accept);
  request.headers.Add("Accept-Language", "zh-CN,zh;q=0.9");
  request.headers.Add("Cookie", login.Header());
  request.headers.Add("X-Platform", "pc_tongyi");
  if (login.xsrf) request.headers.Add("X-Xsrf-Token", *login.xsrf);
  request.headers.Add("Origin", kOrigin);
  request.headers.Add("Referer", absl::StrCat(kOrigin, "/"));
  request.body = json::serialize(body);
  return request;
}

}  // namespace

std::string MessageRef::ToString() const { return absl::StrCat(session, "-", message); }

std::optional<MessageRef> MessageRef::Parse(absl::string_view text) {
  const size_t dash = text.find('-');
  if (dash == absl::string_view::npos) return std::nullopt;
  const absl::string_view session = text.substr(0, dash), message = text.substr(dash + 1);
  if (!IsId(session) || !IsId(message)) return std::nullopt;
  return MessageRef{std::string(session), std::string(message)};
}

absl::string_view ModelCode(absl::string_view upstream, bool thinking) {
  if (upstream == kMaxCode && thinking) return kThinkingCode;
  if (upstream == kThinkingCode && !thinking) return kMaxCode;
  return upstream;
}

HttpRequest Conversation(const Settings& settings, const QwenCookie& login, const ConversationInput& input) {
  // The platform reads the first text of a request only.
  json::object text;
  text["contentType"] = "text";
  text["content"] = View(input.prompt);
  text["role"] = "user";
  json::array contents;
  contents.push_back(std::move(text));
  json::object body;
  body["action"] = "next";
  body["mode"] = "chat";
  body["userAction"] = "chat";
  body["model"] = View(input.model);
  body["requestId"] = input.request_id;
  body["sessionId"] = input.before ? input.before->session : std::string();
  body["sessionType"] = "text_chat";
  body["parentMsgId"] = input.before ? input.before->message : std::string("0");
  body["contents"] = std::move(contents);
  return Post(settings, login, kConversation, "text/event-stream", body);
}

HttpRequest DeleteSession(const Settings& settings, const QwenCookie& login, absl::string_view session) {
  json::object body;
  body["sessionId"] = View(session);
  HttpRequest request = Post(settings, login, kDeleteSession, "application/json, text/plain, */*", body);
  request.repeatable = true;
  return request;
}

}  // namespace switchyard::qwen
