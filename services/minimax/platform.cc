#include "services/minimax/platform.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"

namespace switchyard::minimax {
namespace {

// Options are checked when the configuration is read; one that is missing keeps its default.
void Take(const std::string& text, absl::Duration unit, absl::Duration& setting) {
  int64_t count = 0;
  if (absl::SimpleAtoi(text, &count)) setting = count * unit;
}

}  // namespace

Settings Settings::From(const ProviderConfig& provider) {
  Settings settings;
  settings.base_url = provider.base_url;
  settings.user_agent = provider.Option("user_agent");
  if (auto name = provider.Option("os_name"); !name.empty()) settings.os_name = name;
  if (auto name = provider.Option("browser_platform"); !name.empty()) settings.browser_platform = name;
  int64_t chat_type = 0;
  if (absl::SimpleAtoi(provider.Option("chat_type"), &chat_type)) settings.chat_type = static_cast<int>(chat_type);
  Take(provider.Option("poll_ms"), absl::Milliseconds(1), settings.poll);
  Take(provider.Option("poll_later_ms"), absl::Milliseconds(1), settings.poll_later);
  Take(provider.Option("poll_backoff_ms"), absl::Milliseconds(1), settings.poll_backoff);
  Take(provider.Option("delete_retry_ms"), absl::Milliseconds(1), settings.delete_retry);
  Take(provider.Option("silence_s"), absl::Seconds(1), settings.silence);
  settings.agent = provider.dialect == "agent";
  if (auto prefix = provider.Option("agent_prefix"); !prefix.empty()) settings.agent_prefix = "/" + prefix + "/api";
  settings.agent_stream_url = provider.Option("agent_stream_url");
  if (settings.agent_stream_url.empty())
    settings.agent_stream_url = absl::StrReplaceAll(provider.base_url, {{"://agent.", "://agent-stream."}});
  Take(provider.Option("agent_wait_ms"), absl::Milliseconds(1), settings.agent_wait);
  return settings;
}

}  // namespace switchyard::minimax
