#include "services/zhipu/paragraphs.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "services/common/text/utf8.h"

namespace switchyard::zhipu {

std::string Paragraphs::Give(Paragraph& paragraph, absl::string_view text) {
  paragraph.given.append(text.data(), text.size());
  return std::string(text);
}

// Of a rewritten text, what stands behind as many code points as were given out.
std::string Paragraphs::GiveBehind(Paragraph& paragraph, absl::string_view text) {
  int64_t skip = CountCodePoints(paragraph.given);
  size_t at = 0;
  for (; skip > 0 && at < text.size(); --skip) at += std::max<size_t>(1, Utf8SequenceLength(text.substr(at)));
  return Give(paragraph, text.substr(std::min(at, text.size())));
}

std::string Paragraphs::Take(const std::string& key, absl::string_view text, bool finished) {
  Paragraph& paragraph = paragraphs_[key];
  if (finished) {  // rule 1
    paragraph.finished = true;
    if (text.empty()) return "";
    paragraph.held = std::string(text);
    if (absl::StartsWith(text, paragraph.given)) return Give(paragraph, text.substr(paragraph.given.size()));
    ++mismatches_;
    return mode_ == Mode::kSnapshot ? GiveBehind(paragraph, text) : "";
  }
  if (text.empty() || paragraph.finished) return "";
  const auto append = [&] {
    paragraph.held.append(text.data(), text.size());
    return Give(paragraph, text);
  };
  if (mode_ == Mode::kDelta) return append();    // rule 2
  if (paragraph.held == text) return "";         // rule 3
  if (paragraph.held.empty()) return append();   // rule 5
  if (absl::StartsWith(text, paragraph.held)) {  // rule 4
    mode_ = Mode::kSnapshot;
    paragraph.held = std::string(text);
    return absl::StartsWith(text, paragraph.given) ? Give(paragraph, text.substr(paragraph.given.size()))
                                                   : GiveBehind(paragraph, text);
  }
  if (mode_ == Mode::kSnapshot) {  // rule 6
    paragraph.held = std::string(text);
    return GiveBehind(paragraph, text);
  }
  mode_ = Mode::kDelta;  // rule 7
  return append();
}

}  // namespace switchyard::zhipu
