#include "services/metaso/requests.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/status/reason.h"
#include "services/common/text/views.h"

namespace switchyard::metaso {

namespace json = boost::json;

namespace {

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

/// Everything but letters, digits and "-._~" as %XX: a bare '+' would be read as a blank.
std::string PercentEncode(absl::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 0xF];
    }
  }
  return out;
}

void AddParameter(absl::string_view name, absl::string_view value, std::string& url) {
  absl::StrAppend(&url, absl::StrContains(url, '?') ? "&" : "?", name, "=", PercentEncode(value));
}

HttpRequest Start(const Settings& settings, const Account& account, absl::string_view method, absl::string_view path) {
  HttpRequest request;
  request.method = std::string(method);
  request.url = absl::StrCat(settings.base_url, path);
  request.headers.Add("User-Agent", settings.user_agent);
  request.headers.Add("Accept-Language", "zh-CN,zh;q=0.9");
  request.headers.Add("Cookie", account.token.Reveal());
  return request;
}

void AddFetchHeaders(HttpRequest& request, absl::string_view referer) {
  request.headers.Add("Origin", kOrigin);
  request.headers.Add("Referer", referer);
  request.headers.Add("Sec-Fetch-Dest", "empty");
  request.headers.Add("Sec-Fetch-Mode", "cors");
  request.headers.Add("Sec-Fetch-Site", "same-origin");
}

// Only some modes have a model of their own. Source: protocol notes, section 3.4.
json::value ChatModel(absl::string_view mode) {
  if (mode == "fast") return "fast_thinking";
  if (mode == "concise") return "concise";
  return nullptr;
}

}  // namespace

std::string MessageRef::ToString() const { return absl::StrCat(conversation, "@", message); }

std::optional<MessageRef> MessageRef::Parse(absl::string_view text) {
  const size_t at = text.find('@');
  if (at == absl::string_view::npos || at == 0 || at + 1 == text.size()) return std::nullopt;
  return MessageRef{std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

HttpRequest Page(const Settings& settings, const Account& account) {
  HttpRequest request = Start(settings, account, "GET", kPage);
  request.headers.Add("Accept", "text/html,application/xhtml+xml");
  request.headers.Add("Sec-Fetch-Dest", "document");
  request.headers.Add("Sec-Fetch-Mode", "navigate");
  request.headers.Add("Sec-Fetch-Site", "same-origin");
  request.headers.Add("Sec-Fetch-User", "?1");
  request.headers.Add("Upgrade-Insecure-Requests", "1");
  request.repeatable = true;
  return request;
}

HttpRequest MyInfo(const Settings& settings, const Account& account) {
  HttpRequest request = Start(settings, account, "GET", kMyInfo);
  AddFetchHeaders(request, absl::StrCat(kOrigin, "/"));
  request.headers.Add("Accept", "application/json, text/plain, */*");
  request.headers.Add("Is-Mini-Webview", "0");
  request.repeatable = true;
  return request;
}

HttpRequest CreateSession(const Settings& settings, const Account& account, const SearchPlan& plan,
                          const Secret& meta_token) {
  HttpRequest request = Start(settings, account, "POST", kSession);
  AddFetchHeaders(request, absl::StrCat(kOrigin, "/"));
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("Accept", "application/json, text/plain, */*");
  request.headers.Add("Token", meta_token.Reveal());
  request.headers.Add("Is-Mini-Webview", "0");
  json::object body;
  body["question"] = plan.question;
  body["mode"] = plan.mode;
  body["engineType"] = View(plan.engine_type());
  body["scholarSearchDomain"] = "all";
  request.body = json::serialize(body);
  return request;
}

absl::StatusOr<HttpRequest> Search(const Settings& settings, const Account& account, const SearchPlan& plan,
                                   const Secret& meta_token, absl::string_view session) {
  HttpRequest request = Start(settings, account, "GET", kSearch);
  const std::string referer = absl::StrCat(kOrigin, "/search/", session);
  AddFetchHeaders(request, referer);
  request.headers.Add("Accept", "text/event-stream");
  AddParameter("sessionId", session, request.url);
  AddParameter("question", plan.question, request.url);
  AddParameter("lang", "zh", request.url);
  AddParameter("mode", plan.mode, request.url);
  // The question inside the address is not encoded a second time.
  AddParameter("url", absl::StrCat(referer, "?newSearch=true&q=", plan.question), request.url);
  AddParameter("enableMix", "true", request.url);
  AddParameter("scholarSearchDomain", "all", request.url);
  AddParameter("expectedCurrentSessionSearchCount", "1", request.url);
  AddParameter("is-mini-webview", "0", request.url);
  AddParameter("token", meta_token.Reveal(), request.url);
  if (request.url.size() > kMaxUrl)
    return MakeError(Reason::REASON_CONTEXT_TOO_LONG, "messages: the question is longer than metaso takes",
                     {.field = "messages", .cause = "url_length"});
  return request;
}

HttpRequest SearchChat(const Settings& settings, const Account& account, const Secret& meta_token,
                       const ChatInput& input) {
  HttpRequest request = Start(settings, account, "POST", kChat);
  AddFetchHeaders(request, absl::StrCat(kOrigin, "/"));
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("Accept", "text/event-stream");
  request.headers.Add("metaso-pc", "pc");
  const absl::string_view engine =
      !input.plan.scholar && settings.name_whole_web ? absl::string_view("quanwang") : input.plan.engine_type();
  json::object shared{{"engineType", View(engine)}, {"mode", input.plan.mode}, {"filter", "all"},
                      {"outputHtml", false},        {"outputStyle", "正常"},   {"model", ChatModel(input.plan.mode)}};
  json::object message = shared;
  const std::string key = absl::StrCat("temp-", input.message_key);
  message["id"] = key;
  message["key"] = key;
  message["conversationId"] = input.before ? input.before->conversation : absl::StrCat("temp-", input.conversation_key);
  message["role"] = "user";
  message["content"] = input.plan.question;
  message["markdownContent"] = input.plan.question;
  message["contentType"] = 0;
  if (input.before) message["parentId"] = input.before->message;

  json::object body = std::move(shared);
  body["stream"] = true;
  body["messages"] = json::array{std::move(message)};
  body["darkMode"] = false;
  body["outputLanguage"] = "中文";
  body["htmlNoDisplayEnable"] = true;
  body["displayContent"] = input.plan.question;
  body["metaso-pc"] = "pc";
  body["token"] = meta_token.Reveal();
  if (input.before) {
    body["conversationId"] = input.before->conversation;
    if (settings.continue_by_leaf) {
      body["id"] = input.before->message;
      body["currentLeafId"] = input.before->message;
    } else {
      body["parentMessageId"] = input.before->message;
    }
  }
  request.body = json::serialize(body);
  return request;
}

}  // namespace switchyard::metaso
