// Repairs what one reader of the platform reports: an event whose three parts stand on a single line,
// "id: 7 event: CHUNK_DELTA data: {…}".
//
// Pure; every other byte passes as it is. Source: protocol notes of Doubao, section 4.1.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace switchyard::doubao {

class EventLines {
 public:
  /// What of the stream is now certain, `bytes` included.
  std::string Feed(absl::string_view bytes);

 private:
  std::string line_;      // one that begins with "id:", or may yet
  bool passing_ = false;  // the rest of the current line passes as it is
};

}  // namespace switchyard::doubao
