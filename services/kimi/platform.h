// What is fixed about Kimi's web chat, and what is configuration because sources disagree about it.
// Source: protocol notes of Kimi, sections 1, 3, 4.6 and 8.
#pragma once

#include <string>

#include "services/common/config/config.h"

namespace switchyard::kimi {

inline constexpr char kPlatform[] = "kimi";

inline constexpr char kChat[] = "/apiv2/kimi.gateway.chat.v1.ChatService/Chat";
inline constexpr char kDeleteChat[] = "/apiv2/kimi.chat.v1.ChatService/DeleteChat";
inline constexpr char kDeleteChatGateway[] = "/apiv2/kimi.gateway.chat.v1.ChatService/DeleteChat";
inline constexpr char kUpload[] = "/apiv2-files/file/upload";

// JSON answers are small; anything larger is not one.
inline constexpr size_t kMaxJsonAnswer = 1024 * 1024;

/// `providers.kimi` of the configuration.
struct Settings {
  std::string base_url = "https://www.kimi.com";
  std::string user_agent;
  bool chat_form = false;  // dialect `chat`: SCENARIO_CHAT, the model in the options
  std::string k26_scenario = "SCENARIO_K2D5";
  bool web_socket = false;  // the envelopes travel as messages of a WebSocket; unproven
  std::string web_socket_path = kChat;
  absl::Duration idle_limit = absl::Seconds(60);

  static Settings From(const Config& config);
};

}  // namespace switchyard::kimi
