// Which addresses belong to the public internet: the only ones that a request's own addresses may lead to. Pure.
//
//   IsPublicAddress("93.184.216.34")            // true
//   IsPublicAddress("::ffff:169.254.169.254")   // false: what is embedded counts
//
// Source: the IANA registries of special-purpose IPv4 and IPv6 addresses (2025-10).
#pragma once

#include "absl/strings/string_view.h"

namespace switchyard {

/// @param address in its usual text form, without brackets or zone; anything else is not public
bool IsPublicAddress(absl::string_view address);

}  // namespace switchyard
