#include "services/metaso/platform.h"

namespace switchyard::metaso {

Settings Settings::From(const Config& config) {
  const ProviderConfig& provider = config.providers.at(kPlatform);
  Settings settings;
  settings.base_url = provider.base_url;
  settings.dialect = provider.dialect == "b" ? Dialect::kChat : Dialect::kSearch;
  settings.user_agent = provider.Option("user_agent");
  settings.flatten_history = provider.Option("history") == "flatten";
  settings.label_citations = provider.Option("citation_markers") == "label";
  settings.name_whole_web = provider.Option("whole_web") == "quanwang";
  settings.continue_by_leaf = provider.Option("continuation") == "current_leaf";
  settings.idle_limit = config.http.idle_limit;
  return settings;
}

}  // namespace switchyard::metaso
