// Doubao's credential: the cookie `sessionid` of a signed-in page, alone or within a cookie string, used as it is.
// There is no refresh; an account keeps one device. Source: protocol notes of Doubao, sections 2 and 3.1.
#pragma once

#include "services/session/refreshers/refresher.h"

namespace switchyard {

class DoubaoRefresher final : public Refresher {
 public:
  /// @param config of the platform; what `tools` names outlives it
  DoubaoRefresher(ProviderConfig config, const RefresherTools& tools)
      : config_(std::move(config)), http_(tools.http), clock_(tools.clock), random_(tools.random) {}

  /// Always a cookie string that begins with both cookies of the session.
  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override;
  /// device_id, web_id, tea_uuid, fp and web_tab_id.
  Identity MakeIdentity(const Secret& credential) const override;
  boost::asio::awaitable<absl::Status> Check(Scope& scope, Secret token, Identity identity) const override;

 private:
  const ProviderConfig config_;
  HttpClient& http_;
  const Clock& clock_;
  Random& random_;
};

/// What an answer of the account call says about the account. Pure.
absl::Status ReadDoubaoAccount(int http_status, absl::string_view content_type, absl::string_view body);

}  // namespace switchyard
