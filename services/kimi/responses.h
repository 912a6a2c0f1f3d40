// Every way Kimi says no: the error object of its calls and of a stream's end frame, by one table of codes; and what
// its small calls answer. Pure. Source: protocol notes of Kimi, sections 2.4, 3.4 and 5.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "boost/json/value.hpp"
#include "services/common/http/http_types.h"

namespace switchyard::kimi {

struct Answer {
  int http_status = 0;
  HttpHeaders headers = {};
  std::string body = {};
};

/// {"code", "message", "details"} as an error. @param has_content whether an answer had begun
absl::Status ConnectError(const boost::json::value& error, bool has_content);

/// block.exception: CONTENT_REFUSED where its reason names content or safety, else trouble on the platform's side.
absl::Status ExceptionError(const boost::json::value& exception, bool has_content);
/// The platform's own words in an error object, cleaned; may be empty.
std::string LocalizedMessage(const boost::json::value& error);

/// Whether the response is a stream of envelopes; otherwise it holds an error.
bool IsConnectStream(int http_status, const HttpHeaders& headers);
/// The JSON of a call that succeeded.
absl::StatusOr<boost::json::value> ReadUnary(const Answer& answer, absl::Time now);
/// Why a call for a stream got none.
absl::Status NoStream(const Answer& answer, absl::Time now);

/// The file's id in the answer to an upload.
absl::StatusOr<std::string> FileId(const boost::json::value& uploaded);

/// Whether the platform found fault with what was sent: in an upload, with the file.
bool IsBadArgument(const absl::Status& status);
/// What was named in the call is not there.
bool SaysNotFound(const absl::Status& status);
/// The same, or the call itself is not there.
bool IsUnknownChat(const absl::Status& status);

}  // namespace switchyard::kimi
