#include "services/zhipu/responses.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/http/retry_after.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"

namespace switchyard::zhipu {

namespace json = boost::json;

namespace {

constexpr int64_t kQuoteLength = 200;
// Source: protocol notes of Zhipu, section 4.
constexpr int64_t kGenerationAborted = 10024;
constexpr absl::string_view kExpired =
    "zhipu no longer accepts the account's login: sign in again and replace the token";
constexpr absl::string_view kLimited = "zhipu limits the account's rate of requests";
constexpr absl::string_view kRisk = "zhipu's risk filter refuses this relay's requests for now";
constexpr absl::string_view kSignature = "zhipu refused the request's signature";

struct CodeRow {
  int64_t code;
  Reason reason;
  absl::string_view message;
  absl::string_view cause;
};
// 40001 and 40002 say that a header is missing; one source takes 40001 for an expired login, which is no reason to
// give up a credential.
constexpr std::array kCodes = {
    CodeRow{40102, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{40103, Reason::REASON_CREDENTIAL_EXPIRED, kExpired, "token"},
    CodeRow{40001, Reason::REASON_UPSTREAM_CHANGED, "zhipu misses a header in the relay's request", "headers"},
    CodeRow{40002, Reason::REASON_UPSTREAM_CHANGED, "zhipu misses a header in the relay's request", "headers"},
    CodeRow{40011, Reason::REASON_SIGNATURE_REFUSED, kSignature, "signature"},
    CodeRow{40014, Reason::REASON_SIGNATURE_REFUSED, kSignature, "signature"},
    CodeRow{40012, Reason::REASON_CLIENT_REFUSED, kRisk, "risk_filter"},
    CodeRow{429, Reason::REASON_RATE_LIMITED, kLimited, "code_429"},
    CodeRow{500, Reason::REASON_UPSTREAM_UNAVAILABLE, "zhipu answered with an internal error", "code_500"},
};

absl::Status Changed(absl::string_view what, absl::string_view cause) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("zhipu's answer was not understood: ", what),
                   {.cause = std::string(cause)});
}

absl::Status CodeError(int64_t code, absl::string_view said) {
  // One of the sources knows this code from the message alone.
  if (absl::StrContains(said, "40102")) code = 40102;
  for (const CodeRow& row : kCodes) {
    if (row.code == code) return MakeError(row.reason, row.message, {.cause = std::string(row.cause)});
  }
  std::string message = absl::StrCat("zhipu answered with error ", code);
  if (!said.empty()) absl::StrAppend(&message, ": ", CleanQuote(said, kQuoteLength));
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, message, {.cause = "unknown_code"});
}

std::optional<int64_t> CodeOf(const json::value& envelope) {
  const auto status = JsonWhole(FindMember(envelope, {"status"}));
  const auto code = JsonWhole(FindMember(envelope, {"code"}));
  if (status && code) return *status == 0 || *code == 0 ? 0 : *status;
  return status ? status : code;
}

absl::string_view Said(const json::value& envelope) {
  const absl::string_view message = JsonText(FindMember(envelope, {"message"}));
  return message.empty() ? JsonText(FindMember(envelope, {"msg"})) : message;
}

}  // namespace

absl::Status ReadEnvelope(const Answer& answer, absl::Time now) {
  const int status = answer.http_status;
  auto root = ParseJson(answer.body);
  const bool is_json = root.ok() && root->is_object();
  const auto code = is_json ? CodeOf(*root) : std::nullopt;
  if (status == 429) {
    const auto wait = ParseRetryAfter(answer.headers.Get("retry-after"), now);
    return MakeError(Reason::REASON_RATE_LIMITED, kLimited, {.retry_after = wait, .cause = "http_429"});
  }
  if (status == 401) return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, kExpired, {.cause = "token"});
  if (status >= 500)
    return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, absl::StrCat("zhipu answered with HTTP status ", status),
                     {.cause = "http_5xx"});
  if (!is_json && (status == 400 || status == 403 || absl::StrContains(answer.headers.Get("content-type"), "html")))
    return MakeError(Reason::REASON_CLIENT_REFUSED, "the firewall before zhipu refuses this relay's address or client",
                     {.cause = "waf"});
  if (code && *code != 0) return CodeError(*code, Said(*root));
  if (status == 403) return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, kExpired, {.cause = "token"});
  if (status != 200) return Changed(absl::StrCat("HTTP status ", status), "http_status");
  if (!is_json) return Changed("it is not JSON", "envelope");
  return code ? absl::OkStatus() : Changed("it has no status", "envelope");
}

absl::StatusOr<UploadResult> ReadUpload(const Answer& answer, absl::Time now) {
  if (auto status = ReadEnvelope(answer, now); !status.ok()) return status;
  const auto root = ParseJson(answer.body);
  const json::value* result = FindMember(*root, {"result"});
  if (result != nullptr && result->is_array() && result->get_array().size() == 1) result = &result->get_array()[0];
  if (result == nullptr || !result->is_object()) return Changed("an upload has no result", "upload");
  absl::string_view id = JsonText(FindMember(*result, {"file_id"}));
  if (id.empty()) id = JsonText(FindMember(*result, {"source_id"}));
  const absl::string_view url = JsonText(FindMember(*result, {"file_url"}));
  if (id.empty() || url.empty() || id.size() > 256 || url.size() > 4096)
    return Changed("an uploaded file has no id or address", "upload");
  return UploadResult{std::string(id), std::string(url)};
}

bool IsEventStream(int http_status, const HttpHeaders& headers) {
  return http_status == 200 && absl::StrContains(headers.Get("content-type"), "text/event-stream");
}

absl::Status NoStream(const Answer& answer, absl::Time now) {
  const absl::Status status = ReadEnvelope(answer, now);
  return status.ok() ? Changed("it is no event stream", "no_stream") : status;
}

bool IsRiskFilter(const absl::Status& status) { return DetailOf(status).cause() == "risk_filter"; }

bool IsUnknownCode(const absl::Status& status) { return DetailOf(status).cause() == "unknown_code"; }

absl::Status NothingStreamed(bool continued) {
  if (!continued) return MakeError(Reason::REASON_CREDENTIAL_EXPIRED, kExpired, {.cause = "nothing_streamed"});
  return MakeError(Reason::REASON_INVALID_REQUEST, "zhipu no longer has this conversation",
                   {.field = "conversation_id", .cause = "nothing_streamed"});
}

absl::Status FrameError(const json::value& error) {
  auto code = JsonWhole(FindMember(error, {"error_code"}));
  if (!code) code = JsonWhole(FindMember(error, {"code"}));
  absl::string_view said = JsonText(FindMember(error, {"err_msg"}));
  if (said.empty()) said = JsonText(FindMember(error, {"message"}));
  if (code && *code != kGenerationAborted) return CodeError(*code, said);
  std::string message = "zhipu's answer broke off";
  if (code) absl::StrAppend(&message, " with error ", *code);
  if (!said.empty()) absl::StrAppend(&message, ": ", CleanQuote(said, kQuoteLength));
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, message, {.cause = "in_stream_error"});
}

absl::Status EnvelopeInStream(const json::value& object) {
  const auto code = CodeOf(object);
  return code && *code != 0 ? CodeError(*code, Said(object)) : absl::OkStatus();
}

}  // namespace switchyard::zhipu
