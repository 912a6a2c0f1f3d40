#include "services/kimi/responses.h"

#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/http/retry_after.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"

namespace switchyard::kimi {

namespace json = boost::json;

namespace {

constexpr int64_t kQuoteLength = 200;
constexpr absl::string_view kExpired = "kimi no longer accepts the account's token";
constexpr absl::string_view kLimited = "kimi limits the account's rate of requests";
constexpr absl::string_view kForm = "kimi refused the form of the request";
constexpr absl::string_view kTrouble = "kimi has trouble of its own";

struct CodeRow {
  absl::string_view code;
  Reason reason;
  absl::string_view message;
};
// Codes of the Connect protocol, then the error types of the older interface.
constexpr std::array kCodes = {
    CodeRow{"unauthenticated", Reason::REASON_CREDENTIAL_EXPIRED, kExpired},
    CodeRow{"permission_denied", Reason::REASON_CLIENT_REFUSED,
            "kimi does not allow this for the account's plan or region"},
    CodeRow{"resource_exhausted", Reason::REASON_RATE_LIMITED, kLimited},
    CodeRow{"invalid_argument", Reason::REASON_UPSTREAM_CHANGED, kForm},
    CodeRow{"failed_precondition", Reason::REASON_UPSTREAM_CHANGED, kForm},
    CodeRow{"out_of_range", Reason::REASON_UPSTREAM_CHANGED, kForm},
    CodeRow{"unimplemented", Reason::REASON_UPSTREAM_CHANGED, "kimi no longer has this call"},
    CodeRow{"not_found", Reason::REASON_UPSTREAM_CHANGED, "kimi does not know what was asked for"},
    CodeRow{"deadline_exceeded", Reason::REASON_DEADLINE, "kimi took too long by its own rules"},
    CodeRow{"unavailable", Reason::REASON_UPSTREAM_UNAVAILABLE, kTrouble},
    CodeRow{"internal", Reason::REASON_UPSTREAM_UNAVAILABLE, kTrouble},
    CodeRow{"unknown", Reason::REASON_UPSTREAM_UNAVAILABLE, kTrouble},
    CodeRow{"data_loss", Reason::REASON_UPSTREAM_UNAVAILABLE, kTrouble},
    CodeRow{"aborted", Reason::REASON_UPSTREAM_UNAVAILABLE, kTrouble},
    CodeRow{"already_exists", Reason::REASON_UPSTREAM_UNAVAILABLE, kTrouble},
    CodeRow{"canceled", Reason::REASON_UPSTREAM_BROKEN, "kimi cancelled the answer"},
    CodeRow{"auth.token.invalid", Reason::REASON_CREDENTIAL_EXPIRED, kExpired},
    CodeRow{"auth.account_abnormal", Reason::REASON_ACCOUNT_BANNED, "kimi has flagged the account as abnormal"},
    CodeRow{"chat.user_stream_pushing", Reason::REASON_RATE_LIMITED,
            "kimi is still answering another chat of the account"},
};

absl::Status Changed(absl::string_view what, absl::string_view cause) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("kimi's answer was not understood: ", what),
                   {.cause = std::string(cause)});
}

absl::string_view DebugReason(const json::value& error) {
  if (const json::value* details = FindMember(error, {"details"}); details != nullptr && details->is_array()) {
    for (const json::value& detail : details->get_array()) {
      const absl::string_view reason = JsonText(FindMember(detail, {"debug", "reason"}));
      if (!reason.empty()) return reason;
    }
  }
  return JsonText(FindMember(error, {"debug", "reason"}));
}

/// An error by the HTTP status alone; OK if the body has to be looked at.
absl::Status HttpError(const Answer& answer, absl::Time now) {
  const int status = answer.http_status;
  const absl::string_view type = answer.headers.Get("content-type");
  if (status == 401) return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, kExpired, {.cause = "token"});
  if (status == 429) {
    auto wait = ParseRetryAfter(answer.headers.Get("retry-after"), now);
    return MakeError(Reason::REASON_RATE_LIMITED, kLimited, {.retry_after = wait, .cause = "http_429"});
  }
  if (status == 403 || (status == 200 && absl::StrContains(type, "html"))) {
    return MakeError(Reason::REASON_CLIENT_REFUSED, "kimi refuses this relay's address or client for now",
                     {.cause = status == 403 ? "http_403" : "html"});
  }
  if (status == 404) return MakeError(Reason::REASON_UPSTREAM_CHANGED, "kimi has no such call", {.cause = "not_found"});
  if (status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("kimi answered with HTTP status ", status),
                     {.cause = "http_5xx"});
  if (status != 200) return Changed(absl::StrCat("HTTP status ", status), "http_status");
  return absl::OkStatus();
}

}  // namespace

std::string LocalizedMessage(const json::value& error) {
  absl::string_view said = JsonText(FindMember(error, {"message"}));
  if (said.empty()) said = JsonText(FindMember(error, {"localizedMessage", "message"}));
  const json::value* details = FindMember(error, {"details"});
  if (said.empty() && details != nullptr && details->is_array()) {
    for (const json::value& detail : details->get_array()) {
      said = JsonText(FindMember(detail, {"debug", "localizedMessage", "message"}));
      if (!said.empty()) break;
    }
  }
  return CleanQuote(said, kQuoteLength);
}

absl::Status ConnectError(const json::value& error, bool has_content) {
  absl::string_view code = JsonText(FindMember(error, {"code"}));
  if (code.empty()) code = JsonText(FindMember(error, {"error_type"}));
  const absl::string_view debug = DebugReason(error);
  for (const CodeRow& row : kCodes) {
    if (row.code != code) continue;
    Reason reason = row.reason;
    if (reason == Reason::REASON_RATE_LIMITED && absl::StrContains(debug, "QUOTA")) reason = Reason::REASON_QUOTA_SPENT;
    if (reason == Reason::REASON_UPSTREAM_UNAVAILABLE && has_content) reason = Reason::REASON_UPSTREAM_BROKEN;
    const std::string said = LocalizedMessage(error);
    return MakeError(reason, absl::StrCat(row.message, said.empty() ? "" : ": ", said), {.cause = std::string(code)});
  }
  return MakeError(Reason::REASON_UPSTREAM_CHANGED,
                   absl::StrCat("kimi answered with an unknown error ", CleanQuote(code, 40)),
                   {.cause = "unknown_code"});
}

absl::Status ExceptionError(const json::value& exception, bool has_content) {
  const json::value* error = FindMember(exception, {"error"});
  const absl::string_view reason = error == nullptr ? absl::string_view() : JsonText(FindMember(*error, {"reason"}));
  if (absl::StrContains(reason, "CONTENT") || absl::StrContains(reason, "SAFETY"))
    return MakeError(Reason::REASON_CONTENT_REFUSED, "kimi refused to answer this conversation",
                     {.cause = "exception"});
  return MakeError(has_content ? Reason::REASON_UPSTREAM_BROKEN : Reason::REASON_UPSTREAM_UNAVAILABLE,
                   absl::StrCat("kimi gave up: ", CleanQuote(reason, 80)), {.cause = "exception"});
}

bool IsConnectStream(int http_status, const HttpHeaders& headers) {
  return http_status == 200 && absl::StartsWithIgnoreCase(headers.Get("content-type"), "application/connect+json");
}

absl::StatusOr<json::value> ReadUnary(const Answer& answer, absl::Time now) {
  auto root = ParseJson(answer.body);
  // The code says more than the status, where there is one; a 429 has its wait in the header.
  if (root.ok() && answer.http_status != 429) {
    const bool named =
        !JsonText(FindMember(*root, {"code"})).empty() || !JsonText(FindMember(*root, {"error_type"})).empty();
    if (named) return ConnectError(*root, false);
  }
  if (auto status = HttpError(answer, now); !status.ok()) return status;
  if (!root.ok()) return Changed("it is not JSON", "not_json");
  return *std::move(root);
}

absl::Status NoStream(const Answer& answer, absl::Time now) {
  auto root = ReadUnary(answer, now);
  return root.ok() ? Changed("it is no stream", "no_stream") : root.status();
}

absl::StatusOr<std::string> FileId(const json::value& uploaded) {
  const absl::string_view id = JsonText(FindMember(uploaded, {"file", "id"}));
  if (id.empty() || id.size() > 256) return Changed("an uploaded file has no id", "file_id");
  return std::string(id);
}

bool IsBadArgument(const absl::Status& status) { return DetailOf(status).cause() == "invalid_argument"; }
bool SaysNotFound(const absl::Status& status) { return DetailOf(status).cause() == "not_found"; }

bool IsUnknownChat(const absl::Status& status) {
  return SaysNotFound(status) || DetailOf(status).cause() == "unimplemented";
}

}  // namespace switchyard::kimi
