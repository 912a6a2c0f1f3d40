#include "services/session/refreshers/zhipu.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "boost/json/value.hpp"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/jwt.h"
#include "services/common/text/views.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr char kExchange[] = "/chatglm/user-api/user/refresh";
constexpr char kUserInfo[] = "/chatglm/user-api/user/info";
constexpr size_t kMaxAnswer = 64 * 1024;
// Of an access token that does not say.
constexpr absl::Duration kAssumedLife = absl::Hours(1);

constexpr absl::string_view kJsonNames[] = {"chatglm_refresh_token", "refresh_token", "value", "access_token"};

// The cookie's value out of a JSON object, a cookie line or quotes.
std::string Unwrap(std::string text, std::string& advice) {
  if (auto value = ParseJson(text); value.ok()) {
    for (const absl::string_view name : kJsonNames) {
      if (const absl::string_view inner = JsonText(FindMember(*value, {name})); !inner.empty()) {
        advice = "The value holds more than the token; the token alone is enough.";
        return std::string(inner);
      }
    }
    if (value->is_string()) {
      advice = "The quotes do not belong to the token; they were left out.";
      return std::string(ToAbsl(value->get_string()));
    }
  }
  if (const size_t at = text.find("chatglm_refresh_token="); at != std::string::npos) {
    advice = "The cookie's name does not belong to the token; its value alone is enough.";
    text = text.substr(at + sizeof("chatglm_refresh_token=") - 1);
    text = std::string(absl::StripAsciiWhitespace(text.substr(0, text.find(';'))));
  }
  if (text.size() > 2 && text.front() == text.back() && (text.front() == '\'' || text.front() == '"')) {
    text = text.substr(1, text.size() - 2);
    advice = "The quotes do not belong to the token; they were left out.";
  }
  return text;
}

bool IsTrue(const json::value* value) { return value != nullptr && value->is_bool() && value->get_bool(); }

absl::Time ExpiryOf(absl::string_view token, absl::Time otherwise) {
  const auto claims = JwtClaims(token);
  return claims ? JsonTime(FindMember(*claims, {"exp"})).value_or(otherwise) : otherwise;
}

absl::Status ExpiredError() {
  return MakeError(Reason::REASON_CREDENTIAL_EXPIRED,
                   "zhipu no longer accepts the account's login: sign in again and replace the token");
}
absl::Status GuestError() {
  return MakeError(Reason::REASON_CREDENTIAL_EXPIRED,
                   "the zhipu token belongs to a guest: sign in and use the account's own token", {.cause = "guest"});
}
absl::Status ChangedError() {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, "zhipu's answer about the account was not understood");
}

/// The error that either call's answer stands for; OK if `root` is a result.
absl::Status ErrorOf(int http_status, const absl::StatusOr<json::value>& root) {
  const bool is_json = root.ok() && root->is_object();
  auto code = is_json ? JsonWhole(FindMember(*root, {"status"})) : std::nullopt;
  if (is_json && !code) code = JsonWhole(FindMember(*root, {"code"}));
  const bool says_expired = is_json && absl::StrContains(JsonText(FindMember(*root, {"message"})), "40102");
  if (http_status == 401 || says_expired || code == 40102 || code == 40103) return ExpiredError();
  if (code == 40012 || (!is_json && (http_status == 400 || http_status == 403)))
    return MakeError(Reason::REASON_CLIENT_REFUSED, "zhipu's risk filter refuses this relay's requests for now",
                     {.cause = code == 40012 ? "risk_filter" : "waf"});
  if (code == 40011 || code == 40014)
    return MakeError(Reason::REASON_SIGNATURE_REFUSED, "zhipu refused the request's signature");
  if (http_status == 429) return MakeError(Reason::REASON_RATE_LIMITED, "zhipu limits the account's rate of requests");
  if (http_status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("zhipu answered with status ", http_status));
  if (http_status == 403 && code != 40001 && code != 40002) return ExpiredError();
  if (http_status != 200 || code != 0) return ChangedError();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NormalCredential> ZhipuRefresher::Normalise(const Secret& configured) const {
  std::string advice;
  std::string text = Unwrap(std::string(absl::StripAsciiWhitespace(configured.Reveal())), advice);
  if (absl::StartsWithIgnoreCase(text, "bearer ")) {
    text = std::string(absl::StripAsciiWhitespace(absl::string_view(text).substr(7)));
    advice = "The word Bearer does not belong to the token; it was left out.";
  }
  if (text.empty()) return absl::InvalidArgumentError("the Zhipu token is empty");
  const bool digits_only =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
  if (digits_only && text.size() == 24)
    return absl::InvalidArgumentError("this is the value of chatglm_user_id; chatglm_refresh_token is needed");
  if (digits_only && text.size() == 32)
    return absl::InvalidArgumentError("this is a device id; the value of chatglm_refresh_token is needed");
  const bool visible = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > 0x20 && c < 0x7F && c != '"' && c != '\'' && c != '{' && c != '}' && c != ';' && c != '=';
  });
  if (!visible)
    return absl::InvalidArgumentError(
        "a Zhipu token has no spaces, quotes or line breaks in it; paste the value of the cookie "
        "chatglm_refresh_token");
  const auto claims = JwtClaims(text);
  if (claims && IsTrue(FindMember(*claims, {"is_guest"})))
    return absl::InvalidArgumentError("this is the token of a guest; sign in and paste the account's own");
  NormalCredential normal;
  normal.exchanged = claims && JsonText(FindMember(*claims, {"type"})) == "refresh";
  if (!normal.exchanged) {
    normal.expires = ExpiryOf(text, absl::InfiniteFuture());
    advice = claims ? "This is an access token: it works, but for a day only, and cannot be renewed. Use the value of "
                      "the cookie chatglm_refresh_token."
                    : "This does not look like a Zhipu token; it is used as it is. Use the value of the cookie "
                      "chatglm_refresh_token.";
  }
  normal.value = Secret(std::move(text));
  normal.advice = std::move(advice);
  return normal;
}

Identity ZhipuRefresher::MakeIdentity(const Secret& credential) const {
  std::string device;
  if (const auto claims = JwtClaims(credential.Reveal()))
    device = std::string(JsonText(FindMember(*claims, {"device_id"})));
  if (device.empty()) device = tools_.random.NextHex(32);
  return {{"device_id", device}};
}

boost::asio::awaitable<absl::StatusOr<HttpRequest>> ZhipuRefresher::Request(Scope& scope, const char* method,
                                                                            const char* path, const Secret& token,
                                                                            const Identity& identity) const {
  signing::v1::ZhipuSignature input;
  input.set_time_ms(absl::ToUnixMillis(tools_.clock.Now()));
  input.set_nonce(tools_.random.NextHex(32));
  const std::string nonce = input.nonce();
  auto signing = tools_.signing.Open(scope, CallContext());
  auto signature = co_await signing->SignZhipu(std::move(input));
  if (!signature.ok()) {
    // Nothing was sent.
    co_return MarkNothingReached(signature.status());
  }
  std::string device;
  if (const auto claims = JwtClaims(token.Reveal())) device = std::string(JsonText(FindMember(*claims, {"device_id"})));
  if (const auto kept = identity.find("device_id"); device.empty() && kept != identity.end()) device = kept->second;
  HttpRequest request;
  request.method = method;
  request.url = config_.base_url + path;
  request.headers.Add("User-Agent", config_.Option("user_agent"));
  request.headers.Add("Authorization", absl::StrCat("Bearer ", token.Reveal()));
  request.headers.Add("Accept", "application/json, text/plain, */*");
  request.headers.Add("Origin", config_.base_url);
  request.headers.Add("Referer", config_.base_url + "/main/alltoolsdetail");
  request.headers.Add("App-Name", "chatglm");
  request.headers.Add("X-App-Platform", "pc");
  request.headers.Add("X-App-Version", config_.Option("app_version"));
  request.headers.Add("X-App-fr", "default");
  request.headers.Add("X-Lang", "zh");
  request.headers.Add("X-Device-Id", device);
  request.headers.Add("X-Device-Model", "");
  request.headers.Add("X-Device-Brand", "");
  request.headers.Add("X-Request-Id", tools_.random.NextHex(32));
  request.headers.Add("X-Nonce", nonce);
  request.headers.Add("X-Timestamp", signature->timestamp());
  request.headers.Add("X-Sign", signature->sign());
  co_return request;
}

absl::StatusOr<FreshToken> ReadZhipuExchange(int http_status, absl::string_view body, const Secret& sent,
                                             absl::Time now) {
  auto root = ParseJson(body);
  if (auto status = ErrorOf(http_status, root); !status.ok()) return status;
  const json::value* result = FindMember(*root, {"result"});
  if (result == nullptr || !result->is_object()) return ChangedError();
  if (IsTrue(FindMember(*result, {"is_guest"}))) return GuestError();
  std::string token(JsonText(FindMember(*result, {"access_token"})));
  std::string rotated(JsonText(FindMember(*result, {"refresh_token"})));
  if (token.empty()) return ChangedError();
  FreshToken fresh;
  fresh.expires = ExpiryOf(token, now + kAssumedLife);
  fresh.token = Secret(std::move(token));
  if (!rotated.empty() && rotated != sent.Reveal()) fresh.rotated = Secret(std::move(rotated));
  return fresh;
}

absl::Status ReadZhipuUser(int http_status, absl::string_view body) {
  auto root = ParseJson(body);
  if (auto status = ErrorOf(http_status, root); !status.ok()) return status;
  const json::value* user = FindMember(*root, {"result"});
  if (user == nullptr || !user->is_object()) return ChangedError();
  if (IsTrue(FindMember(*user, {"is_guest"})) || absl::StrContains(JsonText(FindMember(*user, {"email"})), "@guest"))
    return GuestError();
  if (IsTrue(FindMember(*user, {"block_info", "blocked"})))
    return MakeError(Reason::REASON_ACCOUNT_BANNED, "zhipu has blocked the account");
  return absl::OkStatus();
}

boost::asio::awaitable<absl::Status> ZhipuRefresher::Check(Scope& scope, Secret token, Identity identity) const {
  auto request = co_await Request(scope, "GET", kUserInfo, token, identity);
  if (!request.ok()) co_return request.status();
  auto response = co_await tools_.http.Send(scope, *std::move(request));
  if (!response.ok()) co_return response.status();
  auto body = co_await (*response)->ReadAll(scope, kMaxAnswer);
  if (!body.ok()) co_return body.status();
  co_return ReadZhipuUser((*response)->status(), *body);
}

boost::asio::awaitable<absl::StatusOr<FreshToken>> ZhipuRefresher::Refresh(Scope& scope, Secret credential,
                                                                           Identity identity) const {
  auto request = co_await Request(scope, "POST", kExchange, credential, identity);
  if (!request.ok()) co_return request.status();
  request->headers.Add("Content-Type", "application/json;charset=utf-8");
  request->body = "{}";
  auto response = co_await tools_.http.Send(scope, *std::move(request));
  if (!response.ok()) co_return response.status();
  auto body = co_await (*response)->ReadAll(scope, kMaxAnswer);
  if (!body.ok()) co_return body.status();
  co_return ReadZhipuExchange((*response)->status(), *body, credential, tools_.clock.Now());
}

}  // namespace switchyard
