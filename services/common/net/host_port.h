// "host:port", as settings and flags write it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace switchyard {

struct HostPort {
  std::string host;  // without brackets; may be empty
  uint16_t port = 0;
};

/// An IPv6 address, and nothing else, stands in brackets: "[::1]:8000". The port is in digits alone.
/// @return nothing if the text is none. Whether an empty host or port 0 will do, and what may be in a host, is the
/// caller's to say.
std::optional<HostPort> ParseHostPort(absl::string_view text);

/// The same as a text, an IPv6 address in brackets.
std::string JoinHostPort(absl::string_view host, int port);

}  // namespace switchyard
