#include "services/common/status/reason.h"

#include <gtest/gtest.h>

#include "services/common/status/grpc_status.h"

namespace switchyard {
namespace {

using absl::StatusCode;

struct Row {
  Reason reason;
  StatusCode code;
  int http;
  const char* type;
  const char* error_code;
  bool later;  // carries Retry-After
};

// The table of the design, written down a second time.
const Row kRows[] = {
    {Reason::REASON_INVALID_REQUEST, StatusCode::kInvalidArgument, 400, "invalid_request_error", "invalid_request",
     false},
    {Reason::REASON_UNSUPPORTED_PARAMETER, StatusCode::kInvalidArgument, 400, "invalid_request_error",
     "unsupported_parameter", false},
    {Reason::REASON_CONTEXT_TOO_LONG, StatusCode::kInvalidArgument, 400, "invalid_request_error",
     "context_length_exceeded", false},
    {Reason::REASON_CONTENT_REFUSED, StatusCode::kFailedPrecondition, 400, "invalid_request_error",
     "content_policy_violation", false},
    {Reason::REASON_CALLER_UNKNOWN, StatusCode::kUnauthenticated, 401, "invalid_request_error", "invalid_api_key",
     false},
    {Reason::REASON_CALLER_FORBIDDEN, StatusCode::kPermissionDenied, 403, "permission_error", "permission_denied",
     false},
    {Reason::REASON_MODEL_NOT_FOUND, StatusCode::kNotFound, 404, "invalid_request_error", "model_not_found", false},
    {Reason::REASON_CREDENTIAL_MISSING, StatusCode::kFailedPrecondition, 403, "upstream_account_error",
     "credential_missing", false},
    {Reason::REASON_CREDENTIAL_EXPIRED, StatusCode::kFailedPrecondition, 403, "upstream_account_error",
     "credential_expired", false},
    {Reason::REASON_ACCOUNT_MUTED, StatusCode::kFailedPrecondition, 403, "upstream_account_error", "account_muted",
     false},
    {Reason::REASON_ACCOUNT_BANNED, StatusCode::kFailedPrecondition, 403, "upstream_account_error", "account_banned",
     false},
    {Reason::REASON_CAPTCHA_PENDING, StatusCode::kFailedPrecondition, 403, "upstream_account_error", "captcha_pending",
     false},
    {Reason::REASON_CLIENT_REFUSED, StatusCode::kFailedPrecondition, 403, "upstream_account_error", "client_refused",
     false},
    {Reason::REASON_QUOTA_SPENT, StatusCode::kFailedPrecondition, 429, "insufficient_quota", "insufficient_quota",
     false},
    {Reason::REASON_CALLER_RATE_LIMITED, StatusCode::kResourceExhausted, 429, "rate_limit_error", "caller_rate_limited",
     true},
    {Reason::REASON_ACCOUNT_BUSY, StatusCode::kResourceExhausted, 429, "rate_limit_error", "account_busy", true},
    {Reason::REASON_RATE_LIMITED, StatusCode::kResourceExhausted, 429, "rate_limit_error", "rate_limited", true},
    {Reason::REASON_OVERLOADED, StatusCode::kUnavailable, 503, "server_error", "overloaded", true},
    {Reason::REASON_NO_BACKEND, StatusCode::kUnavailable, 503, "server_error", "no_backend", true},
    {Reason::REASON_UPSTREAM_UNAVAILABLE, StatusCode::kUnavailable, 502, "upstream_error", "upstream_unavailable",
     false},
    {Reason::REASON_UPSTREAM_BROKEN, StatusCode::kDataLoss, 502, "upstream_error", "upstream_broken", false},
    {Reason::REASON_UPSTREAM_EMPTY, StatusCode::kDataLoss, 502, "upstream_error", "upstream_empty", false},
    {Reason::REASON_UPSTREAM_CHANGED, StatusCode::kInternal, 502, "upstream_error", "upstream_changed", false},
    {Reason::REASON_SIGNATURE_REFUSED, StatusCode::kInternal, 502, "upstream_error", "signature_refused", false},
    {Reason::REASON_DEADLINE, StatusCode::kDeadlineExceeded, 504, "timeout_error", "deadline_exceeded", false},
    {Reason::REASON_INTERNAL, StatusCode::kInternal, 500, "server_error", "internal_error", false},
};

TEST(Reasons, FollowTheDesign) {
  for (const Row& row : kRows) {
    const ReasonTraits& traits = TraitsOf(row.reason);
    EXPECT_EQ(traits.reason, row.reason);
    EXPECT_EQ(traits.status_code, row.code) << row.error_code;
    EXPECT_EQ(traits.http_status, row.http) << row.error_code;
    EXPECT_EQ(traits.type, row.type) << row.error_code;
    EXPECT_EQ(traits.code, row.error_code);
    EXPECT_EQ(traits.default_retry_after > absl::ZeroDuration(), row.later) << row.error_code;
    EXPECT_EQ(MakeError(row.reason, "m").code(), row.code);
  }
}

TEST(Reasons, AllAreInTheTable) {
  for (int i = common::v1::Reason_MIN; i <= common::v1::Reason_MAX; ++i) {
    if (!common::v1::Reason_IsValid(i) || i == common::v1::REASON_UNSPECIFIED) continue;
    EXPECT_EQ(TraitsOf(static_cast<Reason>(i)).reason, static_cast<Reason>(i))
        << common::v1::Reason_Name(static_cast<Reason>(i));
  }
}

TEST(Reasons, NothingIsRetriedThatCannotHelp) {
  for (const Reason reason :
       {Reason::REASON_QUOTA_SPENT, Reason::REASON_UPSTREAM_CHANGED, Reason::REASON_SIGNATURE_REFUSED})
    EXPECT_EQ(TraitsOf(reason).should_retry, false);
}

TEST(GrpcStatus, CarriesTheWholeError) {
  const absl::Status error = MakeError(Reason::REASON_ACCOUNT_MUTED, "muted",
                                       {.field = "f",
                                        .retry_after = absl::Milliseconds(1500),
                                        .until = absl::FromUnixSeconds(1793003600),
                                        .cause = "c"});
  const absl::Status back = FromGrpcStatus(ToGrpcStatus(error));
  EXPECT_EQ(back.code(), error.code());
  EXPECT_EQ(back.message(), "muted");
  EXPECT_EQ(DetailOf(back).SerializeAsString(), DetailOf(error).SerializeAsString());
  EXPECT_EQ(DetailOf(back).retry_after().nanos(), 500'000'000);
  EXPECT_TRUE(FromGrpcStatus(ToGrpcStatus(absl::OkStatus())).ok());
}

TEST(GrpcStatus, WithoutADetailTheCodeDecides) {
  EXPECT_EQ(ReasonOf(FromGrpcStatus(grpc::Status(grpc::StatusCode::UNAVAILABLE, "x"))), Reason::REASON_NO_BACKEND);
  EXPECT_EQ(ReasonOf(FromGrpcStatus(grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "x"))), Reason::REASON_DEADLINE);
  EXPECT_EQ(ReasonOf(FromGrpcStatus(grpc::Status(grpc::StatusCode::UNKNOWN, "x"))), Reason::REASON_INTERNAL);
  EXPECT_EQ(ReasonOf(FromGrpcStatus(grpc::Status(grpc::StatusCode::UNAVAILABLE, "x", "not a detail"))),
            Reason::REASON_NO_BACKEND);
}

}  // namespace
}  // namespace switchyard
