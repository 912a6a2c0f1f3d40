#include "services/doubao/responses.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/common/http/retry_after.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/common/text/views.h"

namespace switchyard::doubao {

namespace json = boost::json;

namespace {

// Of the platform's own words, what fits into an error.
constexpr int64_t kQuoteLength = 200;
// Source: protocol notes, section 7.
constexpr absl::Duration kCoolDown = absl::Seconds(300);

struct CodeRow {
  int64_t code;
  Reason reason;
  absl::string_view message;
  absl::string_view cause;
};
constexpr absl::string_view kExpired = "doubao no longer accepts the account's session: sign in again and replace it";
constexpr absl::string_view kLimited = "doubao limits the account's rate of requests";
constexpr absl::string_view kVerify =
    "doubao wants a human check of the account: open its page in a browser and chat once";
constexpr absl::string_view kRegion = "doubao does not serve this relay's region";
constexpr absl::string_view kShape = "doubao refused the form of the request";
constexpr std::array kCodes = {
    CodeRow{710012000, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "session"},
    CodeRow{710012001, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "session"},
    CodeRow{710012014, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "session"},
    CodeRow{710022013, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "guest"},
    CodeRow{710022002, Reason::REASON_RATE_LIMITED, kLimited, "code_710022002"},
    // With a `verify` decision it is a human check instead.
    CodeRow{710022004, Reason::REASON_RATE_LIMITED, kLimited, "code_710022004"},
    CodeRow{710022019, Reason::REASON_CLIENT_REFUSED, "doubao refuses this client for now", "guest_punished"},
    CodeRow{710022003, Reason::REASON_CLIENT_REFUSED, kRegion, "region"},
    CodeRow{710022017, Reason::REASON_CLIENT_REFUSED, kRegion, "region"},
    CodeRow{710010202, Reason::REASON_UPSTREAM_CHANGED, kShape, "request_shape"},
    CodeRow{710020202, Reason::REASON_UPSTREAM_CHANGED, kShape, "request_shape"},
    CodeRow{710020702, Reason::REASON_UPSTREAM_UNAVAILABLE, "doubao could not answer", "stream_error"},
};

absl::Status Changed(absl::string_view what, absl::string_view cause) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("doubao's answer was not understood: ", what),
                   {.cause = std::string(cause)});
}

absl::Status Verify() { return MakeError(Reason::REASON_CAPTCHA_PENDING, kVerify, {.cause = "verify"}); }
absl::Status Expired(absl::string_view cause) {
  return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, kExpired, {.cause = std::string(cause)});
}

// The decision is an object, or the text of one.
bool WantsVerification(const json::value* extra) {
  const json::value* decision = extra == nullptr ? nullptr : FindMember(*extra, {"decision"});
  if (decision == nullptr) return false;
  if (!decision->is_string()) return JsonText(FindMember(*decision, {"type"})) == "verify";
  const auto inner = ParseJson(ToAbsl(decision->get_string()));
  return inner.ok() && JsonText(FindMember(*inner, {"type"})) == "verify";
}

std::optional<int64_t> CodeInside(absl::string_view text) {
  const size_t at = text.find("code=");
  if (at == absl::string_view::npos) return std::nullopt;
  absl::string_view digits = text.substr(at + 5);
  digits = digits.substr(0, digits.find_first_not_of("0123456789"));
  int64_t code = 0;
  if (!absl::SimpleAtoi(digits, &code)) return std::nullopt;
  return code;
}

absl::string_view Said(const json::value& data) {
  for (const absl::string_view name : {"error_msg", "msg", "message"}) {
    if (const absl::string_view said = JsonText(FindMember(data, {name})); !said.empty()) return said;
  }
  return "";
}

// An expired login may come with a code that nobody has seen yet. Source: protocol notes, section 2.
bool SpeaksOfLogin(absl::string_view said) {
  return absl::StrContains(said, "登录已过期") || absl::StrContains(said, "login invalid") ||
         absl::StrContains(said, "user invalid");
}

/// An error by the HTTP status alone; OK if the body has to be looked at.
absl::Status HttpError(const Answer& answer, absl::Time now) {
  const int status = answer.http_status;
  if (status == 401) return Expired("http_401");
  if (status >= 300 && status < 400) return Expired("redirect");
  if (status == 429) {
    auto wait = ParseRetryAfter(answer.headers.Get("retry-after"), now);
    return MakeError(Reason::REASON_RATE_LIMITED, kLimited,
                     {.retry_after = wait ? *wait : kCoolDown, .cause = "http_429"});
  }
  if (absl::StrContains(answer.headers.Get("content-type"), "html") && status < 500) return Verify();
  return absl::OkStatus();
}

/// What is left to say of an error status whose body holds no code.
absl::Status BareStatus(int status) {
  if (status == 403)
    return MakeError(Reason::REASON_CLIENT_REFUSED, "doubao refuses this relay's address or client for now",
                     {.cause = "http_403"});
  if (status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("doubao answered with HTTP status ", status),
                     {.cause = "http_5xx"});
  if (status >= 400) return Changed(absl::StrCat("HTTP status ", status), "http_status");
  return absl::OkStatus();
}

}  // namespace

absl::Status CodeError(int64_t code, absl::string_view said, bool verify, bool has_content) {
  if (verify) return Verify();
  for (const CodeRow& row : kCodes) {
    if (row.code != code) continue;
    ErrorExtras extras;
    extras.cause = std::string(row.cause);
    Reason reason = row.reason;
    if (reason == Reason::REASON_RATE_LIMITED) extras.retry_after = kCoolDown;
    if (reason == Reason::REASON_UPSTREAM_UNAVAILABLE && has_content) reason = Reason::REASON_UPSTREAM_BROKEN;
    return MakeError(reason, row.message, std::move(extras));
  }
  if (SpeaksOfLogin(said)) return Expired("session");
  std::string message = absl::StrCat("doubao answered with error ", code);
  if (!said.empty()) absl::StrAppend(&message, ": ", CleanQuote(said, kQuoteLength));
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, message, {.cause = "unknown_code"});
}

absl::Status StreamError(const json::value& data, bool has_content) {
  auto code = JsonWhole(FindMember(data, {"error_code"}));
  if (!code) code = JsonWhole(FindMember(data, {"code"}));
  const bool verify =
      WantsVerification(FindMember(data, {"extra"})) || WantsVerification(FindMember(data, {"error_detail", "ext"}));
  return CodeError(code.value_or(0), Said(data), verify, has_content);
}

absl::Status GatewayError(const json::value& data, bool has_content) {
  const absl::string_view said = Said(data);
  return CodeError(CodeInside(said).value_or(0), said, false, has_content);
}

bool IsEventStream(const HttpHeaders& headers) {
  return absl::StartsWithIgnoreCase(headers.Get("content-type"), "text/event-stream");
}

absl::Status NoStream(const Answer& answer, absl::Time now) {
  if (auto status = HttpError(answer, now); !status.ok()) return status;
  const auto root = ParseJson(answer.body);
  if (root.ok()) {
    auto code = JsonWhole(FindMember(*root, {"code"}));
    if (!code) code = JsonWhole(FindMember(*root, {"error_code"}));
    if (code && *code != 0)
      return CodeError(*code, Said(*root), WantsVerification(FindMember(*root, {"extra"})), false);
  }
  if (auto status = BareStatus(answer.http_status); !status.ok()) return status;
  return root.ok() ? Changed("it is no event stream", "no_stream") : Changed("it is not JSON", "envelope");
}

absl::Status ReadDeletion(const Answer& answer, absl::string_view conversation, absl::Time now) {
  const auto root = ParseJson(answer.body);
  const auto code = root.ok() ? JsonWhole(FindMember(*root, {"status_code"})) : std::nullopt;
  if (answer.http_status != 200 || !code) return NoStream(answer, now);
  if (*code != 0) return CodeError(*code, Said(*root), false, false);
  const json::value* result =
      FindMember(*root, {"downlink_body", "batch_delete_user_conversation_downlink_body", "result", conversation});
  if (result != nullptr && result->is_bool() && !result->get_bool())
    return absl::NotFoundError("there is no such conversation");
  return absl::OkStatus();
}

}  // namespace switchyard::doubao
