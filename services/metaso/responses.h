// What Metaso's answers say: its page, the JSON envelope of its calls, and every way it says no. One table of its
// codes.
//
// Pure. Source: protocol notes of Metaso, sections 2, 3, 4 and 9.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "boost/json/value.hpp"
#include "services/common/http/http_types.h"
#include "services/common/text/secret.h"

namespace switchyard::metaso {

struct Answer {
  int http_status = 0;
  HttpHeaders headers = {};
  std::string body = {};
};

/// The token in the page. CAPTCHA_PENDING for a challenge in its place, CREDENTIAL_EXPIRED for a page without one.
absl::StatusOr<Secret> ReadPage(const Answer& answer, absl::Time now);

/// The whole envelope of a call that succeeded, otherwise the platform's error by its reason.
absl::StatusOr<boost::json::value> ReadEnvelope(const Answer& answer, absl::Time now);

/// The id in the envelope of a new session. UPSTREAM_CHANGED if there is none.
absl::StatusOr<std::string> SessionId(const boost::json::value& envelope);

/// Whether the response is an event stream; otherwise it is an envelope or a page.
bool IsEventStream(int http_status, const HttpHeaders& headers);
/// Why a call for a stream got none.
absl::Status NoStream(const Answer& answer, absl::Time now);

/// An error of the platform by its code, a number or a word. @param said the platform's own words
/// @param has_content whether the answer had begun
absl::Status CodeError(absl::string_view code, absl::string_view said, bool has_content);

/// Causes of errors that a login which is no longer good may have, too.
inline constexpr absl::string_view kTooManyCause = "too_many_requests";
inline constexpr absl::string_view kQuotaCause = "code_4001";
/// What my-info says: whether the platform knows nobody by these cookies. False if it could not be told.
bool SaysAnonymous(const Answer& answer);
absl::Status ExpiredError(absl::string_view cause);

/// Whether the code was an envelope's and in no table: the one way that a token which is no longer good shows itself.
bool IsUnknownRefusal(const absl::Status& status);

}  // namespace switchyard::metaso
