// The body of a request as JSON, strictly: one object, no key twice, valid UTF-8, bounded depth. Pure.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "boost/json/value.hpp"

namespace switchyard {

/// INVALID_ARGUMENT (INVALID_REQUEST) saying what is wrong, and where.
absl::StatusOr<boost::json::value> ParseBody(absl::string_view body);

}  // namespace switchyard
