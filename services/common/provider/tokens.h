// An estimate of how many tokens a text is, for usage that the platform does not measure and for token limits.
//
// The rule: a CJK character is 0.75 of a token; a run of Latin letters or digits is one token for each started 5
// letters or 3 digits; any other visible character is 0.6; white space counts within the words it precedes. Pure.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace switchyard {

/// Counts over text that arrives in pieces; pieces end on code-point borders.
class TokenEstimate {
 public:
  void Add(absl::string_view text);
  int64_t tokens() const;

  /// How many bytes of `text` may be added before tokens() would exceed `limit`; whole code points.
  size_t BytesWithin(absl::string_view text, int64_t limit) const;

 private:
  enum class Kind { kNone, kLetters, kDigits };
  void AddCodePoint(char32_t c);

  double tokens_ = 0;
  Kind run_ = Kind::kNone;
  int run_length_ = 0;
};

int64_t EstimateTokens(absl::string_view text);

}  // namespace switchyard
