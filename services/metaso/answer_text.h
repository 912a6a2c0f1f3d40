// Metaso's answer text as it is shown: the marks of citations, "[[1]]", become labels "[1]" or go, and where they stood
// is noted; the site's label "[AI生成]" behind the text goes.
//
//   AnswerText text(/*label=*/true);
//   std::string shown = text.Feed("330 米[[1");   // "330 米"
//   shown = text.Feed("]]，建于");                 // "[1]，建于"
//   shown = text.Flush();
//
// Pure; any division into pieces gives the same. Source: protocol notes of Metaso, sections 4.1 and 9.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace switchyard::metaso {

class AnswerText {
 public:
  struct Mark {
    int64_t number = 0;          // of the reference
    int64_t start = 0, end = 0;  // code points of the text given out; equal where the mark was taken out
  };

  /// @param label whether a mark leaves a label in the text
  explicit AnswerText(bool label) : label_(label) {}

  /// Takes the next piece. What may be the start of a mark, or the site's label, is held back.
  std::string Feed(absl::string_view text);
  /// The answer ended: what was held back is text after all, unless it is the site's label.
  std::string Flush();

  const std::vector<Mark>& marks() const { return marks_; }

 private:
  std::string Take(bool last);
  void Give(absl::string_view text, std::string& out);

  const bool label_;
  std::string held_;
  int64_t given_ = 0;  // code points
  std::vector<Mark> marks_;
};

}  // namespace switchyard::metaso
