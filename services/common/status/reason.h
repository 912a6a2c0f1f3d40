// The closed list of reasons (proto switchyard.common.v1.Reason) and what follows from each: one table.
//
//   absl::Status status = MakeError(Reason::REASON_ACCOUNT_MUTED, "deepseek: …", {.until = until});
//   ReasonTraits traits = TraitsOf(ReasonOf(status));   // 403, "upstream_account_error", "account_muted"
//
// Thread-safe: pure functions.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "switchyard/common/v1/error.pb.h"

namespace switchyard {

using Reason = common::v1::Reason;
using ErrorDetail = common::v1::ErrorDetail;

/// Everything that follows from a reason. Source: DESIGN section 3, "Errors".
struct ReasonTraits {
  Reason reason;
  absl::StatusCode status_code;
  int http_status;
  absl::string_view type;  // of the OpenAI error object
  absl::string_view code;  // of the OpenAI error object
  /// What `x-should-retry` says; unset where the HTTP status already tells an SDK the right thing.
  std::optional<bool> should_retry;
  /// Sent as Retry-After when the error itself does not say. Zero: no such header.
  absl::Duration default_retry_after;
};

/// The row of `reason`; that of REASON_INTERNAL for an unknown one.
const ReasonTraits& TraitsOf(Reason reason);

/// What an error may carry besides its reason and message. Every member is optional.
struct ErrorExtras {
  std::string field = {};                          // path into the OpenAI request
  std::optional<absl::Duration> retry_after = {};  // how long to wait before another try
  std::optional<absl::Time> until = {};            // end of a mute or a quota period
  std::string cause = {};                          // short stable word for logs and metrics
};

/// An error with a reason. The status code follows from the table. `message` says who and what was attempted and what
/// to do; it reaches the caller, so it holds no secret and no platform text that was not cleaned.
absl::Status MakeError(Reason reason, absl::string_view message, ErrorExtras extras = {});

/// The detail of `status`. For a status without one (from gRPC itself, or from a library) it is made from the code:
/// UNAVAILABLE is UPSTREAM_UNAVAILABLE, DEADLINE_EXCEEDED is DEADLINE, and so on; otherwise INTERNAL.
ErrorDetail DetailOf(const absl::Status& status);
/// Whether it carries a detail of the relay's own; if not, its message is a library's.
bool HasDetail(const absl::Status& status);
Reason ReasonOf(const absl::Status& status);

/// The same error with another message.
absl::Status WithMessage(const absl::Status& status, absl::string_view message);

/// The name of a reason without its prefix, in lower case: "account_muted".
std::string ReasonName(Reason reason);

}  // namespace switchyard
