// A chat turn on DeepSeek: create a session, solve a challenge, ask, stream the answer, continue it where it was cut.
//
// Thread-safe.
#pragma once

#include <string>

#include "services/common/provider/provider.h"
#include "services/deepseek/platform.h"

namespace switchyard::deepseek {

class DeepSeekProvider final : public Provider {
 public:
  using Settings = deepseek::Settings;

  DeepSeekProvider(Settings settings, const ProviderTools& tools);

  absl::string_view platform() const override { return kPlatform; }
  boost::asio::awaitable<absl::StatusOr<FinishReason>> Run(Turn& turn) override;
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

}  // namespace switchyard::deepseek
