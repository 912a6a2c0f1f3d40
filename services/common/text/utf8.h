// UTF-8: validity, counting, cutting. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace switchyard {

/// Bytes of the well-formed sequence at the front of `text` (1 to 4), or 0 if there is none. Overlong forms, surrogates
/// and values above U+10FFFF are not well-formed.
size_t Utf8SequenceLength(absl::string_view text);

bool IsValidUtf8(absl::string_view text);

/// Code points of well-formed text.
int64_t CountCodePoints(absl::string_view text);

/// The text with every ill-formed byte replaced by U+FFFD.
std::string ReplaceInvalidUtf8(absl::string_view text);

/// At most `code_points` of it, control characters dropped, for quoting what a platform said.
std::string CleanQuote(absl::string_view text, int64_t code_points);

}  // namespace switchyard
