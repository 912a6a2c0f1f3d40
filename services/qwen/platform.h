// What is fixed about Qwen's web chat, and what is configuration because sources disagree about it.
// Source: protocol notes of Qwen, sections 1, 3.1 and 8 (2026-09).
#pragma once

#include <string>

#include "services/common/config/config.h"

namespace switchyard::qwen {

inline constexpr char kPlatform[] = "qwen";

inline constexpr char kConversation[] = "/dialog/conversation";
inline constexpr char kDeleteSession[] = "/dialog/session/delete";

// The site's own, wherever requests go.
inline constexpr char kOrigin[] = "https://www.qianwen.com";

// JSON answers are small; anything larger is not one.
inline constexpr size_t kMaxJsonAnswer = 1024 * 1024;

/// `providers.qwen` of the configuration.
struct Settings {
  std::string base_url = "https://qianwen.biz.aliyun.com";
  std::string user_agent;
  absl::Duration idle_limit = absl::Seconds(60);

  static Settings From(const Config& config);
};

}  // namespace switchyard::qwen
