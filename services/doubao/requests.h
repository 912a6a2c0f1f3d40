// The calls of a chat turn as HTTP requests. Pure. Source: protocol notes of Doubao, sections 3 and 5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/common/http/http_client.h"
#include "services/common/provider/provider.h"
#include "services/common/time/random.h"
#include "services/doubao/platform.h"

namespace switchyard::doubao {

/// How far a conversation has come. As text: "<conversation>@<section>@<index>"; ids are decimal digits beyond what a
/// double holds.
struct ConversationPoint {
  std::string conversation = {};  // empty: a new one
  std::string section = {};
  int64_t last_index = 0;

  std::string ToString() const;
  static std::optional<ConversationPoint> Parse(absl::string_view text);
};

/// What the page makes anew for a message.
struct MessageIds {
  std::string local_conversation;
  std::string local_message;
  std::string block;
  std::string unique_key;
  std::string samantha_section;       // dialect B only
  std::string samantha_conversation;  // dialect B only

  static MessageIds Make(Random& random, absl::Time now);
};

/// `option.need_deep_think`. Source: protocol notes, section 1.
enum class DeepThink : int { kOff = 0, kThinking = 1, kExpert = 3 };

struct CompletionInput {
  ConversationPoint after = {};
  absl::string_view prompt = {};
  absl::string_view model = {};  // of the catalogue: "default", "lite" or "expert"
  bool thinking = false;
  MessageIds ids = {};
  absl::Time now = {};
};
HttpRequest Completion(const Settings& settings, const Account& account, const CompletionInput& input);

/// The same in dialect B, which only begins conversations.
HttpRequest SamanthaCompletion(const Settings& settings, const Account& account, const CompletionInput& input);

HttpRequest DeleteConversation(const Settings& settings, const Account& account, absl::string_view conversation,
                               const std::string& sequence_id);

}  // namespace switchyard::doubao
