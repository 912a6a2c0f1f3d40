// A form as multipart/form-data (RFC 7578), written in one go.
//
//   MultipartForm form("----WebKitFormBoundary" + random.NextHex(16));
//   form.AddField("from", "chat");
//   form.AddFile("file", "photo.png", "image/png", bytes);
//   request.headers.Set("Content-Type", form.content_type());
//   request.body = std::move(form).Finish();
//
// Parts keep their order: some servers insist on one.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace switchyard {

class MultipartForm {
 public:
  /// @param boundary that occurs in no part: at least 16 random digits
  explicit MultipartForm(std::string boundary) : boundary_(std::move(boundary)) {}

  void AddField(absl::string_view name, absl::string_view value);
  void AddFile(absl::string_view name, absl::string_view filename, absl::string_view media_type,
               absl::string_view bytes);

  std::string content_type() const;
  std::string Finish() &&;

 private:
  void Begin(absl::string_view name, size_t coming);

  std::string boundary_;
  std::string body_;
};

}  // namespace switchyard
