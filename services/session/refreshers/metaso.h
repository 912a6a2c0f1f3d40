// Metaso's credential: the cookies `uid` and `sid`, written `uid-sid`. What calls carry is the header's text,
// "uid=…; sid=…". There is no refresh. Source: protocol notes of Metaso, section 2.
#pragma once

#include "services/session/refreshers/refresher.h"

namespace switchyard {

class MetasoRefresher final : public Refresher {
 public:
  /// @param config of the platform; `http` outlives it
  MetasoRefresher(ProviderConfig config, HttpClient& http) : config_(std::move(config)), http_(http) {}

  absl::StatusOr<NormalCredential> Normalise(const Secret& configured) const override;
  boost::asio::awaitable<absl::Status> Check(Scope& scope, Secret token, Identity identity) const override;

 private:
  const ProviderConfig config_;
  HttpClient& http_;
};

/// What an answer of my-info says about the account. Pure.
absl::Status ReadMyInfo(int http_status, absl::string_view content_type, absl::string_view body);

}  // namespace switchyard
