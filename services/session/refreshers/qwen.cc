#include "services/session/refreshers/qwen.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "boost/json/value.hpp"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/session/refreshers/qwen_cookie.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr size_t kMaxAnswer = 1024 * 1024;
constexpr size_t kLongestCredential = 16 * 1024;
constexpr char kDialogUrl[] = "https://qianwen.biz.aliyun.com";
constexpr char kChat2ApiUrl[] = "https://chat2-api.qianwen.com";
constexpr char kOrigin[] = "https://www.qianwen.com";

/// Cookies as a browser's extension exports them: {"name": "value"}, or [{"name": …, "value": …}].
std::string CookiesOf(const json::value& value) {
  std::string text;
  const auto add = [&](absl::string_view name, absl::string_view content) {
    if (!name.empty()) absl::StrAppend(&text, text.empty() ? "" : "; ", name, "=", content, ";");
  };
  if (const json::array* list = value.if_array()) {
    for (const json::value& cookie : *list)
      add(JsonText(FindMember(cookie, {"name"})), JsonText(FindMember(cookie, {"value"})));
  } else if (const json::object* object = value.if_object()) {
    for (const auto& member : *object) {
      if (member.value().is_string())
        add(absl::string_view(member.key().data(), member.key().size()), JsonText(&member.value()));
    }
  }
  return text;
}

absl::Status Expired() {
  return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "qwen no longer accepts the login: sign in again and replace it");
}
absl::Status Limited() { return MakeError(Reason::REASON_RATE_LIMITED, "qwen limits the rate of requests"); }
absl::Status Changed() {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, "qwen's answer to the check was not understood");
}

bool HasChallenge(absl::string_view body) {
  return absl::StrContains(body, "FAIL_SYS_USER_VALIDATE") || absl::StrContains(body, "RGV587_ERROR") ||
         absl::StrContains(body, "rgv587_flag") || absl::StrContains(body, "aliyun_waf");
}

}  // namespace

absl::StatusOr<NormalCredential> QwenRefresher::Normalise(const Secret& configured) const {
  std::string advice;
  std::string text(absl::StripAsciiWhitespace(configured.Reveal()));
  if (text.size() > kLongestCredential) return absl::InvalidArgumentError("a Qwen login is shorter than this");
  if (text.size() > 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front()) {
    text = text.substr(1, text.size() - 2);
    advice = "The quotes do not belong to the login; they were left out.";
  }
  if (absl::StartsWithIgnoreCase(text, "bearer ")) {
    text = std::string(absl::StripAsciiWhitespace(absl::string_view(text).substr(7)));
    advice = "The word Bearer does not belong to the login; it was left out.";
  }
  if (absl::StartsWith(text, "{") || absl::StartsWith(text, "[")) {
    auto value = ParseJson(text);
    if (!value.ok()) return absl::InvalidArgumentError("it looks like JSON and is none: paste the cookies themselves");
    text = CookiesOf(*value);
    advice = "The value is JSON; the cookies were taken out of it.";
  }
  if (absl::StartsWith(text, "eyJ") && !absl::StrContains(text, ';')) {
    return absl::InvalidArgumentError(
        "this is a web token (JWT), such as chat.qwen.ai has: the cookies of www.qianwen.com are needed");
  }
  auto login = ParseQwenCookie(text);
  if (!login.ok()) return login.status();
  return NormalCredential{Secret(login->Header()), std::move(advice)};
}

Identity QwenRefresher::MakeIdentity(const Secret& credential) const {
  const auto login = ParseQwenCookie(credential.Reveal());
  if (login.ok()) {
    for (const auto& [name, value] : login->cookies) {
      if (name == "b-user-id" && value.size() == 36) return {{"device_id", value}};
    }
  }
  return {{"device_id", random_.NextUuid()}};
}

absl::Status ReadSessionList(int http_status, absl::string_view content_type, absl::string_view body, bool newer) {
  if (HasChallenge(body))
    return MakeError(Reason::REASON_CAPTCHA_PENDING, "qwen wants a human: solve the puzzle on its site");
  if (http_status == 429) return Limited();
  if (http_status == 401 || (http_status >= 300 && http_status < 400)) return Expired();
  if (http_status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("qwen answered with status ", http_status));
  auto root = ParseJson(body);
  const std::string code =
      root.ok() ? absl::StrReplaceAll(JsonText(FindMember(*root, {"errorCode"})), {{" ", "_"}}) : std::string();
  if (code == "NOT_LOGIN" || code == "LOGIN_TICKET_INVALID") return Expired();
  if (code == "RateLimited") return Limited();
  if (http_status == 403) return MakeError(Reason::REASON_CLIENT_REFUSED, "qwen refuses this address or client");
  if (newer && (http_status == 404 || absl::StrContains(content_type, "html")))
    return MakeError(Reason::REASON_CLIENT_REFUSED, "qwen refuses this address or client");
  if (http_status == 200 && absl::StrContains(content_type, "html")) return Expired();
  if (http_status != 200 || !root.ok()) return Changed();
  const json::value* success = FindMember(*root, {"success"});
  if (success != nullptr && success->is_bool() && !success->get_bool()) return newer ? Expired() : Changed();
  if (newer) return success != nullptr && success->is_bool() ? absl::OkStatus() : Changed();
  const json::value* data = FindMember(*root, {"data"});
  return data != nullptr && data->is_array() ? absl::OkStatus() : Changed();
}

boost::asio::awaitable<absl::Status> QwenRefresher::Check(Scope& scope, Secret token, Identity identity) const {
  auto login = ParseQwenCookie(token.Reveal());
  if (!login.ok()) co_return login.status();
  HttpRequest request;
  request.method = "POST";
  const bool newer = config_.dialect == "b";
  request.url = config_.base_url + "/dialog/session/list";
  if (newer) {
    const std::string api = config_.base_url == kDialogUrl ? std::string(kChat2ApiUrl) : config_.base_url;
    request.url = absl::StrCat(
        api,
        "/api/v2/session/page/list?biz_id=ai_qwen&chat_client=h5&device=pc&fr=pc&pr=qwen&ut=", identity["device_id"]);
    request.headers.Add("X-DeviceId", identity["device_id"]);
  }
  request.repeatable = true;
  request.body = "{}";
  request.headers.Add("User-Agent", config_.Option("user_agent"));
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("Accept", "application/json, text/plain, */*");
  request.headers.Add("Accept-Language", "zh-CN,zh;q=0.9");
  request.headers.Add("Cookie", login->Header());
  request.headers.Add("X-Platform", "pc_tongyi");
  if (login->xsrf) request.headers.Add("X-Xsrf-Token", *login->xsrf);
  request.headers.Add("Origin", kOrigin);
  request.headers.Add("Referer", absl::StrCat(kOrigin, "/"));
  auto response = co_await http_.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  auto body = co_await (*response)->ReadAll(scope, kMaxAnswer);
  if (!body.ok()) co_return body.status();
  co_return ReadSessionList((*response)->status(), (*response)->headers().Get("content-type"), *body, newer);
}

}  // namespace switchyard
