// DeepSeek's credential: the value of `userToken`, used as it is. There is no refresh. Source: protocol notes,
// section 2.
#pragma once

#include "services/session/refreshers/refresher.h"

namespace switchyard {

class DeepSeekRefresher final : public Refresher {
 public:
  /// @param config of the platform; `http` outlives it
  DeepSeekRefresher(ProviderConfig config, HttpClient& http) : config_(std::move(config)), http_(http) {}

  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override;
  boost::asio::awaitable<absl::Status> Check(Scope& scope, Secret token, Identity identity) const override;

 private:
  const ProviderConfig config_;
  HttpClient& http_;
};

/// What an answer of users/current says about the account. Pure.
absl::Status ReadCurrentUser(int http_status, absl::string_view content_type, absl::string_view body);

}  // namespace switchyard
