// Where a URL points, and by which proxy.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace switchyard {

struct Origin {
  bool tls = false;
  std::string host;          // without brackets
  std::string port;          // digits
  std::string target = "/";  // path and query
  std::string user_info;     // "user:password" of a proxy's URL

  std::string Authority() const;  // "host:port", brackets for IPv6; the port left out where it is the scheme's own
  std::string HostPort() const;   // always with the port
  std::string Key() const;        // for the pool
};

/// INVALID_ARGUMENT for anything but http and https with a host.
absl::StatusOr<Origin> ParseOrigin(absl::string_view url);

/// Whether `host` is one of the comma-separated hosts, ".suffixes" or "*" of `no_proxy`.
bool MatchesNoProxy(absl::string_view host, absl::string_view no_proxy);

}  // namespace switchyard
