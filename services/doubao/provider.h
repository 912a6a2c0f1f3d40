// A chat turn on Doubao: ask, stream the answer, delete the conversation afterwards.
//
// Thread-safe.
#pragma once

#include <string>

#include "services/common/provider/provider.h"
#include "services/doubao/platform.h"

namespace switchyard::doubao {

class DoubaoProvider final : public Provider {
 public:
  using Settings = doubao::Settings;

  DoubaoProvider(Settings settings, const ProviderTools& tools);

  absl::string_view platform() const override { return kPlatform; }
  Abilities abilities(const ModelEntry& model) const override;
  boost::asio::awaitable<absl::StatusOr<FinishReason>> Run(Turn& turn) override;
  /// There is no such call: the closed connection says it.
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

}  // namespace switchyard::doubao
