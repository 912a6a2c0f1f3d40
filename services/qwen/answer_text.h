// What is new in a text of which the platform sends, every time, all there is so far.
//
//   GrowingText text;
//   text.Take("Red");          // "Red"
//   text.Take("Red, green");   // ", green"
//   text.Take("Rod, green!");  // "!": what was given cannot be taken back, so it goes on by length
//
// Pure. Source: protocol notes of Qwen, section 4.1, "Deriving the answer".
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace switchyard::qwen {

class GrowingText {
 public:
  /// What `snapshot` has beyond the code points given so far; a view into it. Costs one comparison with what is known
  /// and a look at what is new, unless the platform changed its text.
  /// @param last whether U+FFFD may stand: before the end it is half a character, and ends the snapshot
  absl::string_view Take(absl::string_view snapshot, bool last);

  /// All of the text as the platform last told it.
  const std::string& known() const { return known_; }
  /// The platform changed text that was given already.
  bool rewritten() const { return rewritten_; }

 private:
  std::string known_;  // as long, in code points, as what was given
  bool rewritten_ = false;
};

/// `text` of a picture: URLs without their queries, and a URL alone as a Markdown picture.
std::string PictureText(absl::string_view text);

}  // namespace switchyard::qwen
