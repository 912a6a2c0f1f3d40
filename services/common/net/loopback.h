// Whether an address is this machine's own and nobody else's. Pure.
#pragma once

#include "absl/strings/string_view.h"

namespace switchyard {

/// "localhost" in any case, "::1", or four numbers that begin with 127. "127.evil.example" begins like an address and
/// is none.
bool IsLoopbackHost(absl::string_view host);

/// The same for "host:port", "[::1]:port" and "unix:/path".
bool IsLoopbackListen(absl::string_view address);

}  // namespace switchyard
