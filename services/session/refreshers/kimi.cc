#include "services/session/refreshers/kimi.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr size_t kMaxAnswer = 256 * 1024;
constexpr size_t kMaxToken = 8192;
constexpr absl::Duration kLead = absl::Seconds(90);
constexpr char kRefreshPath[] = "/api/account.gateway.v1.AuthService/RefreshToken";
constexpr char kSubscriptionPath[] = "/apiv2/kimi.gateway.order.v1.SubscriptionService/GetSubscription";
constexpr char kMore[] = "The value holds more than the token; the token alone is enough.";
constexpr char kQuotes[] = "The quotes do not belong to the token; they were left out.";

struct Claims {
  std::string kind;
  std::string device;
  absl::Time expires = absl::InfiniteFuture();
};

std::optional<Claims> ReadClaims(absl::string_view token) {
  const std::vector<absl::string_view> parts = absl::StrSplit(token, '.');
  std::string text;
  if (parts.size() != 3 || !absl::StartsWith(token, "eyJ") || !absl::WebSafeBase64Unescape(parts[1], &text))
    return std::nullopt;
  auto value = ParseJson(text);
  if (!value.ok() || !value->is_object()) return std::nullopt;
  Claims claims;
  claims.kind = std::string(JsonText(FindMember(*value, {"typ"})));
  claims.device = std::string(JsonText(FindMember(*value, {"device_id"})));
  if (const auto expires = JsonTime(FindMember(*value, {"exp"}))) claims.expires = *expires;
  return claims;
}

/// The refresh token in what a page's storage or an answer of the platform holds; older pages stored its parts.
std::string FromJson(const std::string& text, std::string& advice) {
  auto value = ParseJson(text);
  if (!value.ok()) return text;
  if (value->is_string()) {
    advice = kQuotes;
    return FromJson(std::string(JsonText(&*value)), advice);
  }
  if (const json::array* parts = value->if_array()) {
    std::vector<absl::string_view> words;
    for (const json::value& part : *parts) words.push_back(JsonText(&part));
    advice = "The list's elements were joined to the token that they are.";
    std::string joined;
    for (const absl::string_view word : words) absl::StrAppend(&joined, joined.empty() ? "" : ".", word);
    return joined;
  }
  for (const char* name : {"refresh_token", "refreshToken", "access_token", "accessToken", "value"}) {
    const json::value* inner = FindMember(*value, {name});
    if (inner == nullptr) continue;
    advice = kMore;
    std::string unused;
    return inner->is_string() ? std::string(JsonText(inner)) : FromJson(json::serialize(*inner), unused);
  }
  return text;
}

std::string FromCookies(const std::string& text, std::string& advice) {
  for (const char* name : {"refresh_token=", "kimi-auth=", "access_token="}) {
    const size_t at = text.find(name);
    if (at == std::string::npos) continue;
    advice = kMore;
    const size_t from = at + std::string(name).size();
    return text.substr(from, text.find(';', from) - from);
  }
  return text;
}

absl::Status Refused(absl::string_view text) {
  absl::string_view what = "it is no such token";
  if (text.empty()) what = "it is empty";
  if (absl::StartsWith(text, "sk-")) what = "a key of the paid API was pasted";
  if (absl::StartsWith(text, "{")) what = "JSON without a token was pasted";
  if (absl::StartsWith(text, "eyJ")) what = "the token was cut or is damaged";
  return absl::InvalidArgumentError(absl::StrCat(
      what, "; what is wanted is refresh_token of the Local Storage of www.kimi.com: three parts, from eyJ on"));
}

absl::Status Changed() {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, "kimi's answer to a call about the token was not understood");
}

/// An error by the status; OK for 200.
absl::Status StatusError(int http_status, absl::string_view what) {
  if (http_status == 401)
    return MakeError(Reason::REASON_CREDENTIAL_EXPIRED,
                     absl::StrCat("kimi no longer accepts the ", what, ": sign in again and replace it"));
  if (http_status == 403) return MakeError(Reason::REASON_CLIENT_REFUSED, "kimi refuses this address or client");
  if (http_status == 429) return MakeError(Reason::REASON_RATE_LIMITED, "kimi limits the rate of requests");
  if (http_status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("kimi answered with status ", http_status));
  return http_status == 200 ? absl::OkStatus() : Changed();
}

}  // namespace

std::string KimiAuthOrigin(absl::string_view base_url, absl::string_view auth_url) {
  if (!auth_url.empty()) return std::string(auth_url);
  if (absl::StartsWith(base_url, "https://kimi.moonshot.cn")) return "https://auth.kimi.com";
  if (absl::ConsumePrefix(&base_url, "https://www.")) return absl::StrCat("https://auth.", base_url);
  return std::string(base_url);
}

absl::StatusOr<NormalCredential> KimiRefresher::Normalise(const Secret& configured) const {
  std::string advice;
  std::string text = FromJson(std::string(absl::StripAsciiWhitespace(configured.Reveal())), advice);
  if (text.size() > 2 && text.front() == text.back() && (text.front() == '\'' || text.front() == '"')) {
    text = text.substr(1, text.size() - 2);
    advice = kQuotes;
  }
  if (absl::StartsWithIgnoreCase(text, "bearer ")) {
    text = std::string(absl::StripAsciiWhitespace(absl::string_view(text).substr(7)));
    advice = "The word Bearer does not belong to the token; it was left out.";
  }
  text = FromCookies(text, advice);
  const size_t before = text.size();
  text.erase(std::remove_if(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isspace(c); }),
             text.end());
  if (text.size() != before) advice = "The token had spaces or line breaks in it; they were left out.";
  const auto claims = ReadClaims(text);
  const bool visible = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
  if (!claims || !visible || text.size() > kMaxToken) return Refused(text);
  NormalCredential normal;
  normal.exchanged = claims->kind != "access";
  if (!normal.exchanged) {
    normal.expires = claims->expires;
    advice =
        "This is an access token, which lasts for minutes and cannot be renewed; refresh_token of the same Local "
        "Storage "
        "lasts for months.";
  }
  normal.value = Secret(std::move(text));
  normal.advice = std::move(advice);
  return normal;
}

Identity KimiRefresher::MakeIdentity(const Secret& credential) const {
  const auto claims = ReadClaims(credential.Reveal());
  if (claims && !claims->device.empty()) return {{"device_id", claims->device}};
  // 19 digits, of which the first is 7.
  std::string device = "7";
  while (device.size() < 19) device += static_cast<char>('0' + tools_.random.Next() % 10);
  return {{"device_id", device}};
}

RefreshPolicy KimiRefresher::policy() const {
  RefreshPolicy policy;
  policy.lead = kLead;
  policy.rotates = true;
  return policy;
}

absl::StatusOr<FreshToken> ReadKimiTokens(int http_status, absl::string_view body) {
  if (auto status = StatusError(http_status, "refresh token"); !status.ok()) return status;
  auto root = ParseJson(body);
  if (!root.ok()) return Changed();
  const json::value* data = FindMember(*root, {"data"});
  const json::value& pair = data != nullptr && data->is_object() ? *data : *root;
  const auto either = [&](absl::string_view camel, absl::string_view snake) {
    const absl::string_view text = JsonText(FindMember(pair, {camel}));
    return std::string(text.empty() ? JsonText(FindMember(pair, {snake})) : text);
  };
  std::string access = either("accessToken", "access_token");
  const auto claims = ReadClaims(access);
  if (!claims) return Changed();
  FreshToken fresh;
  fresh.expires = claims->expires;
  fresh.token = Secret(std::move(access));
  if (std::string refresh = either("refreshToken", "refresh_token"); !refresh.empty())
    fresh.rotated = Secret(std::move(refresh));
  return fresh;
}

absl::Status ReadKimiSubscription(int http_status, absl::string_view body) {
  if (auto status = StatusError(http_status, "access token"); !status.ok()) return status;
  auto root = ParseJson(body);
  const json::value* subscription = root.ok() ? FindMember(*root, {"subscription"}) : nullptr;
  return subscription != nullptr && subscription->is_object() ? absl::OkStatus() : Changed();
}

boost::asio::awaitable<absl::Status> KimiRefresher::Check(Scope& scope, Secret token, Identity) const {
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(config_.base_url, kSubscriptionPath);
  request.repeatable = true;
  request.headers.Add("User-Agent", config_.Option("user_agent"));
  request.headers.Add("Authorization", absl::StrCat("Bearer ", token.Reveal()));
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("Connect-Protocol-Version", "1");
  request.body = "{}";
  auto response = co_await tools_.http.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  auto body = co_await (*response)->ReadAll(scope, kMaxAnswer);
  if (!body.ok()) co_return body.status();
  co_return ReadKimiSubscription((*response)->status(), *body);
}

boost::asio::awaitable<absl::StatusOr<FreshToken>> KimiRefresher::Refresh(Scope& scope, Secret credential,
                                                                          Identity) const {
  const auto claims = ReadClaims(credential.Reveal());
  if (claims && claims->expires <= tools_.clock.Now())
    co_return MakeError(Reason::REASON_CREDENTIAL_EXPIRED,
                        "the refresh token has expired: sign in again and replace it");
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(KimiAuthOrigin(config_.base_url, config_.Option("auth_url")), kRefreshPath);
  request.headers.Add("User-Agent", config_.Option("user_agent"));
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("Accept", "*/*");
  const json::object sent{{"refreshToken", credential.Reveal()}};
  request.body = json::serialize(sent);
  auto response = co_await tools_.http.Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  auto body = co_await (*response)->ReadAll(scope, kMaxAnswer);
  if (!body.ok()) co_return body.status();
  co_return ReadKimiTokens((*response)->status(), *body);
}

}  // namespace switchyard
