// What is fixed about Qwen's web chat, and what is configuration because sources disagree about it.
// Source: protocol notes of Qwen, sections 1, 3.1, 5 and 8 (2026-09).
#pragma once

#include <string>

#include "services/common/config/config.h"

namespace switchyard::qwen {

inline constexpr char kPlatform[] = "qwen";

inline constexpr char kConversation[] = "/dialog/conversation";
inline constexpr char kDeleteSession[] = "/dialog/session/delete";
inline constexpr char kUploadToken[] = "/dialog/uploadToken";
inline constexpr char kDownloadLink[] = "/dialog/downloadLink";
inline constexpr char kDownloadLinks[] = "/dialog/downloadLink/batch";
inline constexpr char kSecurityResult[] = "/dialog/secResult/batch";
// Of the site's own newer call.
inline constexpr char kChat2[] = "/api/v2/chat";
inline constexpr char kDeleteSessions[] = "/api/v1/session/delete/batch";

// The site's own, wherever requests go.
inline constexpr char kOrigin[] = "https://www.qianwen.com";

// JSON answers are small; anything larger is not one.
inline constexpr size_t kMaxJsonAnswer = 1024 * 1024;

enum class Dialect {
  kDialog,  // a: the `dialog` calls
  kChat2,   // b: the site's newer call
};

/// `providers.qwen` of the configuration.
struct Settings {
  std::string base_url = "https://qianwen.biz.aliyun.com";
  std::string api_url;     // of the calls beside the chat; the same but in dialect b
  std::string upload_url;  // of the object store behind dialect a
  std::string user_agent;
  Dialect dialect = Dialect::kDialog;
  absl::Duration idle_limit = absl::Seconds(60);

  static Settings From(const Config& config);
};

}  // namespace switchyard::qwen
