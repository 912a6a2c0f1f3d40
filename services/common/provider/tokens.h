// An estimate of how many tokens a text is, for usage that the platform does not measure and for token limits.
//
// It follows what o200k_base does with Chinese, English and code, without its table of 200,000 tokens. In hundredths of
// a token:
//
//   a word: a run of Latin letters; a capital       its start: 99 after a space, 120 on a new line, 48 after one
//   after a small letter begins another             character of punctuation, 80 after several, 90 inside a run of
//                                                   letters, 150 after anything else. Each letter beyond the fifth
//                                                   5, each capital after the first 4, each accented letter 20
//   digits                                          87 for each started three, 104 more after a space
//   punctuation                                     97, what follows directly 27, the same again 2
//   white space                                     a new line 118 unless it follows punctuation, more of them 15
//                                                   each; a second space 96; else nothing
//   Chinese characters                              30, 64 or 108, by the three tables of han.h; 175 for the rest;
//                                                   45 more to begin a run that follows neither Chinese nor its
//                                                   punctuation
//   full-width and typographic punctuation          66
//   kana 70, Hangul syllables 62, Thai and its neighbours 40 a character; other alphabets 100 a word and 14 a letter;
//   anything else, such as emoji, 160
//
// The sum is rounded up. Fitted by least squares on texts outside tests/data/token_sample.json and on every other one
// of that file; the test holds the rest against it, within 15 % each. Runs of random letters (base64) come out a third
// too low. Pure.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace switchyard {

/// Counts over text that arrives in pieces; pieces end on code-point borders, and where they end makes no difference.
class TokenEstimate {
 public:
  void Add(absl::string_view text);
  int64_t tokens() const;

  /// How many bytes of `text` may be added before tokens() would exceed `limit`; whole code points.
  size_t BytesWithin(absl::string_view text, int64_t limit) const;

 private:
  enum class Kind : uint8_t {
    kStart,  // before any text
    kSmall,
    kCapital,
    kDigit,
    kPunctuation,
    kNewLine,
    kSpace,
    kHan,
    kWidePunctuation,
    kKana,
    kHangul,
    kUnspaced,  // Thai and its neighbours
    kAlphabet,  // other than Latin
    kOther,
  };
  static Kind KindOf(char32_t c);
  int WordStart(Kind kind) const;
  int CostOf(char32_t c, Kind kind) const;
  void AddCodePoint(char32_t c);

  int64_t hundredths_ = 0;
  Kind last_kind_ = Kind::kStart;
  char32_t last_ = 0;
  int32_t run_ = 0;       // letters of the word; code points of one kind, otherwise
  int32_t capitals_ = 0;  // of the word
};

int64_t EstimateTokens(absl::string_view text);

}  // namespace switchyard
