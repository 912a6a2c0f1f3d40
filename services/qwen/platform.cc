#include "services/qwen/platform.h"

namespace switchyard::qwen {

Settings Settings::From(const Config& config) {
  const ProviderConfig& provider = config.providers.at(kPlatform);
  Settings settings;
  settings.base_url = provider.base_url;
  settings.user_agent = provider.Option("user_agent");
  settings.idle_limit = config.http.idle_limit;
  return settings;
}

}  // namespace switchyard::qwen
