#include "edge/data_url.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"

namespace switchyard {

std::optional<InlineData> ParseDataUrl(absl::string_view url) {
  constexpr size_t kScheme = 5;
  const size_t comma = url.find(',');
  if (!IsDataUrl(url) || comma == absl::string_view::npos) return std::nullopt;
  const absl::string_view head = url.substr(kScheme, comma - kScheme);
  if (!absl::EndsWithIgnoreCase(head, ";base64")) return std::nullopt;
  InlineData data;
  if (!absl::Base64Unescape(url.substr(comma + 1), &data.bytes)) return std::nullopt;
  data.media_type = absl::AsciiStrToLower(head.substr(0, head.find(';')));
  return data;
}

}  // namespace switchyard
