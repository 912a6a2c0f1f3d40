// What is fixed about Doubao's web chat, and what is configuration because sources disagree about it.
// Source: protocol notes of Doubao, sections 1, 3 and 8 (2026-10).
#pragma once

#include <string>

#include "services/common/config/config.h"

namespace switchyard::doubao {

inline constexpr char kPlatform[] = "doubao";

inline constexpr char kCompletion[] = "/chat/completion";
inline constexpr char kSamanthaCompletion[] = "/samantha/chat/completion";
inline constexpr char kDelete[] = "/im/conversation/batch_del_user_conv";

// What the page itself sends, wherever `base_url` points.
inline constexpr char kOrigin[] = "https://www.doubao.com";

// JSON answers are small; anything larger is not one.
inline constexpr size_t kMaxJsonAnswer = 1024 * 1024;

enum class Dialect {
  kNamed,     // "a": named events, /chat/completion
  kSamantha,  // "b": numbered events, /samantha/chat/completion
};

/// `providers.doubao` of the configuration.
struct Settings {
  std::string base_url = "https://www.doubao.com";
  Dialect dialect = Dialect::kNamed;
  std::string user_agent;
  std::string pc_version;
  std::string version_code;
  std::string region;       // may be empty
  std::string bot_id;       // of the default assistant
  std::string lite_bot_id;  // of doubao-lite
  std::string ms_token;     // captured by the owner, sent as it is; empty: not sent
  std::string a_bogus;      // the same
  absl::Duration idle_limit = absl::Seconds(60);

  static Settings From(const Config& config);
};

}  // namespace switchyard::doubao
