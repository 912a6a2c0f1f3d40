#include "services/deepseek/platform.h"

#include "absl/strings/numbers.h"

namespace switchyard::deepseek {

Settings Settings::From(const Config& config) {
  const ProviderConfig& provider = config.providers.at(kPlatform);
  Settings settings;
  settings.base_url = provider.base_url;
  settings.user_agent = provider.Option("user_agent");
  settings.client_platform = provider.Option("client_platform");
  settings.client_version = provider.Option("client_version");
  settings.locale = provider.Option("locale");
  settings.timezone_offset = provider.Option("timezone_offset");
  int64_t continuations = 0;
  if (absl::SimpleAtoi(provider.Option("max_continuations"), &continuations))
    settings.max_continuations = static_cast<int>(continuations);
  settings.keep_citation_markers = provider.Option("citation_markers") == "keep";
  settings.idle_limit = config.http.idle_limit;
  return settings;
}

}  // namespace switchyard::deepseek
