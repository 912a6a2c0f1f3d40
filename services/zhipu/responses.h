// What Zhipu's answers say: the JSON envelope of its calls, and every way it says no. One table of its codes.
//
// Pure. Source: protocol notes of Zhipu, sections 2.4, 3.3, 4.6, 5.2 and 9.2.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "boost/json/value.hpp"
#include "services/common/http/http_types.h"

namespace switchyard::zhipu {

struct Answer {
  int http_status = 0;
  HttpHeaders headers = {};
  std::string body = {};
};

/// OK if the call succeeded; otherwise the platform's error by its reason.
absl::Status ReadEnvelope(const Answer& answer, absl::Time now);

/// What an upload was answered with: the file's id and address, which the platform gives as an object or in a list.
struct UploadResult {
  std::string id = {};
  std::string url = {};
};
absl::StatusOr<UploadResult> ReadUpload(const Answer& answer, absl::Time now);

bool IsEventStream(int http_status, const HttpHeaders& headers);
/// Why a call for a stream got none.
absl::Status NoStream(const Answer& answer, absl::Time now);

/// Whether the risk filter refused a request, which a later one with another signature may pass.
bool IsRiskFilter(const absl::Status& status);

/// Whether the platform said no by a code that is not in the table: of an upload, that it is about the file.
bool IsUnknownCode(const absl::Status& status);

/// A stream without a byte: the login is stale, or, where one was named, the conversation is somebody else's.
absl::Status NothingStreamed(bool continued);
/// The error that a frame of the stream carries.
absl::Status FrameError(const boost::json::value& error);
/// An envelope in place of a frame: OK if it says nothing is wrong.
absl::Status EnvelopeInStream(const boost::json::value& object);

}  // namespace switchyard::zhipu
