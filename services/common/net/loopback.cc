#include "services/common/net/loopback.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace switchyard {
namespace {

bool IsLoopbackV4(absl::string_view host) {
  constexpr size_t kDigits = 3;
  if (!absl::ConsumePrefix(&host, "127.")) return false;
  for (int parts = 0; parts < 3; ++parts) {
    const size_t dot = host.find('.');
    const absl::string_view part = host.substr(0, dot);
    const bool digits = std::all_of(part.begin(), part.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
    if (part.empty() || part.size() > kDigits || !digits) return false;
    if (dot == absl::string_view::npos) return parts == 2;
    host.remove_prefix(dot + 1);
  }
  return false;
}

}  // namespace

bool IsLoopbackHost(absl::string_view host) {
  return absl::EqualsIgnoreCase(host, "localhost") || host == "::1" || IsLoopbackV4(host);
}

bool IsLoopbackListen(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return true;
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) return false;
  absl::string_view host = address.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) return absl::ConsumeSuffix(&host, "]") && host == "::1";
  return host != "::1" && IsLoopbackHost(host);
}

}  // namespace switchyard
