// Errors in the API's own shape. Pure. Sources: services/common/status/reason.cc for the values, the API references of
// OpenAI and Anthropic for the shapes.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/common/http/http_types.h"

namespace switchyard {

/// Whose API the caller speaks.
enum class ErrorForm {
  kOpenAi,     // {"error":{"message","type","param","code"}}
  kAnthropic,  // {"type":"error","error":{"type","message"},"request_id"}
};

/// By path: everything at /v1/messages and below is Anthropic's.
ErrorForm ErrorFormOf(absl::string_view path);

struct ErrorAnswer {
  int http_status = 500;
  HttpHeaders headers;  // Retry-After, x-should-retry, content-type
  std::string body;
};

/// What a caller is told. gRPC's own words about a service that is away name addresses of the mesh, so they go no
/// further.
std::string ErrorMessage(const absl::Status& status);

/// For an answer that has not begun. @param request_id is named by Anthropic's form alone, in the body and as a header.
ErrorAnswer MakeErrorAnswer(const absl::Status& status, ErrorForm form = ErrorForm::kOpenAi,
                            absl::string_view request_id = "");

/// The body alone, for an event inside a stream.
std::string ErrorObject(const absl::Status& status, ErrorForm form = ErrorForm::kOpenAi,
                        absl::string_view request_id = "");

/// The same shape for what HTTP itself refuses: 404, 405, 413, 415, 431 …
std::string HttpErrorBody(int http_status, absl::string_view message, ErrorForm form = ErrorForm::kOpenAi,
                          absl::string_view request_id = "");

}  // namespace switchyard
