// Qwen's credential: the cookies of a login on www.qianwen.com, or its ticket alone. What calls carry is the header's
// text. There is no refresh. Source: protocol notes of Qwen, section 2.
#pragma once

#include "services/session/refreshers/refresher.h"

namespace switchyard {

class QwenRefresher final : public Refresher {
 public:
  /// @param config of the platform; `http` and `random` outlive it
  QwenRefresher(ProviderConfig config, HttpClient& http, Random& random)
      : config_(std::move(config)), http_(http), random_(random) {}

  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override;
  /// "device_id": the cookie b-user-id, or a UUID of its own.
  Identity MakeIdentity(const Secret& credential) const override;
  boost::asio::awaitable<absl::Status> Check(Scope& scope, Secret token, Identity identity) const override;

 private:
  const ProviderConfig config_;
  HttpClient& http_;
  Random& random_;
};

/// What an answer of session/list says about the account. Pure. @param newer of dialect b, where `success` says it all
absl::Status ReadSessionList(int http_status, absl::string_view content_type, absl::string_view body,
                             bool newer = false);

}  // namespace switchyard
