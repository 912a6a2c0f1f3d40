// What Qwen's answers say: the JSON envelope of its calls, and every way it says no. One table of its codes.
//
// Pure. Source: protocol notes of Qwen, sections 2, 3.1, 3.2, 5 and 9.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "boost/json/value.hpp"
#include "services/common/http/http_types.h"
#include "services/qwen/requests.h"

namespace switchyard::qwen {

struct Answer {
  int http_status = 0;
  HttpHeaders headers = {};
  std::string body = {};
};

/// Of a call that is answered by an envelope: OK, or the platform's error by its reason.
absl::Status ReadEnvelope(const Answer& answer, absl::Time now);

/// `data` of a call that succeeded.
absl::StatusOr<boost::json::value> ReadData(const Answer& answer, absl::Time now);
/// Leave to upload; UPSTREAM_CHANGED if some of it is missing.
absl::StatusOr<UploadTicket> TicketIn(const boost::json::value& data);
/// Whether the object store took an object.
absl::Status StoreError(const Answer& answer);
/// The address of a picture.
absl::StatusOr<std::string> ImageUrl(const boost::json::value& data);
/// The address of the one document asked for. INVALID_REQUEST (cause document) if the platform will not have it.
absl::StatusOr<std::string> DocumentUrl(const boost::json::value& data);
/// Whether the one document asked for has been looked through. INVALID_REQUEST (cause document) if it failed.
absl::StatusOr<bool> IsLookedThrough(const boost::json::value& data);
bool IsAboutDocument(const absl::Status& status);

/// Whether the response is an event stream; otherwise it holds an error.
bool IsEventStream(int http_status, const HttpHeaders& headers);
/// Why a call for a stream got none.
absl::Status NoStream(const Answer& answer, absl::Time now);
/// The same of the site's newer call, whose gateway turns clients away with 404 or a page.
absl::Status NoChat2Stream(const Answer& answer, absl::Time now);

/// The error behind an `errorCode`. @param said its `errorMsg`
absl::Status CodeError(absl::string_view code, absl::string_view said);

/// Whether a call failed because the platform does not know the conversation.
bool IsUnknownSession(const absl::Status& status);
/// Whether an error in place of an answer means that nothing was generated.
bool IsRefusal(const absl::Status& status);

/// What the platform says, as an answer, to clients that it no longer serves.
inline constexpr absl::string_view kRetiredSentence = "你正在使用较早版本，为了获得更好的对话体验，请升级至最新版。";
absl::Status RetiredError();

}  // namespace switchyard::qwen
