// The calls of a chat turn as HTTP requests. Pure. Source: protocol notes of Kimi, sections 1.2, 3 and 5.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/common/http/http_client.h"
#include "services/common/provider/provider.h"
#include "services/kimi/platform.h"

namespace switchyard::kimi {

/// Which answer of which chat. As text: "<chat>@<message>".
struct MessageRef {
  std::string chat = {};
  std::string message = {};

  std::string ToString() const;
  static std::optional<MessageRef> Parse(absl::string_view text);
};

/// Whether the configured dialect can name the generation: "k2.5", "k2.6", "k1.5" or "k3".
bool CanName(const Settings& settings, absl::string_view generation);

struct ChatInput {
  std::optional<MessageRef> after = {};  // the answer before this turn; none in a new chat
  absl::string_view prompt = {};
  absl::string_view generation = {};
  bool thinking = false;
  chat::v1::ReasoningOptions::Effort effort = {};  // how hard, as the caller puts it
  bool search = false;
  std::vector<std::string> files = {};  // ids of what was uploaded
};
HttpRequest Chat(const Settings& settings, const Account& account, const ChatInput& input);

/// The same as a WebSocket's handshake and first message. Unproven: section 4.6.
HttpRequest ChatHandshake(const Settings& settings, const Account& account);
std::string ChatEnvelope(const Settings& settings, const ChatInput& input);

/// @param path kDeleteChat or kDeleteChatGateway
HttpRequest DeleteChat(const Settings& settings, const Account& account, absl::string_view path,
                       absl::string_view chat);

/// @param digits at least 16 random ones
HttpRequest Upload(const Settings& settings, const Account& account, const Attachment& attachment,
                   absl::string_view digits);

}  // namespace switchyard::kimi
