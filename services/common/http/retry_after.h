// What a server says about when to come back.
#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace switchyard {

/// A Retry-After value, seconds or an HTTP date, clamped to 1 s to 10 min; nullopt for anything else.
/// Source: RFC 9110, section 10.2.3; fault list, Q1.
std::optional<absl::Duration> ParseRetryAfter(absl::string_view value, absl::Time now);

}  // namespace switchyard
