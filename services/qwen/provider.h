// A chat turn on Qwen, in either dialect: one call, answered by a stream; its session is deleted afterwards.
//
// Thread-safe.
#pragma once

#include <string>

#include "services/common/provider/provider.h"
#include "services/qwen/platform.h"
#include "services/qwen/xsrf_memory.h"

namespace switchyard::qwen {

class QwenProvider final : public Provider {
 public:
  using Settings = qwen::Settings;

  QwenProvider(Settings settings, const ProviderTools& tools);

  absl::string_view platform() const override { return kPlatform; }
  Abilities abilities(const ModelEntry& model) const override;
  /// How the newer call takes uploads is not known.
  bool TakesUploads() const override { return settings_.dialect == Dialect::kDialog; }
  boost::asio::awaitable<absl::StatusOr<FinishReason>> Run(Turn& turn) override;
  /// Nothing to do: the platform stops when the connection closes.
  boost::asio::awaitable<absl::Status> StopGeneration(Scope& scope, const Account& account,
                                                      const std::string& ref) override;
  boost::asio::awaitable<absl::Status> DeleteConversation(Scope& scope, const Account& account,
                                                          const std::string& ref) override;

 private:
  const Settings settings_;
  HttpClient& http_;
  const Clock& clock_;
  Random& random_;
  XsrfMemory xsrf_;
};

}  // namespace switchyard::qwen
