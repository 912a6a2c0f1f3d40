// Every way in which Doubao says no, and one table of its codes.
//
// Pure. Source: protocol notes of Doubao, sections 2, 3.2 and 4.3.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "boost/json/value.hpp"
#include "services/common/http/http_types.h"

namespace switchyard::doubao {

struct Answer {
  int http_status = 0;
  HttpHeaders headers = {};
  std::string body = {};
};

/// A code of the platform as an error. @param said its words, quoted where the code is unknown
/// @param verify whether it asks for a human check
/// @param has_content whether the answer had begun
absl::Status CodeError(int64_t code, absl::string_view said, bool verify, bool has_content);

/// The data of STREAM_ERROR, STREAM_MSG_ERROR or, in dialect B, of event 2005.
absl::Status StreamError(const boost::json::value& data, bool has_content);
/// The data of gateway-error, whose code is inside its text.
absl::Status GatewayError(const boost::json::value& data, bool has_content);

/// Whether the response is an event stream; its status says nothing.
bool IsEventStream(const HttpHeaders& headers);
/// Why a call for a stream got none.
absl::Status NoStream(const Answer& answer, absl::Time now);

/// What came of a deletion: HTTP 200 alone is no success.
absl::Status ReadDeletion(const Answer& answer, absl::string_view conversation, absl::Time now);

}  // namespace switchyard::doubao
