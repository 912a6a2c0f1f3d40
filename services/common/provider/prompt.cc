#include "services/common/provider/prompt.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
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
      text += part.text();
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
    absl::StrAppend(text.operator->(), message.refusal());
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
  int last_user = request.messages_size() - 1;
  while (last_user > 0 && !IsUser(request.messages(last_user))) --last_user;
  if (request.conversation_id().empty()) return last_user;
  bool results = false;
  for (int i = request.messages_size() - 1; i >= 0; --i) {
    if (request.messages(i).role() == Role::ROLE_ASSISTANT) return results ? i + 1 : last_user;
    results |= request.messages(i).role() == Role::ROLE_TOOL;
  }
  return last_user;
}

}  // namespace

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

absl::StatusOr<std::vector<PromptImage>> ImagesOf(const ChatRequest& request) {
  std::vector<PromptImage> images;
  const int first = request.conversation_id().empty() ? 0 : FirstNewMessage(request);
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
