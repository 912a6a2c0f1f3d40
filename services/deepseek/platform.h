// What is fixed about DeepSeek's web chat, and what is configuration because sources disagree about it.
// Source: protocol notes of DeepSeek, sections 1, 3.0 and 8 (2026-09).
#pragma once

#include <string>

#include "services/common/config/config.h"

namespace switchyard::deepseek {

inline constexpr char kPlatform[] = "deepseek";

inline constexpr char kCreateSession[] = "/api/v0/chat_session/create";
inline constexpr char kDeleteSession[] = "/api/v0/chat_session/delete";
inline constexpr char kCreateChallenge[] = "/api/v0/chat/create_pow_challenge";
inline constexpr char kCompletion[] = "/api/v0/chat/completion";
inline constexpr char kContinue[] = "/api/v0/chat/continue";
inline constexpr char kUploadFile[] = "/api/v0/file/upload_file";
inline constexpr char kFetchFiles[] = "/api/v0/file/fetch_files";
inline constexpr char kStopStream[] = "/api/v0/chat/stop_stream";

// JSON answers are small; anything larger is not one.
inline constexpr size_t kMaxJsonAnswer = 1024 * 1024;

/// `providers.deepseek` of the configuration.
struct Settings {
  std::string base_url = "https://chat.deepseek.com";
  std::string user_agent;
  std::string client_platform;
  std::string client_version;
  std::string locale;
  std::string timezone_offset;
  int max_continuations = 0;           // of an answer that the platform cut: 0 to 50
  bool keep_citation_markers = false;  // leave "[reference:0]" in the text beside the citation
  absl::Duration idle_limit = absl::Seconds(60);

  static Settings From(const Config& config);
};

}  // namespace switchyard::deepseek
