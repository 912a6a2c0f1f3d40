// MiniMax's credential: the JWT of `_token`, alone or as "<realUserID>+<JWT>". It is the token, and while it lives it
// is renewed by itself. Source: protocol notes of MiniMax, section 2.
#pragma once

#include "services/minimax/platform.h"
#include "services/session/refreshers/refresher.h"

namespace switchyard {

class MiniMaxRefresher final : public Refresher {
 public:
  /// @param config of the platform; what `tools` names outlives it
  MiniMaxRefresher(const ProviderConfig& config, const RefresherTools& tools)
      : settings_(minimax::Settings::From(config)), tools_(tools) {}

  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override;
  /// user_id, uuid and device_id.
  Identity MakeIdentity(const Secret& credential) const override;
  RefreshPolicy policy() const override;
  boost::asio::awaitable<absl::Status> Check(Scope& scope, Secret token, Identity identity) const override;
  boost::asio::awaitable<absl::StatusOr<FreshToken>> Refresh(Scope& scope, Secret credential,
                                                             Identity identity) const override;

 private:
  const minimax::Settings settings_;
  const RefresherTools tools_;
};

}  // namespace switchyard
