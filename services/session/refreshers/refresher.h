// What a platform's credentials need of the session service: their form, whether they are still good, and, where a
// platform has short-lived tokens, how a new one is had.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/text/secret.h"

namespace switchyard {

/// A configured value as the platform wants it.
struct NormalCredential {
  Secret value;
  std::string advice;  // what was odd about the pasted value and was put right; empty if nothing
};

/// A short-lived token got for a credential. `rotated` replaces the credential and must be durable before `token` is
/// used.
struct FreshToken {
  Secret token;
  absl::Time expires = absl::InfiniteFuture();
  std::optional<Secret> rotated;
};

/// Thread-safe.
class Refresher {
 public:
  virtual ~Refresher() = default;

  /// INVALID_ARGUMENT, without quoting the value, if it cannot be one of this platform.
  virtual absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const = 0;

  /// Asks the platform whether the token is good. OK, or the reason it is not: CREDENTIAL_EXPIRED, ACCOUNT_MUTED, …;
  /// UPSTREAM_* if the platform could not be asked.
  virtual boost::asio::awaitable<absl::Status> Check(Scope& scope, Secret token) const = 0;

  /// A new token for the credential. UNIMPLEMENTED where the credential itself is the token.
  virtual boost::asio::awaitable<absl::StatusOr<FreshToken>> Refresh(Scope& scope, Secret credential) const = 0;
};

/// The refresher of a platform; nullptr if there is none yet. `http` outlives it.
std::unique_ptr<Refresher> MakeRefresher(const std::string& platform, const ProviderConfig& config, HttpClient& http);

}  // namespace switchyard
