// A chat turn on MiniMax Agent: say it, then look again and again until the answer has ended.
//
// Thread-safe.
#pragma once

#include <string>

#include "services/common/provider/provider.h"
#include "services/minimax/platform.h"

namespace switchyard::minimax {

class MiniMaxProvider final : public Provider {
 public:
  using Settings = minimax::Settings;

  MiniMaxProvider(Settings settings, const ProviderTools& tools);

  absl::string_view platform() const override { return kPlatform; }
  Abilities abilities(const ModelEntry& model) const override;
  bool Serves(const ModelEntry& model) const override;
  boost::asio::awaitable<absl::StatusOr<FinishReason>> Run(Turn& turn) override;
  /// There is no such call: a chat ends by itself.
  boost::asio::awaitable<absl::Status> StopGeneration(Scope& scope, const Account& account,
                                                      const std::string& ref) override;
  /// A chat that is still being answered cannot be deleted, so this waits for it, a while.
  boost::asio::awaitable<absl::Status> DeleteConversation(Scope& scope, const Account& account,
                                                          const std::string& ref) override;

 private:
  Settings settings_;
  const ProviderTools tools_;
};

}  // namespace switchyard::minimax
