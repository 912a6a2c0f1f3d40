#include "services/kimi/platform.h"

namespace switchyard::kimi {

Settings Settings::From(const Config& config) {
  const ProviderConfig& provider = config.providers.at(kPlatform);
  Settings settings;
  settings.base_url = provider.base_url;
  settings.user_agent = provider.Option("user_agent");
  settings.chat_form = provider.dialect == "chat";
  settings.k26_scenario = provider.Option("k26_scenario");
  settings.web_socket = provider.Option("transport") == "websocket";
  settings.web_socket_path = provider.Option("websocket_path");
  settings.idle_limit = config.http.idle_limit;
  return settings;
}

}  // namespace switchyard::kimi
