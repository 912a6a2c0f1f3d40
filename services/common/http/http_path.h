// Request targets to paths: one normalisation, then routing.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace switchyard {

struct HttpTarget {
  std::string path;   // percent-decoded once, dot segments resolved, starts with '/'
  std::string query;  // raw
};

/// INVALID_ARGUMENT for a target that is neither origin form, absolute http form nor "*", for broken escapes and for
/// NUL.
absl::StatusOr<HttpTarget> ParseTarget(absl::string_view target);

}  // namespace switchyard
