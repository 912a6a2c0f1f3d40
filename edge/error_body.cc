#include "edge/error_body.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"

namespace switchyard {
namespace {

std::string OpenAiObject(absl::string_view message, absl::string_view type, absl::string_view param,
                         absl::string_view code) {
  std::string out = R"({"error":{"message":)";
  AppendJsonString(out, ReplaceInvalidUtf8(message));
  out += R"(,"type":)";
  AppendJsonString(out, type);
  out += R"(,"param":)";
  if (param.empty()) {
    out += "null";
  } else {
    AppendJsonString(out, ReplaceInvalidUtf8(param));
  }
  out += R"(,"code":)";
  AppendJsonString(out, code);
  out += "}}";
  return out;
}

// Source: Anthropic API reference, "Errors". What is not listed is the caller's fault below 500, else the server's.
absl::string_view AnthropicType(int http_status) {
  switch (http_status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return http_status < 500 ? "invalid_request_error" : "api_error";
  }
}

// `details.error_code` says what the closed list of types cannot.
std::string AnthropicObject(int http_status, absl::string_view message, absl::string_view code,
                            absl::string_view request_id) {
  std::string out = R"({"type":"error","error":{"type":)";
  AppendJsonString(out, AnthropicType(http_status));
  out += R"(,"message":)";
  AppendJsonString(out, ReplaceInvalidUtf8(message));
  out += R"(,"details":{"error_code":)";
  AppendJsonString(out, code);
  out += R"(}},"request_id":)";
  AppendJsonString(out, request_id);
  out += "}";
  return out;
}

int64_t WholeSeconds(absl::Duration wait) {
  return std::max<int64_t>(1, absl::ToInt64Seconds(absl::Ceil(wait, absl::Seconds(1))));
}

}  // namespace

std::string ErrorMessage(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kUnavailable && !HasDetail(status))
    return "a service of the relay cannot be reached; ask again";
  return status.message().empty() ? std::string("the relay failed without saying why")
                                  : ReplaceInvalidUtf8(status.message());
}

ErrorForm ErrorFormOf(absl::string_view path) {
  constexpr absl::string_view kMessages = "/v1/messages";
  return path == kMessages || absl::StartsWith(path, absl::StrCat(kMessages, "/")) ? ErrorForm::kAnthropic
                                                                                   : ErrorForm::kOpenAi;
}

std::string ErrorObject(const absl::Status& status, ErrorForm form, absl::string_view request_id) {
  const ErrorDetail detail = DetailOf(status);
  const ReasonTraits& traits = TraitsOf(detail.reason());
  if (form == ErrorForm::kAnthropic)
    return AnthropicObject(traits.http_status, ErrorMessage(status), traits.code, request_id);
  return OpenAiObject(ErrorMessage(status), traits.type, detail.field(), traits.code);
}

ErrorAnswer MakeErrorAnswer(const absl::Status& status, ErrorForm form, absl::string_view request_id) {
  const ErrorDetail detail = DetailOf(status);
  const ReasonTraits& traits = TraitsOf(detail.reason());
  ErrorAnswer answer;
  answer.http_status = traits.http_status;
  answer.headers.Add("Content-Type", "application/json");
  absl::Duration wait = traits.default_retry_after;
  if (detail.has_retry_after())
    wait = absl::Seconds(detail.retry_after().seconds()) + absl::Nanoseconds(detail.retry_after().nanos());
  const bool later = traits.http_status == 429 || traits.http_status == 503;
  if (later && wait > absl::ZeroDuration() && traits.should_retry.value_or(true))
    answer.headers.Add("Retry-After", absl::StrCat(WholeSeconds(wait)));
  if (traits.should_retry) answer.headers.Add("x-should-retry", *traits.should_retry ? "true" : "false");
  if (traits.http_status == 401) answer.headers.Add("WWW-Authenticate", "Bearer");
  if (form == ErrorForm::kAnthropic) answer.headers.Add("request-id", request_id);
  answer.body = ErrorObject(status, form, request_id);
  return answer;
}

std::string HttpErrorBody(int http_status, absl::string_view message, ErrorForm form, absl::string_view request_id) {
  const bool caller = http_status < 500;
  const absl::string_view code = caller ? "invalid_request" : "internal_error";
  if (form == ErrorForm::kAnthropic) return AnthropicObject(http_status, message, code, request_id);
  return OpenAiObject(message, caller ? "invalid_request_error" : "server_error", "", code);
}

}  // namespace switchyard
