#include "services/common/provider/prompt.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
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

// What a file of each kind begins with; '?' is any byte.
struct ImageKind {
  absl::string_view media_type;
  absl::string_view magic;
};
constexpr std::array kImageKinds = {
    ImageKind{"image/png", "\x89PNG\r\n\x1a\n"},
    ImageKind{"image/jpeg", "\xff\xd8\xff"},
    ImageKind{"image/gif", "GIF8"},
    ImageKind{"image/webp", "RIFF????WEBP"},
};
constexpr size_t kMostImages = 16;
constexpr size_t kMaxImageBytes = 20 * 1024 * 1024;

absl::string_view MediaTypeOf(absl::string_view bytes) {
  for (const ImageKind& kind : kImageKinds) {
    bool fits = bytes.size() >= kind.magic.size();
    for (size_t i = 0; fits && i < kind.magic.size(); ++i) fits = kind.magic[i] == '?' || kind.magic[i] == bytes[i];
    if (fits) return kind.media_type;
  }
  return "";
}

std::string FieldOf(int message, int part) { return absl::StrCat("messages[", message, "].content[", part, "]"); }

/// @param images counts the pictures of the prompt
absl::StatusOr<std::string> TextOf(const Message& message, int index, int& images) {
  std::string text;
  for (int i = 0; i < message.parts_size(); ++i) {
    const auto& part = message.parts(i);
    if (part.part_case() != ContentPart::kText && part.part_case() != ContentPart::kImage) {
      const std::string field = FieldOf(index, i);
      return MakeError(Reason::REASON_UNSUPPORTED_PARAMETER, absl::StrCat(field, ": this model takes text only"),
                       {.field = field});
    }
    // Parts are pieces of one message; most clients put each on a line of its own.
    if (!text.empty() && !absl::EndsWith(text, "\n")) text.push_back('\n');
    if (part.has_image()) {
      absl::StrAppend(&text, "[Image ", ++images, "]");
    } else {
      text += CleanText(part.text());
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

absl::StatusOr<std::vector<PromptImage>> ImagesOf(const ChatRequest& request) {
  std::vector<PromptImage> images;
  int first = 0;
  if (!request.conversation_id().empty()) {
    first = request.messages_size() - 1;
    while (first > 0 && request.messages(first).role() != Role::ROLE_USER) --first;
  }
  for (int i = first; i < request.messages_size(); ++i) {
    for (int j = 0; j < request.messages(i).parts_size(); ++j) {
      const ContentPart& part = request.messages(i).parts(j);
      if (!part.has_image()) continue;
      const std::string field = FieldOf(i, j);
      const auto refuse = [&field](absl::string_view what) {
        return MakeError(Reason::REASON_INVALID_REQUEST, absl::StrCat(field, ": ", what), {.field = field});
      };
      if (images.size() == kMostImages) return refuse("a conversation may hold at most 16 images");
      if (!part.image().url().empty()) {
        return MakeError(Reason::REASON_UNSUPPORTED_PARAMETER,
                         absl::StrCat(field, ": images are taken as data URLs; addresses are not fetched yet"),
                         {.field = field});
      }
      if (part.image().data().size() > kMaxImageBytes) return refuse("an image may have at most 20 MiB");
      const absl::string_view media_type = MediaTypeOf(part.image().data());
      if (media_type.empty()) return refuse("must be a PNG, JPEG, WebP or GIF image");
      images.push_back({std::string(media_type), part.image().data()});
    }
  }
  return images;
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
