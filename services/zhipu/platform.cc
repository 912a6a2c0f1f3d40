#include "services/zhipu/platform.h"

#include "absl/strings/numbers.h"

namespace switchyard::zhipu {

Settings Settings::From(const Config& config) {
  const ProviderConfig& provider = config.providers.at(kPlatform);
  Settings settings;
  settings.base_url = provider.base_url;
  settings.dialect = provider.dialect == "current" ? Dialect::kCurrent : Dialect::kClassic;
  settings.user_agent = provider.Option("user_agent");
  settings.app_version = provider.Option("app_version");
  int64_t number = 0;
  if (absl::SimpleAtoi(provider.Option("risk_retries"), &number)) settings.risk_retries = static_cast<int>(number);
  if (absl::SimpleAtoi(provider.Option("risk_pause_ms"), &number)) settings.risk_pause = absl::Milliseconds(number);
  settings.idle_limit = config.http.idle_limit;
  return settings;
}

}  // namespace switchyard::zhipu
