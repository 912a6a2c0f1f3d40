// A chat turn on Zhipu: one signed call, which opens the conversation and streams the answer.
//
// Thread-safe.
#pragma once

#include <string>

#include "services/common/provider/provider.h"
#include "services/zhipu/platform.h"

namespace switchyard::zhipu {

class ZhipuProvider final : public Provider {
 public:
  using Settings = zhipu::Settings;

  ZhipuProvider(Settings settings, const ProviderTools& tools) : settings_(std::move(settings)), tools_(tools) {}

  absl::string_view platform() const override { return kPlatform; }
  Abilities abilities(const ModelEntry& model) const override;
  boost::asio::awaitable<absl::StatusOr<FinishReason>> Run(Turn& turn) override;
  boost::asio::awaitable<absl::Status> StopGeneration(Scope& scope, const Account& account,
                                                      const std::string& ref) override;
  boost::asio::awaitable<absl::Status> DeleteConversation(Scope& scope, const Account& account,
                                                          const std::string& ref) override;

 private:
  boost::asio::awaitable<absl::Status> Perform(Scope& scope, HttpRequest request, int& http_status);

  const Settings settings_;
  const ProviderTools tools_;
};

}  // namespace switchyard::zhipu
