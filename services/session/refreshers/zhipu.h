// Zhipu's credential: a refresh token, exchanged for access tokens; the exchange gives a new refresh token, too. An
// access token alone works until it expires. Source: protocol notes, section 2.
#pragma once

#include "services/session/refreshers/refresher.h"

namespace switchyard {

class ZhipuRefresher final : public Refresher {
 public:
  /// @param config of the platform; what `tools` holds outlives it
  ZhipuRefresher(ProviderConfig config, const RefresherTools& tools) : config_(std::move(config)), tools_(tools) {}

  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override;
  /// "device_id": the token's own, or one made up.
  Identity MakeIdentity(const Secret& credential) const override;
  RefreshPolicy policy() const override { return {.lead = absl::Minutes(5), .rotates = true}; }
  boost::asio::awaitable<absl::Status> Check(Scope& scope, Secret token, Identity identity) const override;
  boost::asio::awaitable<absl::StatusOr<FreshToken>> Refresh(Scope& scope, Secret credential,
                                                             Identity identity) const override;

 private:
  boost::asio::awaitable<absl::StatusOr<HttpRequest>> Request(Scope& scope, const char* method, const char* path,
                                                              const Secret& token, const Identity& identity) const;

  const ProviderConfig config_;
  const RefresherTools tools_;
};

/// What the answer to the exchange says. Pure.
absl::StatusOr<FreshToken> ReadZhipuExchange(int http_status, absl::string_view body, const Secret& sent,
                                             absl::Time now);
/// What an answer of user/info says about the account. Pure.
absl::Status ReadZhipuUser(int http_status, absl::string_view body);

}  // namespace switchyard
