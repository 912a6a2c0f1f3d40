// Who calls: the JWT, what its claims say, and the ids of the device it was given to.
//
//   Login login = LoginOf(account.token, account.identity);
//   … "&user_id=" + login.user_id …
//
// Pure. Source: protocol notes of MiniMax, section 2.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/common/text/secret.h"

namespace switchyard::minimax {

/// What a token says of itself. Nothing is verified: only the platform has the key.
struct Claims {
  std::string user_id = {};    // of the login; not for every account the one that calls name
  std::string device_id = {};  // may be missing
  bool guest = false;
  absl::Time expires = absl::InfiniteFuture();
};
/// nullopt if `jwt` is not three base64url parts with a JSON object in the middle.
std::optional<Claims> ReadClaims(absl::string_view jwt);

/// A token as an account holds it: "<JWT>" or "<realUserID>+<JWT>".
struct TokenParts {
  absl::string_view real_user_id = {};  // empty if not given
  absl::string_view jwt = {};
};
TokenParts SplitToken(absl::string_view token);

/// Names in an account's identity.
inline constexpr char kUserId[] = "user_id";
inline constexpr char kUuid[] = "uuid";
inline constexpr char kDeviceId[] = "device_id";

/// The device ids of an account: what the claims say, and for the rest what follows from the user's id, so that a
/// credential has the same ones wherever it is used.
std::map<std::string, std::string> DeviceOf(absl::string_view token);

/// Everything that a call says about its account.
struct Login {
  Secret jwt;
  std::string user_id;
  std::string uuid;
  std::string device_id;
};
/// @param identity as stored; what it lacks is derived
Login LoginOf(const Secret& token, const std::map<std::string, std::string>& identity);

}  // namespace switchyard::minimax
