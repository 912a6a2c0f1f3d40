#include "services/session/refreshers/metaso.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "boost/json/value.hpp"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr size_t kMaxAnswer = 256 * 1024;
constexpr size_t kMaxCredential = 8 * 1024;

constexpr char kForm[] = "a Metaso credential is uid-sid: the cookies uid and sid of metaso.cn with one dash between";

std::string TextOf(const json::value* value) { return std::string(JsonText(value)); }

/// A browser's export of cookies, or {"uid": …, "sid": …}, as the text of a Cookie header; "" if it is neither.
std::string CookiesOfJson(const json::value& value) {
  if (value.is_string()) return std::string(ToAbsl(value.get_string()));
  std::string uid = TextOf(FindMember(value, {"uid"})), sid = TextOf(FindMember(value, {"sid"}));
  if (value.is_array()) {
    for (const json::value& cookie : value.get_array()) {
      const std::string name = TextOf(FindMember(cookie, {"name"}));
      if (name == "uid") uid = TextOf(FindMember(cookie, {"value"}));
      if (name == "sid") sid = TextOf(FindMember(cookie, {"value"}));
    }
  }
  return uid.empty() || sid.empty() ? "" : absl::StrCat("uid=", uid, "; sid=", sid);
}

bool IsPlain(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isalnum(c); });
}

/// "uid=…; sid=…; other=…": other cookies go along, of two with one name the last counts.
absl::StatusOr<std::string> FromCookies(absl::string_view text) {
  std::string uid, sid, others;
  for (absl::string_view pair : absl::StrSplit(text, ';')) {
    pair = absl::StripAsciiWhitespace(pair);
    const std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(pair, absl::MaxSplits('=', 1));
    if (halves.first == "uid") {
      uid = std::string(halves.second);
    } else if (halves.first == "sid") {
      sid = std::string(halves.second);
    } else if (!pair.empty()) {
      absl::StrAppend(&others, "; ", pair);
    }
  }
  if (uid.empty() || sid.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("these are cookies, but not both uid and sid are among them: log in on metaso.cn first; ", kForm));
  if (!IsPlain(uid) || !IsPlain(sid))
    return absl::InvalidArgumentError("the cookies uid and sid of Metaso hold letters and digits alone");
  return absl::StrCat("uid=", uid, "; sid=", sid, others);
}

absl::StatusOr<std::string> FromPair(absl::string_view text) {
  const std::vector<absl::string_view> halves = absl::StrSplit(text, '-');
  if (halves.size() == 1)
    return absl::InvalidArgumentError(
        absl::StrCat("there is no dash in it, so one of two cookies is missing; ", kForm));
  if (halves.size() > 2) return absl::InvalidArgumentError(absl::StrCat("there is more than one dash in it; ", kForm));
  if (!IsPlain(halves[0]) || !IsPlain(halves[1]))
    return absl::InvalidArgumentError(absl::StrCat("one side of the dash is empty or no cookie; ", kForm));
  return absl::StrCat("uid=", halves[0], "; sid=", halves[1]);
}

absl::Status ChallengeError() {
  return MakeError(Reason::REASON_CAPTCHA_PENDING, "metaso wants a human to pass a check", {.cause = "html"});
}
absl::Status ExpiredError() {
  return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "metaso no longer accepts the account's login");
}
absl::Status ChangedError() {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, "metaso's answer to the check was not understood");
}

}  // namespace

absl::StatusOr<NormalCredential> MetasoRefresher::Normalise(const Secret& configured) const {
  std::string advice;
  std::string text(absl::StripAsciiWhitespace(configured.Reveal()));
  if (text.empty() || text.size() > kMaxCredential) return absl::InvalidArgumentError(kForm);
  if (text.front() == '{' || text.front() == '[' || text.front() == '"') {
    auto value = ParseJson(text);
    const std::string cookies = value.ok() ? CookiesOfJson(*value) : std::string();
    if (cookies.empty())
      return absl::InvalidArgumentError(absl::StrCat("this is JSON without the cookies uid and sid; ", kForm));
    text = std::string(absl::StripAsciiWhitespace(cookies));
    advice = "The value was JSON; the cookies uid and sid were taken out of it.";
  }
  if (text.size() > 2 && text.front() == '\'' && text.back() == '\'') {
    text = text.substr(1, text.size() - 2);
    advice = "The quotes do not belong to the value; they were left out.";
  }
  absl::string_view rest = text;
  if (absl::StartsWithIgnoreCase(rest, "cookie:")) rest = absl::StripAsciiWhitespace(rest.substr(7));
  if (absl::StartsWithIgnoreCase(rest, "bearer ")) {
    rest = absl::StripAsciiWhitespace(rest.substr(7));
    advice = "The word Bearer does not belong to the value; it was left out.";
  }
  const bool visible = std::all_of(rest.begin(), rest.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
  if (!visible)
    return absl::InvalidArgumentError(
        absl::StrCat("there are line breaks or other characters in it that no cookie has; ", kForm));
  auto cookies = absl::StrContains(rest, '=') ? FromCookies(rest) : FromPair(rest);
  if (!cookies.ok()) return cookies.status();
  return NormalCredential{Secret(*std::move(cookies)), std::move(advice)};
}

absl::Status ReadMyInfo(int http_status, absl::string_view content_type, absl::string_view body) {
  if (http_status == 401 || (http_status >= 300 && http_status < 400)) return ExpiredError();
  if (http_status == 403) return ChallengeError();
  if (http_status == 429)
    return MakeError(Reason::REASON_RATE_LIMITED, "metaso limits the rate of requests",
                     {.retry_after = absl::Seconds(120)});
  if (http_status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("metaso answered with status ", http_status));
  if (absl::StrContains(content_type, "html") || absl::StartsWith(absl::StripLeadingAsciiWhitespace(body), "<"))
    return ChallengeError();
  auto root = ParseJson(body);
  if (http_status != 200 || !root.ok() || !root->is_object()) return ChangedError();
  const auto code = JsonWhole(FindMember(*root, {"errCode"}));
  if (code && *code == 401) return ExpiredError();
  if (code && *code == 429)
    return MakeError(Reason::REASON_RATE_LIMITED, "metaso limits the rate of requests",
                     {.retry_after = absl::Seconds(120)});
  if (code && *code != 0) return ChangedError();
  const json::value* data = FindMember(*root, {"data"});
  if (data == nullptr) return ChangedError();
  const json::value* user = FindMember(*data, {"user"});
  return user != nullptr && user->is_object() ? absl::OkStatus() : ExpiredError();
}

boost::asio::awaitable<absl::Status> MetasoRefresher::Check(Scope& scope, Secret token, Identity) const {
  HttpRequest request;
  request.url = config_.base_url + "/api/my-info";
  request.repeatable = true;
  request.headers.Add("User-Agent", config_.Option("user_agent"));
  request.headers.Add("Cookie", token.Reveal());
  request.headers.Add("Accept", "application/json, text/plain, */*");
  request.headers.Add("Is-Mini-Webview", "0");
  auto response = co_await http_.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  auto body = co_await (*response)->ReadAll(scope, kMaxAnswer);
  if (!body.ok()) co_return body.status();
  co_return ReadMyInfo((*response)->status(), (*response)->headers().Get("content-type"), *body);
}

}  // namespace switchyard
