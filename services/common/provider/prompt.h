// A conversation as one prompt, for platforms whose chat takes one text a turn. One convention for all.
//
// A conversation of one user message is that message, unchanged. Any other is a list of blocks, each opened by a line
// with the role in brackets and closed by an empty line, the last user message last:
//
//   [System]
//   Answer in French.
//
//   [User]
//   Hello
//
//   [Assistant]
//   Bonjour
//
//   [User]
//   How are you?
//
// A line of a message that looks like such a heading is moved off the margin by one space, so nobody can forge a turn.
// Earlier reasoning is left out; tool calls and results are rendered as text. A picture is rendered as the words
// "[Image 1]", counted over the whole prompt; it travels beside the text. Control characters are dropped, see
// CleanText().
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/common/provider/prompt_image.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// What of a text reaches a platform: all but control characters. A line break of any kind is LF; tabs stay.
std::string CleanText(absl::string_view text);

/// All of `request.messages`. INVALID_ARGUMENT naming the field if a part cannot be text.
absl::StatusOr<std::string> FlattenHistory(const chat::v1::ChatRequest& request);

/// The pictures of `request.messages`, oldest first; with a conversation_id, those of the last user message alone. At
/// most 16, each at most 20 MiB. INVALID_ARGUMENT naming the field for one that is given by its address, or that is no
/// PNG, JPEG, WebP or GIF.
absl::StatusOr<std::vector<PromptImage>> ImagesOf(const chat::v1::ChatRequest& request);

/// The last user message alone, and how many messages that leaves out.
struct LastMessage {
  std::string text;
  int left_out = 0;
};
absl::StatusOr<LastMessage> LastUserMessage(const chat::v1::ChatRequest& request);

}  // namespace switchyard
