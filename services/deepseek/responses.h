// What DeepSeek's answers say: the JSON envelope of its calls, and every way it says no. One table of its codes.
//
// Pure. Source: protocol notes of DeepSeek, sections 2.5, 3.0, 3.6, 4.6 and 5.2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "boost/json/value.hpp"
#include "services/common/http/http_types.h"
#include "switchyard/signing/v1/signing.pb.h"

namespace switchyard::deepseek {

struct Answer {
  int http_status = 0;
  HttpHeaders headers = {};
  std::string body = {};
};

/// `biz_data` of a call that succeeded; null where there is none. Otherwise the platform's error by its reason.
absl::StatusOr<boost::json::value> ReadEnvelope(const Answer& answer, absl::Time now);

/// Whether the response is an event stream; otherwise it is an envelope that holds an error.
bool IsEventStream(int http_status, const HttpHeaders& headers);
/// Why a call for a stream got none.
absl::Status NoStream(const Answer& answer, absl::Time now);

/// The whole message that a continuation may be answered with instead of a stream; null if it is none.
boost::json::value WholeMessage(const Answer& answer);

/// Whether a call failed because the platform does not know the conversation.
bool IsUnknownSession(const absl::Status& status);

/// `biz_data` of session creation: the session's id. UPSTREAM_CHANGED if there is none.
absl::StatusOr<std::string> SessionId(const boost::json::value& biz_data);

/// `biz_data` of challenge creation. UPSTREAM_CHANGED if it is no challenge for `target_path`.
absl::StatusOr<signing::v1::DeepSeekProofOfWork> Challenge(const boost::json::value& biz_data,
                                                           absl::string_view target_path);

/// A file as the platform describes it, after its upload and from time to time until it has been read.
struct FileState {
  std::string id = {};
  std::string status = {};  // PENDING, PARSING, SUCCESS, or why not
};
/// `biz_data` of an upload. UPSTREAM_CHANGED if it describes no file.
absl::StatusOr<FileState> UploadedFile(const boost::json::value& biz_data);
/// `biz_data` of a question about files.
absl::StatusOr<std::vector<FileState>> FileStates(const boost::json::value& biz_data);
bool IsRead(const FileState& file);
/// OK while the file is on its way or has been read; otherwise what is wrong with it.
absl::Status FileError(const FileState& file);

/// A hint that ends the turn. @param has_content whether the answer had begun
absl::Status HintError(const boost::json::value& hint, bool has_content);
/// An object in the stream that is no patch: OK, or the error in it.
absl::Status InStreamError(const boost::json::object& object);
/// An answer that ended by a status word without having said anything.
absl::Status StatusError(absl::string_view word);

}  // namespace switchyard::deepseek
