// MD5 as lower-case hex: two platforms sign with it.
//
// Thread-safe: a pure function.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace switchyard {

/// 32 lower-case hex digits.
std::string Md5Hex(absl::string_view bytes);

}  // namespace switchyard
