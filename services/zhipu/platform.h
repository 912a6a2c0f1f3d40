// What is fixed about Zhipu's web chat (ChatGLM), and what is configuration because sources disagree about it.
// Source: protocol notes of Zhipu, sections 1, 3.1 and 8 (2026-09).
#pragma once

#include <string>

#include "absl/time/time.h"
#include "services/common/config/config.h"

namespace switchyard::zhipu {

inline constexpr char kPlatform[] = "zhipu";

inline constexpr char kStream[] = "/chatglm/backend-api/assistant/stream";
inline constexpr char kStopStream[] = "/chatglm/mainchat-api/stream/stop_stream";
inline constexpr char kBulkDelete[] = "/chatglm/mainchat-api/conversation/bulk_delete";
inline constexpr char kUpload[] = "/chatglm/productivity-api/file/chat_upload";
inline constexpr char kOldDelete[] = "/chatglm/backend-api/assistant/conversation/delete";

// The main chat.
inline constexpr char kAssistant[] = "65940acff94777010aa6b796";

// JSON answers are small; anything larger is not one.
inline constexpr size_t kMaxJsonAnswer = 64 * 1024;

/// How a model is asked for. Source: section 1.3.
enum class Dialect {
  kClassic,  // chat_mode "zero" whatever the model
  kCurrent,  // selected_model, and chat_mode by how hard it is to think
};

/// `providers.zhipu` of the configuration.
struct Settings {
  std::string base_url = "https://chatglm.cn";
  Dialect dialect = Dialect::kClassic;
  std::string user_agent;
  std::string app_version = "0.0.1";
  int risk_retries = 0;                          // of a request that the risk filter refused: 0 to 3
  absl::Duration risk_pause = absl::Seconds(1);  // before the first of them; it doubles
  absl::Duration idle_limit = absl::Seconds(60);
  absl::Duration intervene_limit = absl::Seconds(5);  // what may still come behind a withdrawn answer

  static Settings From(const Config& config);
};

}  // namespace switchyard::zhipu
