#include "edge/origin_guard.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "services/common/net/loopback.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

bool IsDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
}

template <typename Allowed>
absl::Status CheckOriginIs(const HttpHeaders& headers, Allowed allowed) {
  const auto origin = headers.Find("origin");
  if (!origin) return absl::OkStatus();
  absl::string_view authority = *origin;
  const bool known = absl::ConsumePrefix(&authority, "http://") || absl::ConsumePrefix(&authority, "https://");
  if (known && allowed(authority)) return absl::OkStatus();
  return MakeError(Reason::REASON_CALLER_FORBIDDEN,
                   "This relay has no API keys, so pages from elsewhere may not use it.");
}

}  // namespace

bool IsLoopbackAuthority(absl::string_view authority) {
  absl::string_view host = authority;
  if (absl::StartsWith(host, "[")) {
    const size_t close = host.find(']');
    if (close == absl::string_view::npos) return false;
    const absl::string_view rest = host.substr(close + 1);
    return host.substr(0, close + 1) == "[::1]" && (rest.empty() || (rest[0] == ':' && IsDigits(rest.substr(1))));
  }
  if (const size_t colon = host.find(':'); colon != absl::string_view::npos) {
    if (!IsDigits(host.substr(colon + 1))) return false;
    host = host.substr(0, colon);
  }
  return IsLoopbackHost(host);
}

absl::Status CheckLocal(const HttpHeaders& headers) {
  if (!IsLoopbackAuthority(headers.Get("host"))) {
    return MakeError(
        Reason::REASON_CALLER_FORBIDDEN,
        "This relay has no API keys, so it answers only to localhost: use http://localhost in the address.");
  }
  return CheckOriginIs(headers, [](absl::string_view authority) { return IsLoopbackAuthority(authority); });
}

absl::Status CheckOrigin(const HttpHeaders& headers) {
  const absl::string_view host = headers.Get("host");
  return CheckOriginIs(headers, [host](absl::string_view authority) {
    return IsLoopbackAuthority(authority) || (!host.empty() && absl::EqualsIgnoreCase(authority, host));
  });
}

}  // namespace switchyard
