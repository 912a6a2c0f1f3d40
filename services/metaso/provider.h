// A chat turn on Metaso: take the page's token, open a session, search; or, in the newer dialect, ask in one call.
//
// Thread-safe.
#pragma once

#include <string>

#include "services/common/provider/provider.h"
#include "services/metaso/cool_downs.h"
#include "services/metaso/meta_tokens.h"
#include "services/metaso/platform.h"

namespace switchyard::metaso {

/// What is known of accounts from one turn to the next.
struct AccountMemory {
  explicit AccountMemory(const Clock& clock) : tokens(clock), rests(clock) {}

  MetaTokens tokens;
  CoolDowns rests;
};

class MetasoProvider final : public Provider {
 public:
  using Settings = metaso::Settings;

  MetasoProvider(Settings settings, const ProviderTools& tools);

  absl::string_view platform() const override { return kPlatform; }
  Abilities abilities(const ModelEntry& model) const override;
  /// A search engine searches for all it is given: by default the last message alone.
  chat::v1::HistoryMode default_history() const override;
  boost::asio::awaitable<absl::StatusOr<FinishReason>> Run(Turn& turn) override;
  /// There is no such call: the closed connection is all the platform gets.
  boost::asio::awaitable<absl::Status> StopGeneration(Scope& scope, const Account& account,
                                                      const std::string& ref) override;
  /// There is no such call: what was searched for stays in the account's history.
  boost::asio::awaitable<absl::Status> DeleteConversation(Scope& scope, const Account& account,
                                                          const std::string& ref) override;

 private:
  Settings settings_;
  const Clock& clock_;
  Random& random_;
  AccountMemory memory_;
};

}  // namespace switchyard::metaso
