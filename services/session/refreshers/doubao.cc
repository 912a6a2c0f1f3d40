#include "services/session/refreshers/doubao.h"

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
constexpr size_t kMaxCredential = 16 * 1024;
constexpr size_t kSessionDigits = 32;
constexpr absl::string_view kSession = "sessionid";
constexpr absl::string_view kTwin = "sessionid_ss";
constexpr absl::string_view kFingerprintCookie = "s_v_web_id";
constexpr char kOrigin[] = "https://www.doubao.com";

using Cookies = std::vector<std::pair<std::string, std::string>>;

std::string* FindCookie(Cookies& cookies, absl::string_view name) {
  for (auto& [known, value] : cookies) {
    if (ToAbsl(known) == name) return &value;
  }
  return nullptr;
}

/// In their order; of a name that comes twice, the last value.
Cookies ParseCookies(absl::string_view text) {
  Cookies cookies;
  for (const absl::string_view part : absl::StrSplit(text, ';')) {
    const size_t equals = part.find('=');
    if (equals == absl::string_view::npos) continue;
    const std::string name(absl::StripAsciiWhitespace(part.substr(0, equals)));
    std::string value(absl::StripAsciiWhitespace(part.substr(equals + 1)));
    if (name.empty()) continue;
    if (std::string* known = FindCookie(cookies, name)) {
      *known = std::move(value);
    } else {
      cookies.emplace_back(name, std::move(value));
    }
  }
  return cookies;
}

/// Lower case; empty if it is no session id.
std::string SessionId(absl::string_view text) {
  const bool fits = text.size() == kSessionDigits &&
                    std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
  return fits ? absl::AsciiStrToLower(text) : std::string();
}

/// Browsers' tools export cookies as JSON: a list of {"name", "value"}, or an object of names.
std::string CookiesOfJson(const json::value& value) {
  std::string text;
  if (const json::array* list = value.if_array()) {
    for (const json::value& cookie : *list) {
      const absl::string_view name = JsonText(FindMember(cookie, {"name"}));
      if (!name.empty()) absl::StrAppend(&text, name, "=", JsonText(FindMember(cookie, {"value"})), ";");
    }
  } else if (const json::object* object = value.if_object()) {
    for (const auto& member : *object) {
      if (member.value().is_string()) absl::StrAppend(&text, ToAbsl(member.key()), "=", JsonText(&member.value()), ";");
    }
  }
  return text;
}

void DropQuotes(std::string& text, std::string& advice) {
  if (text.size() < 2 || text.front() != text.back() || (text.front() != '"' && text.front() != '\'')) return;
  text = std::string(absl::StripAsciiWhitespace(absl::string_view(text).substr(1, text.size() - 2)));
  advice = "The quotes do not belong to the session; they were left out.";
}

void DropWord(absl::string_view word, std::string& text, std::string& advice) {
  if (!absl::StartsWithIgnoreCase(text, word)) return;
  text = std::string(absl::StripAsciiWhitespace(absl::string_view(text).substr(word.size())));
  advice =
      absl::StrCat("The word ", absl::StripAsciiWhitespace(word), " does not belong to the session; it was left out.");
}

absl::Status Refused(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      why, "; what is wanted is the cookie sessionid of www.doubao.com: 32 hex digits, alone or in a cookie string"));
}

absl::StatusOr<NormalCredential> FromCookies(absl::string_view text, std::string advice) {
  Cookies cookies = ParseCookies(text);
  const std::string* session = FindCookie(cookies, kSession);
  if (session == nullptr) session = FindCookie(cookies, kTwin);
  if (session == nullptr) {
    return FindCookie(cookies, kFingerprintCookie) == nullptr
               ? Refused("there is no sessionid among these cookies: they are of a page that is not signed in")
               : Refused("s_v_web_id names a browser and is no login");
  }
  const std::string id = SessionId(*session);
  if (id.empty()) return Refused("the sessionid among these cookies is not 32 hex digits long");
  const std::string* twin = FindCookie(cookies, kTwin);
  if (twin != nullptr && SessionId(*twin) != id)
    advice = "sessionid_ss was not the same as sessionid and was replaced.";
  std::string value = absl::StrCat(kSession, "=", id, "; ", kTwin, "=", id);
  for (const auto& [name, content] : cookies) {
    if (ToAbsl(name) != kSession && ToAbsl(name) != kTwin) absl::StrAppend(&value, "; ", name, "=", content);
  }
  return NormalCredential{Secret(std::move(value)), std::move(advice)};
}

std::string Digits19(Random& random) {
  std::string text = "7";
  for (int i = 0; i < 18; ++i) text += static_cast<char>('0' + random.Next() % 10);
  return text;
}

std::string Characters(Random& random, int count) {
  constexpr absl::string_view kAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string text;
  for (int i = 0; i < count; ++i) text += kAlphabet[random.Next() % kAlphabet.size()];
  return text;
}

std::string Fingerprint(absl::Time now, Random& random) {
  std::string time;
  for (int64_t rest = absl::ToUnixMillis(now); rest > 0; rest /= 36)
    time.insert(time.begin(), "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36]);
  std::string fp = absl::StrCat("verify_", time);
  for (const int length : {8, 4, 4, 4, 12}) absl::StrAppend(&fp, "_", Characters(random, length));
  return fp;
}

absl::Status Expired() {
  return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, "doubao no longer accepts the session: sign in again");
}
absl::Status Changed() {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, "doubao's answer to the check was not understood");
}

bool IsUserId(const json::value* value) {
  const auto number = JsonWhole(value);
  return (number && *number != 0) || (value != nullptr && value->is_uint64());
}

}  // namespace

absl::StatusOr<NormalCredential> DoubaoRefresher::Normalise(const Secret& configured) const {
  std::string advice;
  std::string text(absl::StripAsciiWhitespace(configured.Reveal()));
  if (text.empty() || text.size() > kMaxCredential)
    return Refused("the value is empty, or longer than any cookie string");
  DropQuotes(text, advice);
  if (auto value = ParseJson(text); value.ok() && (value->is_object() || value->is_array())) {
    text = CookiesOfJson(*value);
    advice = "The cookies were taken out of JSON.";
    if (text.empty()) return Refused("this is JSON without any cookie in it");
  }
  DropWord("Cookie:", text, advice);
  DropWord("Bearer ", text, advice);
  const bool controls = std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (controls) return Refused("there is a line break or another control character inside the value");
  if (text.find('=') != std::string::npos) return FromCookies(text, std::move(advice));
  if (absl::StartsWith(text, "verify_"))
    return Refused("a value that begins with verify_ is the cookie s_v_web_id, which names a browser and is no login");
  if (SessionId(text).empty()) return Refused("this is no session id");
  return FromCookies(absl::StrCat(kSession, "=", text), std::move(advice));
}

Identity DoubaoRefresher::MakeIdentity(const Secret& credential) const {
  Identity identity;
  identity["device_id"] = Digits19(random_);
  identity["web_id"] = identity["device_id"];
  identity["tea_uuid"] = Digits19(random_);
  identity["web_tab_id"] = random_.NextUuid();
  Cookies cookies = ParseCookies(credential.Reveal());
  const std::string* known = FindCookie(cookies, kFingerprintCookie);
  const bool usable = known != nullptr && absl::StartsWith(*known, "verify_");
  identity["fp"] = usable ? *known : Fingerprint(clock_.Now(), random_);
  return identity;
}

absl::Status ReadDoubaoAccount(int http_status, absl::string_view content_type, absl::string_view body) {
  if (http_status == 401 || (http_status >= 300 && http_status < 400)) return Expired();
  if (http_status == 429) return MakeError(Reason::REASON_RATE_LIMITED, "doubao limits the rate of requests");
  if (http_status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("doubao answered with status ", http_status));
  if (absl::StrContains(content_type, "html"))
    return MakeError(Reason::REASON_CAPTCHA_PENDING, "doubao wants a human check of the account", {.cause = "html"});
  if (http_status == 403)
    return MakeError(Reason::REASON_CLIENT_REFUSED, "doubao refuses this address or client", {.cause = "http_403"});
  const auto root = ParseJson(body);
  if (http_status != 200 || !root.ok() || !root->is_object()) {
    // The platform also refuses a login with an event stream.
    const bool invalid = absl::StrContains(body, "710012000") || absl::StrContains(body, "710012001");
    return invalid ? Expired() : Changed();
  }
  // Sources disagree on the place.
  if (IsUserId(FindMember(*root, {"data", "user_id"})) || IsUserId(FindMember(*root, {"user_id"})))
    return absl::OkStatus();
  const auto code = JsonWhole(FindMember(*root, {"code"}));
  const json::value* data = FindMember(*root, {"data"});
  if (code && (*code == 710022002 || *code == 710022004))
    return MakeError(Reason::REASON_RATE_LIMITED, "doubao limits the rate of requests");
  if ((code && *code != 0) || (data != nullptr && data->is_object())) return Expired();
  return Changed();
}

boost::asio::awaitable<absl::Status> DoubaoRefresher::Check(Scope& scope, Secret token, Identity identity) const {
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(
      config_.base_url, "/passport/account/info/v2?account_sdk_source=web&aid=497858&real_aid=497858",
      "&device_platform=web&language=zh&pkg_type=release_version&samantha_web=1&use-olympus-account=1&pc_version=",
      config_.Option("pc_version"), "&version_code=", config_.Option("version_code"),
      "&region=", config_.Option("region"), "&sys_region=", config_.Option("region"));
  for (const auto& [name, value] : identity) absl::StrAppend(&request.url, "&", name, "=", value);
  request.repeatable = true;
  request.headers.Add("User-Agent", config_.Option("user_agent"));
  request.headers.Add("Cookie", token.Reveal());
  request.headers.Add("Origin", kOrigin);
  request.headers.Add("Referer", absl::StrCat(kOrigin, "/chat/"));
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("Accept", "*/*");
  auto response = co_await http_.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  auto body = co_await (*response)->ReadAll(scope, kMaxAnswer);
  if (!body.ok()) co_return body.status();
  co_return ReadDoubaoAccount((*response)->status(), (*response)->headers().Get("content-type"), *body);
}

}  // namespace switchyard
