// What travels beside the prompt: a picture, or a file that is not text, decoded and looked at.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace switchyard {

struct Attachment {
  bool image = false;
  // Where it is in the OpenAI request, for errors: "messages[0].content[1]".
  std::string field = {};
  // A name that is harmless in any header and path: "image1.png"; a file's own, made so.
  std::string filename = {};
  // What the bytes are, whatever was claimed: image/png, image/jpeg, image/webp or image/gif; of files the documents
  // that are known, and text/plain.
  std::string media_type = {};
  absl::string_view bytes = {};  // of the request, which outlives it
};

}  // namespace switchyard
