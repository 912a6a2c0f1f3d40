#include "tests/simulator/multipart.h"

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace simulator {
namespace {

/// `name="value"` at the front of `text`, cut off it.
bool TakeParameter(absl::string_view name, absl::string_view& text, std::string& value) {
  if (!absl::ConsumePrefix(&text, "; ") || !absl::ConsumePrefix(&text, name) || !absl::ConsumePrefix(&text, "=\""))
    return false;
  const size_t end = text.find('"');
  if (end == absl::string_view::npos) return false;
  value = std::string(text.substr(0, end));
  text.remove_prefix(end + 1);
  return true;
}

bool ReadHeader(absl::string_view header, FormPart& part) {
  if (!absl::ConsumePrefix(&header, "Content-Disposition: form-data") || !TakeParameter("name", header, part.name))
    return false;
  if (header.empty()) return true;
  part.is_file = TakeParameter("filename", header, part.filename) && absl::ConsumePrefix(&header, "\r\nContent-Type: ");
  part.type = std::string(header);
  return part.is_file && !part.type.empty() && !absl::StrContains(part.type, "\r\n");
}

struct Known {
  const char* ending;
  const char* type;
  const char* begin;
};
constexpr Known kKnown[] = {
    {".png", "image/png", "\x89PNG"},
    {".jpg", "image/jpeg", "\xff\xd8\xff"},
    {".jpeg", "image/jpeg", "\xff\xd8\xff"},
    {".gif", "image/gif", "GIF8"},
    {".webp", "image/webp", "RIFF"},
    {".pdf", "application/pdf", "%PDF"},
    {".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "PK"},
};

}  // namespace

std::vector<FormPart> ReadForm(const switchyard::HttpServerRequest& request, std::string& why) {
  absl::string_view type = request.headers.Get("Content-Type");
  if (!absl::ConsumePrefix(&type, "multipart/form-data; boundary=") || type.empty() || type.size() > 70) {
    why = "Content-Type";
    return {};
  }
  const std::string line = "--" + std::string(type);
  absl::string_view body = request.body;
  std::vector<FormPart> parts;
  while (absl::ConsumePrefix(&body, line + "\r\n")) {
    FormPart part;
    const size_t head = body.find("\r\n\r\n");
    const size_t end = body.find("\r\n" + line, head == absl::string_view::npos ? 0 : head + 2);
    if (head == absl::string_view::npos || end == absl::string_view::npos || end < head + 4 ||
        !ReadHeader(body.substr(0, head), part)) {
      why = "a part that is none";
      return {};
    }
    part.bytes = std::string(body.substr(head + 4, end - head - 4));
    body.remove_prefix(end + 2);
    parts.push_back(std::move(part));
  }
  if (body == line + "--\r\n" && !parts.empty()) return parts;
  why = "the form's end";
  return {};
}

std::string FileFault(const std::string& filename, const std::string& type, const std::string& bytes) {
  if (bytes.empty()) return "an empty file";
  for (const Known& known : kKnown) {
    if (!absl::EndsWithIgnoreCase(filename, known.ending)) continue;
    if (type != known.type) return "a file of another type than its name says";
    return absl::StartsWith(bytes, known.begin) ? "" : "a file that is not what it says";
  }
  return filename.find('.') == std::string::npos ? "a file whose name says nothing" : "";
}

std::string FileFault(const FormPart& file) { return FileFault(file.filename, file.type, file.bytes); }

bool IsImageType(const std::string& type) { return absl::StartsWith(type, "image/"); }

}  // namespace simulator
