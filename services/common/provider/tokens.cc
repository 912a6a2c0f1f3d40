#include "services/common/provider/tokens.h"

#include <vector>

#include "services/common/provider/han.h"

namespace switchyard {
namespace {

constexpr int64_t kToken = 100;

constexpr int kWordAfterSpace = 99;
constexpr int kWordOnNewLine = 120;
constexpr int kWordAfterOnePunctuation = 48;
constexpr int kWordAfterPunctuation = 80;
constexpr int kWordInWord = 90;
constexpr int kWordElsewhere = 150;
constexpr int kFreeLetters = 5;
constexpr int kLetter = 5;
constexpr int kFurtherCapital = 4;
constexpr int kAccent = 20;

constexpr int kDigitsAToken = 3;
constexpr int kDigits = 87;
constexpr int kSpaceBeforeDigits = 104;

constexpr int kPunctuation = 97;
constexpr int kFurtherPunctuation = 27;
constexpr int kSamePunctuation = 2;
constexpr int kWidePunctuation = 66;

constexpr int kNewLine = 118;
constexpr int kFurtherNewLine = 15;
constexpr int kSecondSpace = 96;

constexpr int kJoiningCharacter = 30;
constexpr int kCommonCharacter = 64;
constexpr int kSingleCharacter = 108;
constexpr int kRareCharacter = 175;
constexpr int kHanRun = 45;

constexpr int kKana = 70;
constexpr int kHangul = 62;
constexpr int kUnspaced = 40;
constexpr int kAlphabetWord = 100;
constexpr int kAlphabetLetter = 14;
constexpr int kOther = 160;

// The code point at the front of well-formed UTF-8; `length` is its bytes. A broken byte counts as one character.
char32_t Decode(absl::string_view text, size_t& length) {
  const auto lead = static_cast<unsigned char>(text[0]);
  length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 1 || length > text.size()) {
    length = 1;
    return lead;
  }
  char32_t c = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) c = (c << 6) | (static_cast<unsigned char>(text[i]) & 0x3F);
  return c;
}

constexpr char32_t kFirstHan = 0x4E00;
constexpr char32_t kLastHan = 0x9FFF;

int CostOfHan(char32_t c) {
  static const auto& costs = *[] {
    auto* made = new std::vector<uint8_t>(kLastHan - kFirstHan + 1, kRareCharacter);
    const auto set = [made](absl::string_view characters, uint8_t cost) {
      while (!characters.empty()) {
        size_t length;
        (*made)[Decode(characters, length) - kFirstHan] = cost;
        characters.remove_prefix(length);
      }
    };
    set(kJoiningHan, kJoiningCharacter);
    set(kCommonHan, kCommonCharacter);
    set(kSingleHan, kSingleCharacter);
    return made;
  }();
  return c >= kFirstHan && c <= kLastHan ? costs[c - kFirstHan] : kRareCharacter;
}

bool Between(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

}  // namespace

TokenEstimate::Kind TokenEstimate::KindOf(char32_t c) {
  if (c == '\n' || c == '\r') return Kind::kNewLine;
  if (c == ' ' || c == '\t' || c == 0xA0 || c == 0x3000) return Kind::kSpace;
  if (Between(c, '0', '9')) return Kind::kDigit;
  if (Between(c, 'A', 'Z')) return Kind::kCapital;
  // An apostrophe within a word belongs to it; accents are not told apart by case.
  if (Between(c, 'a', 'z') || c == 0x2019) return Kind::kSmall;
  if (c < 0x80) return Kind::kPunctuation;
  if (Between(c, 0xC0, 0x36F) || Between(c, 0x1E00, 0x1EFF)) return Kind::kSmall;
  if (Between(c, 0x3400, 0x9FFF) || Between(c, 0xF900, 0xFAFF) || Between(c, 0x20000, 0x2FFFF)) return Kind::kHan;
  if (Between(c, 0x3040, 0x30FF)) return Kind::kKana;
  if (Between(c, 0xAC00, 0xD7AF)) return Kind::kHangul;
  if (Between(c, 0x0E00, 0x10FF) || Between(c, 0x1780, 0x17FF)) return Kind::kUnspaced;
  if (Between(c, 0x0370, 0x1FFF)) return Kind::kAlphabet;
  if (Between(c, 0x2000, 0x206F) || Between(c, 0x3000, 0x303F) || Between(c, 0xFF00, 0xFFEF)) {
    return Kind::kWidePunctuation;
  }
  return Kind::kOther;
}

int TokenEstimate::WordStart(Kind kind) const {
  switch (last_kind_) {
    case Kind::kSmall:
      return kind == Kind::kCapital ? kWordInWord : 0;
    case Kind::kCapital:
      return 0;
    case Kind::kStart:
    case Kind::kSpace:
      return kWordAfterSpace;
    case Kind::kNewLine:
      return kWordOnNewLine;
    case Kind::kPunctuation:
      return run_ == 1 ? kWordAfterOnePunctuation : kWordAfterPunctuation;
    default:
      return kWordElsewhere;
  }
}

// `run_` and `capitals_` are those of what came before `c`.
int TokenEstimate::CostOf(char32_t c, Kind kind) const {
  const bool first = kind != last_kind_;
  switch (kind) {
    case Kind::kSmall:
    case Kind::kCapital: {
      const int start = WordStart(kind);
      const int letter = (c >= 0x80 ? kAccent : 0) + (start == 0 && run_ >= kFreeLetters ? kLetter : 0);
      return start + letter + (start == 0 && kind == Kind::kCapital && capitals_ > 0 ? kFurtherCapital : 0);
    }
    case Kind::kDigit:
      return (first || run_ % kDigitsAToken == 0 ? kDigits : 0) + (last_kind_ == Kind::kSpace ? kSpaceBeforeDigits : 0);
    case Kind::kPunctuation:
      return first ? kPunctuation : c == last_ ? kSamePunctuation : kFurtherPunctuation;
    case Kind::kNewLine:
      if (!first) return kFurtherNewLine;
      return last_kind_ == Kind::kPunctuation || last_kind_ == Kind::kWidePunctuation ? 0 : kNewLine;
    case Kind::kSpace:
      return !first && run_ == 1 ? kSecondSpace : 0;
    case Kind::kHan:
      return CostOfHan(c) + (first && last_kind_ != Kind::kWidePunctuation ? kHanRun : 0);
    case Kind::kWidePunctuation:
      return kWidePunctuation;
    case Kind::kKana:
      return kKana;
    case Kind::kHangul:
      return kHangul;
    case Kind::kUnspaced:
      return kUnspaced;
    case Kind::kAlphabet:
      return (first ? kAlphabetWord : 0) + kAlphabetLetter;
    default:
      return kOther;
  }
}

void TokenEstimate::AddCodePoint(char32_t c) {
  const Kind kind = KindOf(c);
  hundredths_ += CostOf(c, kind);
  const bool letter = kind == Kind::kSmall || kind == Kind::kCapital;
  const bool goes_on = letter ? WordStart(kind) == 0 : kind == last_kind_;
  run_ = goes_on ? run_ + 1 : 1;
  capitals_ = (goes_on ? capitals_ : 0) + (kind == Kind::kCapital ? 1 : 0);
  last_kind_ = kind;
  last_ = c;
}

void TokenEstimate::Add(absl::string_view text) {
  while (!text.empty()) {
    size_t length;
    AddCodePoint(Decode(text, length));
    text.remove_prefix(length);
  }
}

int64_t TokenEstimate::tokens() const { return (hundredths_ + kToken - 1) / kToken; }

size_t TokenEstimate::BytesWithin(absl::string_view text, int64_t limit) const {
  TokenEstimate ahead = *this;
  size_t taken = 0;
  while (taken < text.size()) {
    size_t length;
    ahead.AddCodePoint(Decode(text.substr(taken), length));
    if (ahead.tokens() > limit) break;
    taken += length;
  }
  return taken;
}

int64_t EstimateTokens(absl::string_view text) {
  TokenEstimate estimate;
  estimate.Add(text);
  return estimate.tokens();
}

}  // namespace switchyard
