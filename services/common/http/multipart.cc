#include "services/common/http/multipart.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace switchyard {
namespace {

// As browsers write it.
std::string Quoted(absl::string_view name) {
  return absl::StrReplaceAll(name, {{"\"", "%22"}, {"\r", "%0D"}, {"\n", "%0A"}});
}

}  // namespace

void MultipartForm::Begin(absl::string_view name, size_t coming) {
  constexpr size_t kAround = 512;
  body_.reserve(body_.size() + coming + kAround);
  absl::StrAppend(&body_, "--", boundary_, "\r\nContent-Disposition: form-data; name=\"", Quoted(name), "\"");
}

void MultipartForm::AddField(absl::string_view name, absl::string_view value) {
  Begin(name, value.size());
  absl::StrAppend(&body_, "\r\n\r\n", value, "\r\n");
}

void MultipartForm::AddFile(absl::string_view name, absl::string_view filename, absl::string_view media_type,
                            absl::string_view bytes) {
  Begin(name, bytes.size());
  absl::StrAppend(&body_, "; filename=\"", Quoted(filename), "\"\r\nContent-Type: ", media_type, "\r\n\r\n", bytes,
                  "\r\n");
}

std::string MultipartForm::content_type() const { return absl::StrCat("multipart/form-data; boundary=", boundary_); }

std::string MultipartForm::Finish() && {
  absl::StrAppend(&body_, "--", boundary_, "--\r\n");
  return std::move(body_);
}

}  // namespace switchyard
