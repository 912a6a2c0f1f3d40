#include "services/common/text/jwt.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "services/common/text/json.h"

namespace switchyard {

std::optional<boost::json::value> JwtClaims(absl::string_view token) {
  if (token.size() > 16384) return std::nullopt;
  const std::vector<absl::string_view> parts = absl::StrSplit(token, '.');
  if (parts.size() != 3 || parts[1].empty()) return std::nullopt;
  std::string payload;
  if (!absl::WebSafeBase64Unescape(parts[1], &payload)) return std::nullopt;
  auto claims = ParseJson(payload);
  if (!claims.ok() || !claims->is_object()) return std::nullopt;
  return *std::move(claims);
}

}  // namespace switchyard
