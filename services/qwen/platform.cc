#include "services/qwen/platform.h"

namespace switchyard::qwen {
namespace {

constexpr char kDialogUrl[] = "https://qianwen.biz.aliyun.com";
constexpr char kChat2Url[] = "https://chat2.qianwen.com";
constexpr char kChat2ApiUrl[] = "https://chat2-api.qianwen.com";

}  // namespace

Settings Settings::From(const Config& config) {
  const ProviderConfig& provider = config.providers.at(kPlatform);
  Settings settings;
  settings.base_url = provider.base_url;
  if (provider.dialect == "b") {
    settings.dialect = Dialect::kChat2;
    // Another host than dialect a's default; one that was configured is kept.
    if (settings.base_url == kDialogUrl) {
      settings.base_url = kChat2Url;
      settings.api_url = kChat2ApiUrl;
    }
  }
  if (settings.api_url.empty()) settings.api_url = settings.base_url;
  settings.upload_url = provider.Option("upload_url");
  settings.user_agent = provider.Option("user_agent");
  settings.idle_limit = config.http.idle_limit;
  return settings;
}

}  // namespace switchyard::qwen
