#include "services/common/status/reason.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/strip.h"

namespace switchyard {
namespace {

constexpr absl::string_view kDetailUrl = "type.googleapis.com/switchyard.common.v1.ErrorDetail";

using absl::StatusCode;
using namespace switchyard::common::v1;  // NOLINT(google-build-using-namespace): the table below is all of it

constexpr auto kNoWait = absl::ZeroDuration();

// Source: DESIGN section 3. A wait is the default where the error itself knows no better one.
const std::array kTable = {
    ReasonTraits{REASON_INTERNAL, StatusCode::kInternal, 500, "server_error", "internal_error", {}, kNoWait},
    ReasonTraits{REASON_INVALID_REQUEST,
                 StatusCode::kInvalidArgument,
                 400,
                 "invalid_request_error",
                 "invalid_request",
                 {},
                 kNoWait},
    ReasonTraits{REASON_UNSUPPORTED_PARAMETER,
                 StatusCode::kInvalidArgument,
                 400,
                 "invalid_request_error",
                 "unsupported_parameter",
                 {},
                 kNoWait},
    ReasonTraits{REASON_CONTEXT_TOO_LONG,
                 StatusCode::kInvalidArgument,
                 400,
                 "invalid_request_error",
                 "context_length_exceeded",
                 {},
                 kNoWait},
    ReasonTraits{REASON_CONTENT_REFUSED,
                 StatusCode::kFailedPrecondition,
                 400,
                 "invalid_request_error",
                 "content_policy_violation",
                 {},
                 kNoWait},
    ReasonTraits{REASON_CALLER_UNKNOWN,
                 StatusCode::kUnauthenticated,
                 401,
                 "invalid_request_error",
                 "invalid_api_key",
                 {},
                 kNoWait},
    ReasonTraits{REASON_CALLER_FORBIDDEN,
                 StatusCode::kPermissionDenied,
                 403,
                 "permission_error",
                 "permission_denied",
                 {},
                 kNoWait},
    ReasonTraits{REASON_CALLER_RATE_LIMITED,
                 StatusCode::kResourceExhausted,
                 429,
                 "rate_limit_error",
                 "caller_rate_limited",
                 {},
                 absl::Seconds(5)},
    ReasonTraits{
        REASON_MODEL_NOT_FOUND, StatusCode::kNotFound, 404, "invalid_request_error", "model_not_found", {}, kNoWait},
    ReasonTraits{REASON_CREDENTIAL_MISSING,
                 StatusCode::kFailedPrecondition,
                 403,
                 "upstream_account_error",
                 "credential_missing",
                 {},
                 kNoWait},
    ReasonTraits{REASON_CREDENTIAL_EXPIRED,
                 StatusCode::kFailedPrecondition,
                 403,
                 "upstream_account_error",
                 "credential_expired",
                 {},
                 kNoWait},
    ReasonTraits{REASON_ACCOUNT_MUTED,
                 StatusCode::kFailedPrecondition,
                 403,
                 "upstream_account_error",
                 "account_muted",
                 {},
                 kNoWait},
    ReasonTraits{REASON_ACCOUNT_BANNED,
                 StatusCode::kFailedPrecondition,
                 403,
                 "upstream_account_error",
                 "account_banned",
                 {},
                 kNoWait},
    ReasonTraits{REASON_CAPTCHA_PENDING,
                 StatusCode::kFailedPrecondition,
                 403,
                 "upstream_account_error",
                 "captcha_pending",
                 {},
                 kNoWait},
    ReasonTraits{REASON_CLIENT_REFUSED,
                 StatusCode::kFailedPrecondition,
                 403,
                 "upstream_account_error",
                 "client_refused",
                 {},
                 kNoWait},
    ReasonTraits{REASON_QUOTA_SPENT, StatusCode::kFailedPrecondition, 429, "insufficient_quota", "insufficient_quota",
                 false, kNoWait},
    ReasonTraits{REASON_ACCOUNT_BUSY,
                 StatusCode::kResourceExhausted,
                 429,
                 "rate_limit_error",
                 "account_busy",
                 {},
                 absl::Seconds(5)},
    ReasonTraits{REASON_RATE_LIMITED,
                 StatusCode::kResourceExhausted,
                 429,
                 "rate_limit_error",
                 "rate_limited",
                 {},
                 absl::Seconds(30)},
    ReasonTraits{REASON_OVERLOADED, StatusCode::kUnavailable, 503, "server_error", "overloaded", {}, absl::Seconds(1)},
    ReasonTraits{REASON_NO_BACKEND, StatusCode::kUnavailable, 503, "server_error", "no_backend", {}, absl::Seconds(2)},
    ReasonTraits{REASON_UPSTREAM_UNAVAILABLE,
                 StatusCode::kUnavailable,
                 502,
                 "upstream_error",
                 "upstream_unavailable",
                 {},
                 kNoWait},
    ReasonTraits{REASON_UPSTREAM_BROKEN, StatusCode::kDataLoss, 502, "upstream_error", "upstream_broken", {}, kNoWait},
    ReasonTraits{REASON_UPSTREAM_EMPTY, StatusCode::kDataLoss, 502, "upstream_error", "upstream_empty", {}, kNoWait},
    ReasonTraits{REASON_UPSTREAM_CHANGED, StatusCode::kInternal, 502, "upstream_error", "upstream_changed", false,
                 kNoWait},
    ReasonTraits{REASON_SIGNATURE_REFUSED, StatusCode::kInternal, 502, "upstream_error", "signature_refused", false,
                 kNoWait},
    ReasonTraits{
        REASON_DEADLINE, StatusCode::kDeadlineExceeded, 504, "timeout_error", "deadline_exceeded", {}, kNoWait},
};

// What a status without a detail means: it comes from gRPC itself or from a library.
Reason ReasonFromCode(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
      return REASON_INVALID_REQUEST;
    case StatusCode::kUnauthenticated:
      return REASON_CALLER_UNKNOWN;
    case StatusCode::kPermissionDenied:
      return REASON_CALLER_FORBIDDEN;
    case StatusCode::kResourceExhausted:
      return REASON_OVERLOADED;
    case StatusCode::kUnavailable:
      return REASON_NO_BACKEND;
    case StatusCode::kDeadlineExceeded:
      return REASON_DEADLINE;
    case StatusCode::kDataLoss:
      return REASON_UPSTREAM_BROKEN;
    default:
      return REASON_INTERNAL;
  }
}

}  // namespace

const ReasonTraits& TraitsOf(Reason reason) {
  for (const ReasonTraits& row : kTable) {
    if (row.reason == reason) return row;
  }
  return kTable.front();
}

absl::Status MakeError(Reason reason, absl::string_view message, ErrorExtras extras) {
  ErrorDetail detail;
  detail.set_reason(reason);
  detail.set_field(std::move(extras.field));
  detail.set_cause(std::move(extras.cause));
  if (extras.retry_after) {
    const absl::Duration wait = std::max(*extras.retry_after, absl::ZeroDuration());
    absl::Duration rest;
    detail.mutable_retry_after()->set_seconds(absl::IDivDuration(wait, absl::Seconds(1), &rest));
    detail.mutable_retry_after()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  }
  if (extras.until) detail.mutable_until()->set_seconds(absl::ToUnixSeconds(*extras.until));

  absl::Status status(TraitsOf(reason).status_code, message);
  status.SetPayload(kDetailUrl, absl::Cord(detail.SerializeAsString()));
  return status;
}

ErrorDetail DetailOf(const absl::Status& status) {
  ErrorDetail detail;
  if (auto payload = status.GetPayload(kDetailUrl)) {
    if (detail.ParseFromString(std::string(*payload)) && detail.reason() != REASON_UNSPECIFIED) return detail;
    detail.Clear();
  }
  detail.set_reason(ReasonFromCode(status.code()));
  return detail;
}

bool HasDetail(const absl::Status& status) { return status.GetPayload(kDetailUrl).has_value(); }

Reason ReasonOf(const absl::Status& status) { return DetailOf(status).reason(); }

absl::Status WithMessage(const absl::Status& status, absl::string_view message) {
  absl::Status renamed(status.code(), message);
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { renamed.SetPayload(url, payload); });
  return renamed;
}

std::string ReasonName(Reason reason) {
  const std::string& name = Reason_Name(reason);
  return absl::AsciiStrToLower(absl::StripPrefix(name, "REASON_"));
}

}  // namespace switchyard
