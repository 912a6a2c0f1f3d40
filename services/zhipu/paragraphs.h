// A paragraph of the answer comes in frames that hold all of it so far, or only what is new; the stream does not say
// which. This tells the two apart and gives out what is new.
//
//   Paragraphs paragraphs;
//   std::string fresh = paragraphs.Take(key, "Hel", false);    // "Hel"
//   fresh = paragraphs.Take(key, "Hello", false);              // "lo"
//
// Pure. Source: protocol notes of Zhipu, section 4.4, whose rules are numbered here as there.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace switchyard::zhipu {

class Paragraphs {
 public:
  enum class Mode { kUnknown, kSnapshot, kDelta };

  /// @param key which block of which part @param text what the frame holds @param finished the part is whole
  /// @return what has not been given out yet
  std::string Take(const std::string& key, absl::string_view text, bool finished);

  Mode mode() const { return mode_; }
  /// Whole paragraphs that were not what had been given out of them.
  int64_t mismatches() const { return mismatches_; }

 private:
  struct Paragraph {
    std::string held;
    std::string given;
    bool finished = false;
  };
  static std::string Give(Paragraph& paragraph, absl::string_view text);
  static std::string GiveBehind(Paragraph& paragraph, absl::string_view text);

  std::map<std::string, Paragraph> paragraphs_;
  Mode mode_ = Mode::kUnknown;
  int64_t mismatches_ = 0;
};

}  // namespace switchyard::zhipu
