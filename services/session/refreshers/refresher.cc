#include "services/session/refreshers/refresher.h"

#include "services/session/refreshers/deepseek.h"
#include "services/session/refreshers/doubao.h"
#include "services/session/refreshers/kimi.h"
#include "services/session/refreshers/metaso.h"
#include "services/session/refreshers/minimax.h"
#include "services/session/refreshers/qwen.h"
#include "services/session/refreshers/zhipu.h"

namespace switchyard {

boost::asio::awaitable<absl::StatusOr<FreshToken>> Refresher::Refresh(Scope&, Secret, Identity) const {
  co_return absl::UnimplementedError("this platform's credential is its token");
}

std::unique_ptr<Refresher> MakeRefresher(const std::string& platform, const ProviderConfig& config,
                                         const RefresherTools& tools) {
  if (platform == "deepseek") return std::make_unique<DeepSeekRefresher>(config, tools.http);
  if (platform == "kimi") return std::make_unique<KimiRefresher>(config, tools);
  if (platform == "metaso") return std::make_unique<MetasoRefresher>(config, tools.http);
  if (platform == "doubao") return std::make_unique<DoubaoRefresher>(config, tools);
  if (platform == "qwen") return std::make_unique<QwenRefresher>(config, tools.http, tools.random);
  if (platform == "zhipu") return std::make_unique<ZhipuRefresher>(config, tools);
  if (platform == "minimax") return std::make_unique<MiniMaxRefresher>(config, tools);
  return nullptr;
}

}  // namespace switchyard
