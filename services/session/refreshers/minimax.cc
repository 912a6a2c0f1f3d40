#include "services/session/refreshers/minimax.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/value.hpp"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/minimax/login.h"
#include "services/minimax/requests.h"
#include "services/minimax/responses.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr size_t kMaxAnswer = 256 * 1024;
constexpr size_t kMaxToken = 8192;
constexpr absl::Duration kRenewalLead = absl::Hours(24 * 7);
constexpr char kQuotes[] = "The quotes do not belong to the token; they were left out.";
constexpr char kMore[] = "The value holds more than the token; the token alone is enough.";

// A JSON string, or an object of the page's storage that holds the token.
std::string Unwrap(std::string text, std::string& advice) {
  auto value = ParseJson(text);
  if (!value.ok()) return text;
  if (value->is_string()) {
    advice = kQuotes;
    return std::string(JsonText(&*value));
  }
  for (const char* name : {"_token", "token", "value"}) {
    const absl::string_view inner = JsonText(FindMember(*value, {name}));
    if (inner.empty()) continue;
    advice = kMore;
    std::string found(inner);
    const std::string user(JsonText(FindMember(*value, {"realUserID"})));
    return user.empty() || absl::StrContains(found, "+") ? found : absl::StrCat(user, "+", found);
  }
  return text;
}

// "_token=…; other=…", as it stands among the cookies.
std::string FromCookies(const std::string& text, std::string& advice) {
  constexpr absl::string_view kName = "_token=";
  const size_t at = text.find(kName.data());
  if (at == std::string::npos) return text;
  advice = kMore;
  const size_t from = at + kName.size();
  return text.substr(from, text.find(';', from) - from);
}

std::string WhatWasPasted(absl::string_view text) {
  if (text.empty()) return "it is empty";
  if (absl::StrContains(text, "realUserID"))
    return "the value of user_detail_agent was pasted, which holds no token; the token is that of _token";
  if (absl::StartsWith(text, "{")) return "JSON without a token was pasted; the token is that of _token";
  if (absl::StartsWith(text, "sk-"))
    return "a key of the paid API was pasted; this is the token of the web site, that of _token";
  if (std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); }))
    return "a user or device number was pasted; the token is that of _token";
  if (absl::StartsWith(text, "eyJ")) return "the token was cut: it has three parts with dots between them";
  return "it is the long value of _token, three parts with dots between them, that begins with eyJ";
}

boost::asio::awaitable<absl::StatusOr<json::value>> Perform(Scope& scope, const RefresherTools& tools,
                                                            minimax::SignedParts parts) {
  const CallContext context;
  auto signing = tools.signing.Open(scope, context);
  auto signature = co_await signing->SignMiniMax(parts.to_sign);
  if (!signature.ok()) co_return MarkNothingReached(signature.status());
  auto response = co_await tools.http.Send(scope, minimax::Signed(std::move(parts), *signature));
  if (!response.ok()) co_return response.status();
  auto body = co_await (*response)->ReadAll(scope, kMaxAnswer);
  if (!body.ok()) co_return body.status();
  minimax::Answer answer;
  answer.http_status = (*response)->status();
  answer.headers = (*response)->headers();
  answer.body = *std::move(body);
  co_return minimax::ReadAnswer(answer, tools.clock.Now());
}

}  // namespace

absl::StatusOr<NormalCredential> MiniMaxRefresher::Normalise(const Secret& configured) const {
  std::string advice;
  std::string text = Unwrap(std::string(absl::StripAsciiWhitespace(configured.Reveal())), advice);
  text = FromCookies(text, advice);
  if (text.size() > 2 && text.front() == '\'' && text.back() == '\'') {
    text = text.substr(1, text.size() - 2);
    advice = kQuotes;
  }
  if (absl::StartsWithIgnoreCase(text, "bearer ")) {
    text = std::string(absl::StripAsciiWhitespace(absl::string_view(text).substr(7)));
    advice = "The word Bearer does not belong to the token; it was left out.";
  }
  // A terminal's line breaks.
  const size_t before = text.size();
  text.erase(std::remove_if(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isspace(c); }),
             text.end());
  if (text.size() != before) advice = "The token had spaces or line breaks in it; they were left out.";
  const auto claims = minimax::ReadClaims(minimax::SplitToken(text).jwt);
  if (!claims || text.size() > kMaxToken)
    return absl::InvalidArgumentError(absl::StrCat("not a MiniMax token: ", WhatWasPasted(text)));
  if (claims->guest) advice = "The token is a guest's: sign in on the site and take the token again.";
  NormalCredential normal;
  normal.expires = claims->expires;
  normal.value = Secret(std::move(text));
  normal.advice = std::move(advice);
  return normal;
}

Identity MiniMaxRefresher::MakeIdentity(const Secret& credential) const {
  return minimax::DeviceOf(credential.Reveal());
}

RefreshPolicy MiniMaxRefresher::policy() const {
  RefreshPolicy policy;
  policy.lead = kRenewalLead;
  policy.renews_token = true;
  return policy;
}

boost::asio::awaitable<absl::Status> MiniMaxRefresher::Check(Scope& scope, Secret token, Identity identity) const {
  const minimax::Login login = minimax::LoginOf(token, identity);
  auto object = co_await Perform(scope, tools_, minimax::UserInfo(settings_, login, tools_.clock.Now()));
  if (!object.ok()) co_return object.status();
  co_return minimax::ReadUserInfo(*object);
}

boost::asio::awaitable<absl::StatusOr<FreshToken>> MiniMaxRefresher::Refresh(Scope& scope, Secret credential,
                                                                             Identity identity) const {
  const minimax::Login login = minimax::LoginOf(credential, identity);
  auto object = co_await Perform(scope, tools_, minimax::Renewal(settings_, login, tools_.clock.Now()));
  if (!object.ok()) co_return object.status();
  auto jwt = minimax::ReadRenewal(*object);
  if (!jwt.ok()) co_return jwt.status();
  // The account's own form of a token stays: the user's id in front is not in the JWT.
  const absl::string_view user = minimax::SplitToken(credential.Reveal()).real_user_id;
  FreshToken fresh;
  fresh.token = user.empty() ? *jwt : Secret(absl::StrCat(user, "+", jwt->Reveal()));
  fresh.expires = minimax::ReadClaims(jwt->Reveal())->expires;
  fresh.rotated = fresh.token;
  co_return fresh;
}

}  // namespace switchyard
