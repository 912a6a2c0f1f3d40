#include "services/common/config/platforms.h"

namespace switchyard {
namespace {

using Kind = PlatformOption::Kind;

constexpr absl::string_view kUserAgent =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36";

// Source: protocol notes of DeepSeek, section 8.
std::vector<PlatformOption> DeepSeekOptions() {
  return {
      {"user_agent", kUserAgent},
      {"client_platform", "web", Kind::kChoice, {"web", "android"}},
      {"client_version", "2.4.0"},
      {"locale", "zh_CN"},
      {"timezone_offset", "28800", Kind::kWhole, {}, -43200, 50400},
      {"max_continuations", "10", Kind::kWhole, {}, 0, 50},
      {"citation_markers", "strip", Kind::kChoice, {"strip", "keep"}},
  };
}

// Source: protocol notes of Kimi, sections 4.6 and 8.
std::vector<PlatformOption> KimiOptions() {
  return {
      {"user_agent", kUserAgent},
      {"auth_url", "", Kind::kOrigin},
      {"k26_scenario", "SCENARIO_K2D5", Kind::kChoice, {"SCENARIO_K2D5", "SCENARIO_K2D6"}},
      // Unproven: no public evidence of a WebSocket for this chat exists (section 4.6), so its path is a guess.
      {"transport", "https", Kind::kChoice, {"https", "websocket"}},
      {"websocket_path", "/apiv2/kimi.gateway.chat.v1.ChatService/Chat", Kind::kPath},
  };
}

// Source: protocol notes of Metaso, section 8.
std::vector<PlatformOption> MetasoOptions() {
  return {
      {"user_agent", kUserAgent},
      {"history", "last", Kind::kChoice, {"last", "flatten"}},
      {"citation_markers", "label", Kind::kChoice, {"label", "strip"}},
      {"whole_web", "unnamed", Kind::kChoice, {"unnamed", "quanwang"}},
      {"continuation", "parent_message", Kind::kChoice, {"parent_message", "current_leaf"}},
  };
}

// Source: protocol notes of Doubao, section 8.
std::vector<PlatformOption> DoubaoOptions() {
  return {
      {"user_agent", kUserAgent},
      {"pc_version", "3.5.10"},
      {"version_code", "20800"},
      {"region", "CN"},
      {"bot_id", "7338286299411103781"},
      {"lite_bot_id", "7338286299411103781"},
      {"ms_token", "none"},
      {"a_bogus", "none"},
  };
}

// Source: protocol notes of Qwen, sections 5 and 8.
std::vector<PlatformOption> QwenOptions() {
  return {
      {"user_agent", kUserAgent},
      // Where the site keeps what is uploaded, in dialect a.
      {"upload_url", "https://broadscope-dialogue-new.oss-cn-beijing.aliyuncs.com", Kind::kOrigin},
  };
}

// Source: protocol notes of Zhipu, section 8.
std::vector<PlatformOption> ZhipuOptions() {
  return {
      {"user_agent", kUserAgent},
      {"app_version", "0.0.1"},
      {"risk_retries", "3", Kind::kWhole, {}, 0, 3},
      {"risk_pause_ms", "1000", Kind::kWhole, {}, 0, 10000},
  };
}

// Source: protocol notes of MiniMax, section 8.
std::vector<PlatformOption> MiniMaxOptions() {
  return {
      // Together with os_name and browser_platform: one browser on one system.
      {"user_agent",
       "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 "
       "Safari/537.36"},
      {"os_name", "Windows"},
      {"browser_platform", "Win32"},
      {"chat_type", "2", Kind::kWhole, {}, 1, 2},
      {"poll_ms", "700", Kind::kWhole, {}, 1, 60000},
      {"poll_later_ms", "1500", Kind::kWhole, {}, 1, 60000},
      {"poll_backoff_ms", "1000", Kind::kWhole, {}, 1, 60000},
      {"delete_retry_ms", "2000", Kind::kWhole, {}, 1, 60000},
      {"silence_s", "120", Kind::kWhole, {}, 1, 600},
      // Of the agent dialect. Without an origin it is that of base_url with "agent-stream" for "agent".
      {"agent_prefix", "minimax-cloud", Kind::kChoice, {"minimax-cloud", "archon"}},
      {"agent_stream_url", "", Kind::kOrigin},
      {"agent_wait_ms", "1000", Kind::kWhole, {}, 0, 60000},
  };
}

}  // namespace

const std::vector<PlatformDefaults>& Platforms() {
  // Spacing, and the longest cool-down where it is another than everywhere: each platform's protocol notes, section 7.
  static const auto& table = *new std::vector<PlatformDefaults>{
      {"deepseek", "https://chat.deepseek.com", "DEEPSEEK_TOKEN", 8021, absl::Seconds(2), {"web"}, DeepSeekOptions()},
      {"kimi", "https://www.kimi.com", "KIMI_TOKEN", 8022, absl::Seconds(2), {"connect", "chat"}, KimiOptions()},
      {"metaso",
       "https://metaso.cn",
       "METASO_TOKEN",
       8023,
       absl::Seconds(8),
       {"a", "b"},
       MetasoOptions(),
       absl::Hours(1)},
      {"doubao", "https://www.doubao.com", "DOUBAO_TOKEN", 8024, absl::Seconds(2), {"a", "b"}, DoubaoOptions()},
      {"qwen", "https://qianwen.biz.aliyun.com", "QWEN_TOKEN", 8025, absl::Seconds(2), {"a", "b"}, QwenOptions()},
      {"zhipu", "https://chatglm.cn", "ZHIPU_TOKEN", 8026, absl::Seconds(3), {"classic", "current"}, ZhipuOptions()},
      {"minimax",
       "https://agent.minimaxi.com",
       "MINIMAX_TOKEN",
       8027,
       absl::Seconds(3),
       {"matrix", "agent"},
       MiniMaxOptions()},
  };
  return table;
}

}  // namespace switchyard
