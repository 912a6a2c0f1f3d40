// Bytes inside a URL: "data:image/png;base64,iVBORw0…". Pure. Source: RFC 2397.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace switchyard {

struct InlineData {
  std::string media_type;  // in lower case, without parameters; "" if it does not say
  std::string bytes;
};

inline bool IsDataUrl(absl::string_view url) { return url.substr(0, 5) == "data:"; }

/// nullopt unless it is a data URL that holds Base64.
std::optional<InlineData> ParseDataUrl(absl::string_view url);

}  // namespace switchyard
