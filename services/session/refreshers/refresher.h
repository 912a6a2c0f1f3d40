// What a platform's credentials need of the session service: their form, whether they are still good, what belongs to
// an account for its whole life, and, where a platform has short-lived tokens, how a new one is had.
//
// A *credential* is what the owner configures and what lives long; a *token* is what calls to the platform carry. Where
// a platform has no such difference, the credential is the token.
#pragma once

#include <map>
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
#include "services/common/time/clock.h"
#include "services/common/time/random.h"
#include "services/signing/client/signing_client.h"

namespace switchyard {

/// What refreshers borrow; all outlives them.
struct RefresherTools {
  HttpClient& http;
  SigningClient& signing;
  const Clock& clock;
  Random& random;
};

/// Device ids and the like, made once an account and kept, by name.
using Identity = std::map<std::string, std::string>;

/// A configured value as the platform wants it.
struct NormalCredential {
  Secret value;
  std::string advice = {};  // what was odd about the pasted value and was put right; empty if nothing
  // The value is a credential that has to be exchanged, by Refresh(), for a token; otherwise it is the token.
  bool exchanged = false;
  // Of a value that is the token, when it can be read off it: after this it is worthless.
  absl::Time expires = absl::InfiniteFuture();
};

/// A short-lived token got for a credential. `rotated` replaces the credential and must be durable before `token` is
/// used.
struct FreshToken {
  Secret token;
  absl::Time expires = absl::InfiniteFuture();
  std::optional<Secret> rotated = {};
};

/// How early a token is replaced, and whether that can lose anything.
struct RefreshPolicy {
  // A token with less than this left is replaced before it is lent; zero where nothing is ever refreshed.
  absl::Duration lead = absl::ZeroDuration();
  // The exchange may make the credential that was sent worthless, so it is journalled before it is sent.
  bool rotates = false;
  // A token that was configured as such is renewed by Refresh(), too.
  bool renews_token = false;
};

/// Thread-safe.
class Refresher {
 public:
  virtual ~Refresher() = default;

  /// INVALID_ARGUMENT, without quoting the value, if it cannot be one of this platform; the message says what is wrong
  /// with it and, where it can be told, what was pasted instead.
  virtual absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const = 0;

  /// What a new account keeps for its whole life. Called once an account; the result is stored. What the credential
  /// itself says (a device id among its claims) comes before anything random.
  virtual Identity MakeIdentity(const Secret& credential) const {
    (void)credential;
    return {};
  }

  virtual RefreshPolicy policy() const { return {}; }

  /// Asks the platform whether the token is good. OK, or the reason it is not: CREDENTIAL_EXPIRED, ACCOUNT_MUTED, …;
  /// UPSTREAM_* if the platform could not be asked.
  virtual boost::asio::awaitable<absl::Status> Check(Scope& scope, Secret token, Identity identity) const = 0;

  /// A new token for the credential; for a token that is renewed by itself, the token is the credential and comes back
  /// as `rotated` too. CREDENTIAL_EXPIRED if the platform refuses the credential; any other error says nothing about
  /// it. With policy().rotates, an error that leaves open whether the platform has rotated (no whole answer came) is
  /// not NothingReached(). UNIMPLEMENTED where there is no such thing.
  virtual boost::asio::awaitable<absl::StatusOr<FreshToken>> Refresh(Scope& scope, Secret credential,
                                                                     Identity identity) const;
};

/// The refresher of a platform; nullptr if there is none yet.
std::unique_ptr<Refresher> MakeRefresher(const std::string& platform, const ProviderConfig& config,
                                         const RefresherTools& tools);

}  // namespace switchyard
