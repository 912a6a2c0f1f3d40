#include "services/common/net/host_port.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace switchyard {

std::optional<HostPort> ParseHostPort(absl::string_view text) {
  constexpr size_t kDigits = 5;
  constexpr int kLastPort = 65535;
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return std::nullopt;
  absl::string_view host = text.substr(0, colon);
  const absl::string_view digits = text.substr(colon + 1);
  const bool bracketed = absl::ConsumePrefix(&host, "[");
  if (bracketed && !absl::ConsumeSuffix(&host, "]")) return std::nullopt;
  if (absl::StrContains(host, ':') != bracketed) return std::nullopt;
  // SimpleAtoi would take a sign and spaces, too.
  const bool plain = std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
  int port;
  if (!plain || digits.size() > kDigits || !absl::SimpleAtoi(digits, &port) || port > kLastPort) return std::nullopt;
  return HostPort{std::string(host), static_cast<uint16_t>(port)};
}

std::string JoinHostPort(absl::string_view host, int port) {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

}  // namespace switchyard
