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
// "[Image 1]", counted over the whole prompt; it travels beside the text. A text file stands where its part is, between
// the lines "[File: notes.md]" and "[End of file: notes.md]"; another file is named, "[Attached file: report.pdf]".
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// All of `request.messages`. INVALID_ARGUMENT naming the field if a part cannot be text.
absl::StatusOr<std::string> FlattenHistory(const chat::v1::ChatRequest& request);

/// The last user message alone, and how many messages that leaves out.
struct LastMessage {
  std::string text;
  int left_out = 0;
};
absl::StatusOr<LastMessage> LastUserMessage(const chat::v1::ChatRequest& request);

}  // namespace switchyard
