#include "edge/error_body.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"

namespace switchyard {
namespace {

std::string Object(absl::string_view message, absl::string_view type, absl::string_view param, absl::string_view code) {
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

std::string Message(const absl::Status& status) {
  return status.message().empty() ? std::string("the relay failed without saying why") : std::string(status.message());
}

int64_t WholeSeconds(absl::Duration wait) {
  return std::max<int64_t>(1, absl::ToInt64Seconds(absl::Ceil(wait, absl::Seconds(1))));
}

}  // namespace

std::string ErrorObject(const absl::Status& status) {
  const ErrorDetail detail = DetailOf(status);
  const ReasonTraits& traits = TraitsOf(detail.reason());
  return Object(Message(status), traits.type, detail.field(), traits.code);
}

ErrorAnswer MakeErrorAnswer(const absl::Status& status) {
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
  answer.body = ErrorObject(status);
  return answer;
}

std::string HttpErrorBody(int http_status, absl::string_view message) {
  const bool caller = http_status < 500;
  return Object(message, caller ? "invalid_request_error" : "server_error", "",
                caller ? "invalid_request" : "internal_error");
}

}  // namespace switchyard
