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
// Earlier reasoning is left out. A picture is rendered as the words "[Image 1]", counted over the whole prompt; it
// travels beside the text.
//
// Tools are told of in a block [Tools] before all others. Calls that the assistant made stand in its block as the
// platform's dialect writes them; a result is a block "[Tool result: get_weather]". Where tools are concerned, what
// looks like a call in any other text is made not to: "< tool_call>".
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/common/provider/prompt_image.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// All of `request.messages`. INVALID_ARGUMENT naming the field if a part cannot be text.
/// @param platform whose dialect tool calls are written in
absl::StatusOr<std::string> FlattenHistory(const chat::v1::ChatRequest& request, absl::string_view platform = "");

/// The pictures of `request.messages`, oldest first; with a conversation_id, those of its new messages alone. At
/// most 16, each at most 20 MiB. INVALID_ARGUMENT naming the field for one that is given by its address, or that is no
/// PNG, JPEG, WebP or GIF.
absl::StatusOr<std::vector<PromptImage>> ImagesOf(const chat::v1::ChatRequest& request);

/// The last user message alone, and how many messages that leaves out.
struct LastMessage {
  std::string text;
  int left_out = 0;
};
absl::StatusOr<LastMessage> LastUserMessage(const chat::v1::ChatRequest& request);

/// What is sent where the history is not. In a conversation that goes on: the last user message or, where results of
/// tools follow the assistant's last message, all that follows it. Otherwise: the last user message and what follows
/// it. Before it the tools, in a conversation that goes on by name and type alone. A user message without tools stays
/// as it is.
absl::StatusOr<LastMessage> NewMessages(const chat::v1::ChatRequest& request, absl::string_view platform);

}  // namespace switchyard
