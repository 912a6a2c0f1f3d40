// Debian builds Abseil with its own string_view, and Boost's converts only to std's: these two bridge.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace switchyard {

inline std::string_view ToStd(absl::string_view view) { return {view.data(), view.size()}; }

/// For anything with data() and size(): std::string_view, boost::json::string, boost::core::string_view.
template <typename View>
absl::string_view ToAbsl(const View& view) {
  return {view.data(), view.size()};
}

}  // namespace switchyard
