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
// travels beside the text. Control characters are dropped, see CleanText(). A text file stands
// where its part is, between the lines "[File: notes.md]" and "[End of file: notes.md]"; another file is named,
// "[Attached file: report.pdf]".
//
// Tools are told of in a block [Tools] before all others. Calls that the assistant made stand in its block as the
// platform's dialect writes them; a result is a block "[Tool result: get_weather]". Where tools are concerned, what
// looks like a call in any other text is made not to: "< tool_call>".
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// What of a text reaches a platform: all but control characters. A line break of any kind is LF; tabs stay.
std::string CleanText(absl::string_view text);

/// All of `request.messages`. INVALID_ARGUMENT naming the field if a part cannot be text.
/// @param platform whose dialect tool calls are written in
absl::StatusOr<std::string> FlattenHistory(const chat::v1::ChatRequest& request, absl::string_view platform = "");

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
