// The pictures and files of a conversation: what each is, whether it becomes part of the prompt's text, and what is
// sent beside it. Pure.
//
// A file that is UTF-8 text of at most 1 MiB is put into the prompt, under its name, for every platform. Any other is
// sent beside the prompt where the model takes files, and is an error where it does not.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/common/provider/attachment.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

inline constexpr size_t kMaxAttachmentBytes = 20 * 1024 * 1024;  // each
inline constexpr int kMaxAttachments = 16;                       // pictures and files of a request together

/// "messages[0].content[1]"
std::string PartField(int message, int part);

/// The first message that is sent: all are, but with a conversation_id those alone that are new to the platform, which
/// are the last of the user or, behind calls, the tools' results and what follows.
int FirstSentMessage(const chat::v1::ChatRequest& request);

/// What is sent beside the prompt, oldest first. Pictures and files have been fetched. INVALID_REQUEST or
/// UNSUPPORTED_PARAMETER naming the part that is too large, not what it has to be, or not taken.
/// @param takes_files whether the model takes files that are not text
absl::StatusOr<std::vector<Attachment>> AttachmentsOf(const chat::v1::ChatRequest& request, bool takes_files);

/// The error of a platform that will not have this very picture or file: INVALID_REQUEST naming the part, in the words
/// of `why`.
absl::Status RefusedAttachment(const Attachment& attachment, const absl::Status& why);

/// Whether the file is text that goes into the prompt.
bool IsPromptText(const chat::v1::File& file);

/// The file's name without what could break out of a line, a header or a folder; "file" if nothing is left.
std::string SafeFilename(const chat::v1::File& file);

/// PNG, JPEG, GIF or WebP by what `bytes` begin with; "" for anything else.
absl::string_view ImageType(absl::string_view bytes);

/// Pixels of such a picture; zeros if its header does not say.
struct ImageSize {
  int width = 0;
  int height = 0;
};
ImageSize SizeOfImage(absl::string_view bytes);

}  // namespace switchyard
