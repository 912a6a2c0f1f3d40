// A chat turn on Kimi: upload pictures and files, ask, stream the answer; the chat that the platform made is deleted
// afterwards.
//
// Thread-safe.
#pragma once

#include <string>

#include "services/common/provider/provider.h"
#include "services/kimi/platform.h"

namespace switchyard::kimi {

class KimiProvider final : public Provider {
 public:
  using Settings = kimi::Settings;

  KimiProvider(Settings settings, const ProviderTools& tools);

  absl::string_view platform() const override { return kPlatform; }
  bool Serves(const ModelEntry& model) const override;
  boost::asio::awaitable<absl::StatusOr<FinishReason>> Run(Turn& turn) override;
  /// There is no such call: closing the connection ends a generation.
  boost::asio::awaitable<absl::Status> StopGeneration(Scope& scope, const Account& account,
                                                      const std::string& ref) override;
  boost::asio::awaitable<absl::Status> DeleteConversation(Scope& scope, const Account& account,
                                                          const std::string& ref) override;

 private:
  Settings settings_;
  HttpClient& http_;
  const Clock& clock_;
  Random& random_;
};

}  // namespace switchyard::kimi
