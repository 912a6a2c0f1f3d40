// Kimi's credential: a refresh token that is exchanged for access tokens of about fifteen minutes and rotates. A
// configured access token is used as it is. Source: protocol notes of Kimi, section 2.
#pragma once

#include "services/session/refreshers/refresher.h"

namespace switchyard {

class KimiRefresher final : public Refresher {
 public:
  KimiRefresher(ProviderConfig config, const RefresherTools& tools) : config_(std::move(config)), tools_(tools) {}

  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override;
  Identity MakeIdentity(const Secret& credential) const override;
  RefreshPolicy policy() const override;
  boost::asio::awaitable<absl::Status> Check(Scope& scope, Secret token, Identity identity) const override;
  boost::asio::awaitable<absl::StatusOr<FreshToken>> Refresh(Scope& scope, Secret credential,
                                                             Identity identity) const override;

 private:
  const ProviderConfig config_;
  const RefresherTools tools_;
};

/// Where tokens are refreshed: `auth_url` if that is set, else the site's auth host; a server without one serves both.
std::string KimiAuthOrigin(absl::string_view base_url, absl::string_view auth_url);
/// The pair in an answer of RefreshToken. Pure.
absl::StatusOr<FreshToken> ReadKimiTokens(int http_status, absl::string_view body);
/// What an answer of GetSubscription says about the token. Pure.
absl::Status ReadKimiSubscription(int http_status, absl::string_view body);

}  // namespace switchyard
