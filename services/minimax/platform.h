// What is fixed about MiniMax Agent, and what is configuration because sources disagree about it.
// Source: protocol notes of MiniMax, sections 1, 3, 7 and 8 (2026-09).
#pragma once

#include <string>

#include "absl/time/time.h"
#include "services/common/config/config.h"

namespace switchyard::minimax {

inline constexpr char kPlatform[] = "minimax";

inline constexpr char kUserInfo[] = "/v1/api/user/info";
inline constexpr char kRenewal[] = "/v1/api/user/renewal";
inline constexpr char kSendMessage[] = "/matrix/api/v1/chat/send_msg";
inline constexpr char kChatDetail[] = "/matrix/api/v1/chat/get_chat_detail";
inline constexpr char kDeleteChat[] = "/matrix/api/v1/chat/delete_chat";

// The detail of a chat holds all its messages.
inline constexpr size_t kMaxDetail = 16 * 1024 * 1024;

/// `providers.minimax` of the configuration.
struct Settings {
  std::string base_url = "https://agent.minimaxi.com";  // a path behind the origin is part of what is signed
  std::string user_agent;
  // Of the browser that signed in; all calls of an account name the same.
  std::string os_name = "Windows";
  std::string browser_platform = "Win32";
  int chat_type = 2;

  absl::Duration poll = absl::Milliseconds(700);         // between two polls in an answer's first 20 s
  absl::Duration poll_later = absl::Milliseconds(1500);  // and after
  absl::Duration poll_backoff = absl::Seconds(1);        // bound of the pause after a failed poll; doubles each time
  absl::Duration delete_retry = absl::Seconds(2);        // before a chat that still ran is deleted again
  absl::Duration silence = absl::Seconds(120);           // without a change the answer is given up

  bool agent = false;  // the dialect: of the newer site, answers by event stream
  std::string agent_prefix = "/minimax-cloud/api";
  std::string agent_stream_url = "https://agent-stream.minimaxi.com";
  absl::Duration agent_wait = absl::Seconds(1);  // before something is said in a new session

  static Settings From(const ProviderConfig& provider);
  static Settings From(const Config& config) { return From(config.providers.at(kPlatform)); }
};

}  // namespace switchyard::minimax
