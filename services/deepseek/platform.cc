#include "services/deepseek/platform.h"

#include <algorithm>

#include "absl/strings/numbers.h"

namespace switchyard::deepseek {
namespace {

std::string Option(const ProviderConfig& provider, const std::string& name) {
  const auto found = provider.options.find(name);
  return found == provider.options.end() ? std::string() : found->second;
}

}  // namespace

Settings Settings::From(const Config& config) {
  const ProviderConfig& provider = config.providers.at(kPlatform);
  Settings settings;
  settings.base_url = provider.base_url;
  settings.user_agent = Option(provider, "user_agent");
  settings.client_platform = Option(provider, "client_platform");
  settings.client_version = Option(provider, "client_version");
  settings.locale = Option(provider, "locale");
  settings.timezone_offset = Option(provider, "timezone_offset");
  int64_t continuations = 0;
  if (absl::SimpleAtoi(Option(provider, "max_continuations"), &continuations)) settings.max_continuations = static_cast<int>(continuations);
  settings.keep_citation_markers = Option(provider, "citation_markers") == "keep";
  settings.idle_limit = config.http.idle_limit;
  return settings;
}

}  // namespace switchyard::deepseek
