#include "services/common/http/retry_after.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace switchyard {

std::optional<absl::Duration> ParseRetryAfter(absl::string_view value, absl::Time now) {
  value = absl::StripAsciiWhitespace(value);
  if (value.empty()) return std::nullopt;
  absl::Duration wait;
  double seconds;
  absl::Time date;
  if (absl::SimpleAtod(value, &seconds)) {
    if (!(seconds >= 0)) return std::nullopt;
    wait = absl::Seconds(seconds);
  } else if (absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", value, &date, nullptr)) {
    wait = date - now;
  } else {
    return std::nullopt;
  }
  return std::clamp(wait, absl::Seconds(1), absl::Minutes(10));
}

}  // namespace switchyard
