#include "services/common/provider/prompt.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "services/common/provider/attachments.h"
#include "services/common/status/reason.h"
#include "services/common/tools/tool_prompt.h"
#include "services/common/tools/tool_set.h"

namespace switchyard {
namespace {

using chat::v1::ChatRequest;
using chat::v1::ContentPart;
using chat::v1::Message;
using chat::v1::Role;

constexpr std::array<absl::string_view, 5> kHeadings = {"[System]", "[User]", "[Assistant]", "[Tools]", "[Tool result"};

absl::string_view HeadingOf(Role role) {
  switch (role) {
    case Role::ROLE_SYSTEM:
      return "[System]";
    case Role::ROLE_ASSISTANT:
      return "[Assistant]";
    default:
      return "[User]";
  }
}

bool LooksLikeHeading(absl::string_view line) {
  for (const absl::string_view heading : kHeadings) {
    if (absl::StartsWithIgnoreCase(line, heading)) return true;
  }
  return false;
}

// Cleaned first: a heading may hide behind a character that is dropped.
void AppendEscaped(absl::string_view raw, std::string& out) {
  const std::string cleaned = CleanText(raw);
  absl::string_view text = cleaned;
  while (true) {
    const size_t end = text.find('\n');
    const absl::string_view line = text.substr(0, end);
    if (LooksLikeHeading(line)) out.push_back(' ');
    out.append(line.data(), line.size());
    if (end == absl::string_view::npos) return;
    out.push_back('\n');
    text.remove_prefix(end + 1);
  }
}

void AppendFile(const chat::v1::File& file, std::string& out) {
  const std::string name = SafeFilename(file);
  if (!IsPromptText(file)) {
    absl::StrAppend(&out, "[Attached file: ", name, "]");
    return;
  }
  absl::StrAppend(&out, "[File: ", name, "]\n", CleanText(file.data()), absl::EndsWith(file.data(), "\n") ? "" : "\n",
                  "[End of file: ", name, "]");
}

/// @param images counts the pictures of the prompt
absl::StatusOr<std::string> TextOf(const Message& message, int index, int& images) {
  std::string text;
  for (int i = 0; i < message.parts_size(); ++i) {
    const auto& part = message.parts(i);
    if (!part.has_image() && !part.has_file() && part.part_case() != ContentPart::kText) {
      const std::string field = PartField(index, i);
      return MakeError(Reason::REASON_UNSUPPORTED_PARAMETER, absl::StrCat(field, ": this model takes text only"),
                       {.field = field});
    }
    // Parts are pieces of one message; most clients put each on a line of its own.
    if (!text.empty() && !absl::EndsWith(text, "\n")) text.push_back('\n');
    if (part.has_image()) {
      absl::StrAppend(&text, "[Image ", ++images, "]");
    } else if (part.has_file()) {
      AppendFile(part.file(), text);
    } else {
      text += CleanText(part.text());
    }
  }
  return text;
}

/// Messages as blocks, under the tools.
class BlockWriter {
 public:
  BlockWriter(const ChatRequest& request, absl::string_view platform)
      : request_(request), dialect_(DialectOf(platform)), tools_(ConcernsTools(request)) {}

  void AddTools(bool brief) {
    const std::string instructions = ToolInstructions(request_, dialect_, brief);
    if (instructions.empty()) return;
    prompt_ = "[Tools]\n";
    AppendEscaped(instructions, prompt_);
  }

  absl::Status Add(int index) {
    const Message& message = request_.messages(index);
    auto text = TextOf(message, index, images_);
    if (!text.ok()) return text.status();
    absl::StrAppend(text.operator->(), CleanText(message.refusal()));
    const bool says_nothing = text->empty() && message.tool_calls_size() == 0 && message.role() != Role::ROLE_TOOL;
    if (says_nothing) return absl::OkStatus();  // many clients send an empty system prompt
    if (tools_) *text = NeutraliseCalls(*text);
    if (!prompt_.empty()) prompt_ += "\n\n";
    if (message.role() == Role::ROLE_TOOL) {
      absl::StrAppend(&prompt_, "[", ResultHeading(request_, message), "]\n");
    } else {
      absl::StrAppend(&prompt_, HeadingOf(message.role()), "\n");
    }
    AppendEscaped(*text, prompt_);
    if (message.tool_calls_size() > 0) {
      if (!text->empty()) prompt_ += "\n";
      AppendEscaped(CallsOf(message, dialect_), prompt_);
    }
    return absl::OkStatus();
  }

  std::string Take() { return std::move(prompt_); }

 private:
  const ChatRequest& request_;
  const Dialect& dialect_;
  const bool tools_;
  int images_ = 0;
  std::string prompt_;
};

bool IsUser(const Message& message) { return message.role() == Role::ROLE_USER; }

// The first message that is sent where the history is not.
int FirstNewMessage(const ChatRequest& request) {
  if (!request.conversation_id().empty()) return FirstSentMessage(request);
  int last_user = request.messages_size() - 1;
  while (last_user > 0 && !IsUser(request.messages(last_user))) --last_user;
  return last_user;
}

}  // namespace

std::string CleanText(absl::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\r') {
      if (i + 1 == text.size() || text[i + 1] != '\n') clean.push_back('\n');
    } else if ((c >= 0x20 && c != 0x7F) || c == '\n' || c == '\t') {
      clean.push_back(static_cast<char>(c));
    }
  }
  return clean;
}

absl::StatusOr<std::string> FlattenHistory(const ChatRequest& request, absl::string_view platform) {
  if (request.messages_size() == 1 && IsUser(request.messages(0)) && !MayCall(request)) {
    int images = 0;
    return TextOf(request.messages(0), 0, images);
  }
  BlockWriter blocks(request, platform);
  blocks.AddTools(/*brief=*/false);
  for (int i = 0; i < request.messages_size(); ++i) {
    if (auto status = blocks.Add(i); !status.ok()) return status;
  }
  return blocks.Take();
}

absl::StatusOr<LastMessage> NewMessages(const ChatRequest& request, absl::string_view platform) {
  const int first = FirstNewMessage(request);
  const bool resumed = !request.conversation_id().empty();
  const bool results = std::any_of(request.messages().begin() + first, request.messages().end(),
                                   [](const Message& message) { return message.role() == Role::ROLE_TOOL; });
  if (!results && !MayCall(request)) return LastUserMessage(request);
  BlockWriter blocks(request, platform);
  blocks.AddTools(/*brief=*/resumed);
  int sent = 0;
  for (int i = first; i < request.messages_size(); ++i, ++sent) {
    if (auto status = blocks.Add(i); !status.ok()) return status;
  }
  return LastMessage{blocks.Take(), request.messages_size() - sent};
}

absl::StatusOr<LastMessage> LastUserMessage(const ChatRequest& request) {
  for (int i = request.messages_size() - 1; i >= 0; --i) {
    if (request.messages(i).role() != Role::ROLE_USER) continue;
    int images = 0;
    auto text = TextOf(request.messages(i), i, images);
    if (!text.ok()) return text.status();
    return LastMessage{*std::move(text), request.messages_size() - 1};
  }
  return MakeError(Reason::REASON_INVALID_REQUEST, "messages: there is no message of the user", {.field = "messages"});
}

}  // namespace switchyard
