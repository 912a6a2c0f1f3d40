// Errors in the API's own shape. Pure. Source: DESIGN section 3 for the values, OpenAI API reference for the shape.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/common/http/http_types.h"

namespace switchyard {

struct ErrorAnswer {
  int http_status = 500;
  HttpHeaders headers;  // Retry-After, x-should-retry, content-type
  std::string body;     // {"error":{"message","type","param","code"}}
};

/// For an answer that has not begun.
ErrorAnswer MakeErrorAnswer(const absl::Status& status);

/// The error object alone, for an event inside a stream: {"error":{…}}.
std::string ErrorObject(const absl::Status& status);

/// The same shape for what HTTP itself refuses: 404, 405, 413, 415, 431 …
std::string HttpErrorBody(int http_status, absl::string_view message);

}  // namespace switchyard
