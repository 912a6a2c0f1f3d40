// Takes the marks of citations, "[reference:0]" and "[citation:1]", out of an answer's text and notes where they stood.
//
//   CitationMarkers markers(/*keep=*/false);
//   markers.Activate();
//   std::string text = markers.Feed("High water is at 04:10[refer", 6);   // "High water is at 04:10"
//   text = markers.Feed("ence:0].", 6);                                    // "."
//   for (const auto& mark : markers.marks()) …
//
// Pure. Source: protocol notes of DeepSeek, sections 4.5 and 9.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace switchyard::deepseek {

class CitationMarkers {
 public:
  struct Mark {
    bool by_index = false;  // "[citation:N]": N is a result's cite_index; otherwise an index into `references`
    int number = 0;
    int64_t start = 0, end = 0;  // code points of the text given out; equal where the mark was taken out
    size_t fragment = 0;         // as given to Feed()
  };

  /// @param keep leave the marks in the text
  explicit CitationMarkers(bool keep) : keep_(keep) {}

  /// Until this, marks are text like any other: an answer without sources may well quote one.
  void Activate() { active_ = true; }

  /// Takes the next piece of the text. What may be the start of a mark is held back.
  std::string Feed(absl::string_view text, size_t fragment);
  /// What was held back turned out to be text.
  std::string Flush();

  const std::vector<Mark>& marks() const { return marks_; }

 private:
  void Give(absl::string_view text, std::string& out);

  const bool keep_;
  bool active_ = false;
  std::string held_;
  size_t held_fragment_ = 0;
  int64_t given_ = 0;  // code points
  std::vector<Mark> marks_;
};

}  // namespace switchyard::deepseek
