#include "services/session/refreshers/deepseek.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "boost/json/value.hpp"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr size_t kMaxAnswer = 256 * 1024;

// The page stores {"value":"<token>", …}; people paste that whole, or the text of a JSON string that holds it.
std::string Unwrap(std::string text, std::string& advice) {
  for (int depth = 0; depth < 3; ++depth) {
    auto value = ParseJson(text);
    if (!value.ok()) break;
    if (const json::value* inner = FindMember(*value, {"value"}); inner != nullptr && inner->is_string()) {
      text = std::string(ToAbsl(inner->get_string()));
      advice = "The value holds more than the token; the token alone is enough.";
    } else if (value->is_string()) {
      text = std::string(ToAbsl(value->get_string()));
      advice = "The quotes do not belong to the token; they were left out.";
    } else {
      break;
    }
  }
  return text;
}

// The result of the outer envelope or of the inner one; -1 where there is none.
int64_t Code(const json::value* value) { return value != nullptr && value->is_int64() ? value->get_int64() : -1; }

// In any of three places. Source: protocol notes, section 2.5.
std::optional<absl::Time> MuteEnd(const json::value& data) {
  const json::value* until = FindMember(data, {"biz_data", "chat", "mute_until"});
  if (until == nullptr) until = FindMember(data, {"biz_data", "user", "chat", "mute_until"});
  if (until == nullptr) until = FindMember(data, {"biz_data", "mute_until"});
  return JsonTime(until);
}

absl::Status ExpiredError() {
  return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "deepseek no longer accepts the token");
}
absl::Status LimitedError() { return MakeError(Reason::REASON_RATE_LIMITED, "deepseek limits the rate of requests"); }
absl::Status ChangedError() {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, "deepseek's answer to the check was not understood");
}

bool IsTokenCode(int64_t code) { return code >= 40001 && code <= 40003; }

}  // namespace

absl::StatusOr<NormalCredential> DeepSeekRefresher::Normalise(const Secret& configured) const {
  std::string advice;
  std::string text = Unwrap(std::string(absl::StripAsciiWhitespace(configured.Reveal())), advice);
  if (text.size() > 2 && text.front() == '\'' && text.back() == '\'') {
    text = text.substr(1, text.size() - 2);
    advice = "The quotes do not belong to the token; they were left out.";
  }
  if (absl::StartsWithIgnoreCase(text, "bearer ")) {
    text = std::string(absl::StripAsciiWhitespace(absl::string_view(text).substr(7)));
    advice = "The word Bearer does not belong to the token; it was left out.";
  }
  if (text.empty() || text.size() > 4096)
    return absl::InvalidArgumentError("a DeepSeek token is about 64 characters long");
  const bool visible = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > 0x20 && c < 0x7F && c != '"' && c != '\'' && c != '{' && c != '}' && c != ';';
  });
  if (!visible) return absl::InvalidArgumentError("a DeepSeek token has no spaces, quotes or line breaks in it");
  return NormalCredential{Secret(std::move(text)), std::move(advice)};
}

absl::Status ReadCurrentUser(int http_status, absl::string_view content_type, absl::string_view body) {
  const bool is_json = absl::StrContains(content_type, "json");
  if (http_status == 401 || (http_status == 403 && is_json)) return ExpiredError();
  if (http_status == 202 || http_status == 403)
    return MakeError(Reason::REASON_CLIENT_REFUSED, "deepseek refuses this address or client", {.cause = "waf"});
  if (http_status == 429) return LimitedError();
  if (http_status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("deepseek answered with status ", http_status));
  auto root = ParseJson(body);
  if (http_status != 200 || !root.ok()) return ChangedError();
  const int64_t code = Code(FindMember(*root, {"code"}));
  if (IsTokenCode(code)) return ExpiredError();
  if (code == 1001 || code == 1201) return LimitedError();
  const json::value* data = FindMember(*root, {"data"});
  if (code != 0 || data == nullptr) return ChangedError();
  const int64_t biz = Code(FindMember(*data, {"biz_code"}));
  if (IsTokenCode(biz)) return ExpiredError();
  if (biz == 10) return MakeError(Reason::REASON_ACCOUNT_BANNED, "deepseek has banned the account");
  if (biz == 11) return MakeError(Reason::REASON_CLIENT_REFUSED, "deepseek refuses this device");
  const bool muted = biz == 5 || Code(FindMember(*data, {"biz_data", "chat", "is_muted"})) == 1;
  if (muted)
    return MakeError(Reason::REASON_ACCOUNT_MUTED, "deepseek has muted the account", {.until = MuteEnd(*data)});
  const json::value* user = FindMember(*data, {"biz_data"});
  if (biz != 0 || user == nullptr || !user->is_object()) return ChangedError();
  return absl::OkStatus();
}

boost::asio::awaitable<absl::Status> DeepSeekRefresher::Check(Scope& scope, Secret token, Identity) const {
  HttpRequest request;
  request.url = config_.base_url + "/api/v0/users/current";
  request.repeatable = true;
  request.headers.Add("User-Agent", config_.Option("user_agent"));
  request.headers.Add("Authorization", absl::StrCat("Bearer ", token.Reveal()));
  request.headers.Add("Accept", "*/*");
  request.headers.Add("x-client-platform", config_.Option("client_platform"));
  request.headers.Add("x-client-version", config_.Option("client_version"));
  request.headers.Add("x-client-locale", config_.Option("locale"));
  auto response = co_await http_.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  auto body = co_await (*response)->ReadAll(scope, kMaxAnswer);
  if (!body.ok()) co_return body.status();
  co_return ReadCurrentUser((*response)->status(), (*response)->headers().Get("content-type"), *body);
}

}  // namespace switchyard
