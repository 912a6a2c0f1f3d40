#include "services/common/provider/prompt.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "services/common/provider/attachments.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

using chat::v1::ChatRequest;
using chat::v1::ContentPart;
using chat::v1::Message;
using chat::v1::Role;

constexpr std::array<absl::string_view, 4> kHeadings = {"[System]", "[User]", "[Assistant]", "[Tool result"};

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

void AppendEscaped(absl::string_view text, std::string& out) {
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
  absl::StrAppend(&out, "[File: ", name, "]\n", file.data(), absl::EndsWith(file.data(), "\n") ? "" : "\n",
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
      text += part.text();
    }
  }
  return text;
}

absl::Status AppendBlock(const Message& message, int index, int& images, std::string& out) {
  auto text = TextOf(message, index, images);
  if (!text.ok()) return text.status();
  if (!out.empty()) out += "\n\n";
  if (message.role() == Role::ROLE_TOOL) {
    absl::StrAppend(&out, "[Tool result ", message.tool_call_id(), "]\n");
  } else {
    absl::StrAppend(&out, HeadingOf(message.role()), "\n");
  }
  AppendEscaped(*text, out);
  if (!message.refusal().empty()) AppendEscaped(message.refusal(), out);
  for (const auto& call : message.tool_calls()) {
    absl::StrAppend(&out, text->empty() && &call == &message.tool_calls(0) ? "" : "\n", "(called ", call.name(),
                    " with id ", call.id(), ": ");
    AppendEscaped(call.arguments(), out);
    out += ")";
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> FlattenHistory(const ChatRequest& request) {
  int images = 0;
  if (request.messages_size() == 1 && request.messages(0).role() == Role::ROLE_USER) {
    return TextOf(request.messages(0), 0, images);
  }
  std::string prompt;
  for (int i = 0; i < request.messages_size(); ++i) {
    if (auto status = AppendBlock(request.messages(i), i, images, prompt); !status.ok()) return status;
  }
  return prompt;
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
