// Keeps web pages away from a relay without API keys: a browser says where a request goes to and comes from, and only
// loopback will do for both. Pure. Source: DESIGN section 4, "Security".
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/common/http/http_types.h"

namespace switchyard {

/// PERMISSION_DENIED (CALLER_FORBIDDEN) unless Host, and Origin where there is one, name this machine.
absl::Status CheckLocal(const HttpHeaders& headers);

/// For a relay that others may reach: PERMISSION_DENIED unless there is no Origin, or it names this machine or the very
/// host that the request went to. No page of another site may use the accounts.
absl::Status CheckOrigin(const HttpHeaders& headers);

/// "localhost", "127.0.0.1:8000", "[::1]".
bool IsLoopbackAuthority(absl::string_view authority);

}  // namespace switchyard
