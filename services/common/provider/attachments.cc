#include "services/common/provider/attachments.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"
#include "services/common/text/utf8.h"

namespace switchyard {
namespace {

using chat::v1::ChatRequest;
using chat::v1::ContentPart;
using chat::v1::File;
using chat::v1::Image;
using chat::v1::Role;

constexpr size_t kMaxPromptText = 1024 * 1024;
constexpr size_t kLongestName = 120;

// What a file of each kind begins with; '?' is any byte.
struct Kind {
  absl::string_view ending;
  absl::string_view media_type;
  absl::string_view magic;
};
constexpr std::array kImages = {
    Kind{"png", "image/png", "\x89PNG\r\n\x1a\n"},
    Kind{"jpg", "image/jpeg", "\xff\xd8\xff"},
    Kind{"gif", "image/gif", "GIF8"},
    Kind{"webp", "image/webp", "RIFF????WEBP"},
};
// The office formats share their containers: there the name's ending decides.
constexpr absl::string_view kZip = "PK\x03\x04";
constexpr absl::string_view kCompound = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
constexpr std::array kDocuments = {
    Kind{"pdf", "application/pdf", "%PDF-"},
    Kind{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", kZip},
    Kind{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", kZip},
    Kind{"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", kZip},
    Kind{"epub", "application/epub+zip", kZip},
    Kind{"doc", "application/msword", kCompound},
    Kind{"xls", "application/vnd.ms-excel", kCompound},
    Kind{"ppt", "application/vnd.ms-powerpoint", kCompound},
};

bool Fits(absl::string_view bytes, absl::string_view magic) {
  if (bytes.size() < magic.size()) return false;
  for (size_t i = 0; i < magic.size(); ++i) {
    if (magic[i] != '?' && magic[i] != bytes[i]) return false;
  }
  return true;
}

const Kind* ImageKind(absl::string_view bytes) {
  for (const Kind& kind : kImages) {
    if (Fits(bytes, kind.magic)) return &kind;
  }
  return nullptr;
}

const Kind* DocumentKind(const File& file) {
  for (const Kind& kind : kDocuments) {
    const bool named = absl::EndsWithIgnoreCase(file.filename(), absl::StrCat(".", kind.ending)) ||
                       absl::EqualsIgnoreCase(file.media_type(), kind.media_type);
    const bool told_by_magic = kind.magic != kZip && kind.magic != kCompound;
    if ((named || told_by_magic) && Fits(file.data(), kind.magic)) return &kind;
  }
  return nullptr;
}

bool HasEnding(absl::string_view name) {
  constexpr size_t kLongest = 10;
  const size_t dot = name.rfind('.');
  if (dot == absl::string_view::npos || dot + 1 == name.size() || name.size() - dot - 1 > kLongest) return false;
  return std::all_of(name.begin() + static_cast<std::ptrdiff_t>(dot) + 1, name.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c); });
}

/// UTF-8 without the control characters that no text has.
bool IsText(absl::string_view bytes) {
  const bool odd = std::any_of(bytes.begin(), bytes.end(), [](unsigned char c) {
    return c == 0x7f || (c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b);
  });
  return !odd && !Fits(bytes, "%PDF-") && IsValidUtf8(bytes);
}

absl::Status Invalid(const std::string& field, absl::string_view what) {
  return MakeError(Reason::REASON_INVALID_REQUEST, absl::StrCat(field, ": ", what), {.field = field});
}
absl::Status Unsupported(const std::string& field, absl::string_view what) {
  return MakeError(Reason::REASON_UNSUPPORTED_PARAMETER, absl::StrCat(field, ": ", what), {.field = field});
}

absl::StatusOr<Attachment> ReadImage(const Image& image, int number, std::string field) {
  if (image.data().size() > kMaxAttachmentBytes) return Invalid(field, "an image may have at most 20 MiB");
  const Kind* kind = ImageKind(image.data());
  if (kind == nullptr) return Invalid(field, "must be a PNG, JPEG, WebP or GIF image");
  Attachment read;
  read.image = true;
  read.field = std::move(field);
  read.filename = absl::StrCat("image", number, ".", kind->ending);
  read.media_type = std::string(kind->media_type);
  read.bytes = image.data();
  return read;
}

absl::StatusOr<Attachment> ReadFile(const File& file, bool takes_files, std::string field) {
  const absl::string_view bytes = file.data();
  if (bytes.empty()) return Invalid(field, "the file is empty");
  if (bytes.size() > kMaxAttachmentBytes) return Invalid(field, "a file may have at most 20 MiB");
  if (ImageKind(bytes) != nullptr) return Invalid(field, "a picture belongs into a part of type image_url");
  const Kind* kind = DocumentKind(file);
  const bool text = kind == nullptr && IsText(bytes);
  if (kind == nullptr && !text)
    return Invalid(field, "must be UTF-8 text or a document: pdf, docx, xlsx, pptx, epub, doc, xls, ppt");
  if (!takes_files && text) return Unsupported(field, "this model takes text files of at most 1 MiB");
  if (!takes_files)
    return Unsupported(field, absl::StrCat("this model takes text files only, and this is a ", kind->ending));
  Attachment read;
  read.field = std::move(field);
  read.filename = SafeFilename(file);
  read.media_type = kind == nullptr ? "text/plain" : std::string(kind->media_type);
  read.bytes = bytes;
  // Platforms judge by the name.
  const absl::string_view ending = kind == nullptr ? "txt" : kind->ending;
  const bool named =
      kind == nullptr ? HasEnding(read.filename) : absl::EndsWithIgnoreCase(read.filename, absl::StrCat(".", ending));
  if (!named) absl::StrAppend(&read.filename, ".", ending);
  return read;
}

// Numbers of 2 to 4 bytes; what is no size of a picture becomes 0 or nonsense, never an error.
int Big(absl::string_view bytes, size_t at, int size) {
  uint32_t value = 0;
  for (int i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return static_cast<int>(value & 0x7fffffff);
}
int Little(absl::string_view bytes, size_t at, int size) {
  uint32_t value = 0;
  for (int i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return static_cast<int>(value & 0x7fffffff);
}

ImageSize JpegSize(absl::string_view bytes) {
  // Segments of a marker and a length; the frame's holds the size.
  for (size_t at = 2; at + 9 <= bytes.size();) {
    const int marker = Big(bytes, at, 2);
    if (marker == 0xffff) {
      ++at;  // padding
      continue;
    }
    if (marker < 0xff01) break;
    const bool frame = marker >= 0xffc0 && marker <= 0xffcf && marker != 0xffc4 && marker != 0xffc8 && marker != 0xffcc;
    if (frame) return {.width = Big(bytes, at + 7, 2), .height = Big(bytes, at + 5, 2)};
    at += 2 + static_cast<size_t>(Big(bytes, at + 2, 2));
  }
  return {};
}

ImageSize WebpSize(absl::string_view bytes) {
  if (bytes.size() < 30) return {};
  const absl::string_view form = bytes.substr(12, 4);
  constexpr int k14Bits = 0x3fff;
  if (form == "VP8 ") return {.width = Little(bytes, 26, 2) & k14Bits, .height = Little(bytes, 28, 2) & k14Bits};
  if (form == "VP8X") return {.width = Little(bytes, 24, 3) + 1, .height = Little(bytes, 27, 3) + 1};
  if (form != "VP8L") return {};
  const auto bits = static_cast<uint32_t>(Little(bytes, 21, 4));
  return {.width = static_cast<int>(bits & k14Bits) + 1, .height = static_cast<int>(bits >> 14 & k14Bits) + 1};
}

}  // namespace

std::string PartField(int message, int part) { return absl::StrCat("messages[", message, "].content[", part, "]"); }

int FirstSentMessage(const ChatRequest& request) {
  if (request.conversation_id().empty()) return 0;
  int last_user = request.messages_size() - 1;
  while (last_user > 0 && request.messages(last_user).role() != Role::ROLE_USER) --last_user;
  // Results of tools are new as well, since the assistant asked for them.
  bool results = false;
  for (int i = request.messages_size() - 1; i >= 0; --i) {
    if (request.messages(i).role() == Role::ROLE_ASSISTANT) return results ? i + 1 : std::max(last_user, 0);
    results |= request.messages(i).role() == Role::ROLE_TOOL;
  }
  return std::max(last_user, 0);
}

absl::StatusOr<std::vector<Attachment>> AttachmentsOf(const ChatRequest& request, bool takes_files) {
  std::vector<Attachment> attachments;
  int parts = 0, images = 0;
  for (int i = FirstSentMessage(request); i < request.messages_size(); ++i) {
    for (int j = 0; j < request.messages(i).parts_size(); ++j) {
      const ContentPart& part = request.messages(i).parts(j);
      if (!part.has_image() && !part.has_file()) continue;
      std::string field = PartField(i, j);
      if (++parts > kMaxAttachments) return Invalid(field, "a request may hold at most 16 images and files");
      if (part.has_file() && IsPromptText(part.file())) continue;
      auto read = part.has_image() ? ReadImage(part.image(), ++images, std::move(field))
                                   : ReadFile(part.file(), takes_files, std::move(field));
      if (!read.ok()) return read.status();
      attachments.push_back(*std::move(read));
    }
  }
  return attachments;
}

absl::Status RefusedAttachment(const Attachment& attachment, const absl::Status& why) {
  return Invalid(attachment.field, absl::StrCat("the platform does not take it: ", why.message()));
}

bool IsPromptText(const File& file) {
  return !file.data().empty() && file.data().size() <= kMaxPromptText && IsText(file.data());
}

std::string SafeFilename(const File& file) {
  absl::string_view name = file.filename();
  if (const size_t slash = name.find_last_of("/\\"); slash != absl::string_view::npos) name = name.substr(slash + 1);
  std::string safe;
  for (const char c : CleanQuote(name, kLongestName)) {
    if (!absl::StrContains("\"<>|:*?;[]", absl::string_view(&c, 1))) safe.push_back(c);
  }
  return safe.empty() || safe[0] == '.' ? absl::StrCat("file", safe) : safe;
}

absl::string_view ImageType(absl::string_view bytes) {
  const Kind* kind = ImageKind(bytes);
  return kind == nullptr ? absl::string_view() : kind->media_type;
}

ImageSize SizeOfImage(absl::string_view bytes) {
  const absl::string_view type = ImageType(bytes);
  if (type == "image/png" && bytes.size() >= 24) return {.width = Big(bytes, 16, 4), .height = Big(bytes, 20, 4)};
  if (type == "image/gif" && bytes.size() >= 10) return {.width = Little(bytes, 6, 2), .height = Little(bytes, 8, 2)};
  if (type == "image/jpeg") return JpegSize(bytes);
  if (type == "image/webp") return WebpSize(bytes);
  return {};
}

}  // namespace switchyard
