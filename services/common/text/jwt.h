// What a JSON web token says about itself. Its signature is its issuer's business and is not looked at.
//
//   auto claims = JwtClaims(token);
//   if (claims) … JsonText(FindMember(*claims, {"type"})) …
//
// Pure.
#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "boost/json/value.hpp"

namespace switchyard {

/// The payload, an object; nullopt if the text is no such token.
std::optional<boost::json::value> JwtClaims(absl::string_view token);

}  // namespace switchyard
