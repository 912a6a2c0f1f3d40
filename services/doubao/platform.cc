#include "services/doubao/platform.h"

namespace switchyard::doubao {
namespace {

std::string Captured(std::string option) { return option == "none" ? std::string() : option; }

}  // namespace

Settings Settings::From(const Config& config) {
  const ProviderConfig& provider = config.providers.at(kPlatform);
  Settings settings;
  settings.base_url = provider.base_url;
  settings.dialect = provider.dialect == "b" ? Dialect::kSamantha : Dialect::kNamed;
  settings.user_agent = provider.Option("user_agent");
  settings.pc_version = provider.Option("pc_version");
  settings.version_code = provider.Option("version_code");
  settings.region = provider.Option("region");
  settings.bot_id = provider.Option("bot_id");
  settings.lite_bot_id = provider.Option("lite_bot_id");
  settings.ms_token = Captured(provider.Option("ms_token"));
  settings.a_bogus = Captured(provider.Option("a_bogus"));
  settings.idle_limit = config.http.idle_limit;
  return settings;
}

}  // namespace switchyard::doubao
