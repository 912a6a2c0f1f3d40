#include "services/common/provider/tokens.h"

#include <cmath>

namespace switchyard {
namespace {

constexpr double kCjkCharacter = 0.75;
constexpr double kOtherCharacter = 0.6;
constexpr int kLettersAToken = 5;
constexpr int kDigitsAToken = 3;

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

bool IsCjk(char32_t c) {
  return (c >= 0x2E80 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7AF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0xFF00 && c <= 0xFFEF) || c >= 0x20000;
}
bool IsDigit(char32_t c) { return c >= '0' && c <= '9'; }
bool IsLetter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c < 0x2000); }

}  // namespace

void TokenEstimate::AddCodePoint(char32_t c) {
  const Kind kind = IsDigit(c) ? Kind::kDigits : IsLetter(c) ? Kind::kLetters : Kind::kNone;
  if (kind != Kind::kNone) {
    if (kind != run_) run_length_ = 0;
    const int a_token = kind == Kind::kDigits ? kDigitsAToken : kLettersAToken;
    if (run_length_ % a_token == 0) tokens_ += 1;
    ++run_length_;
  } else if (IsCjk(c)) {
    tokens_ += kCjkCharacter;
  } else if (c > ' ') {
    tokens_ += kOtherCharacter;
  }
  run_ = kind;
}

void TokenEstimate::Add(absl::string_view text) {
  while (!text.empty()) {
    size_t length;
    AddCodePoint(Decode(text, length));
    text.remove_prefix(length);
  }
}

int64_t TokenEstimate::tokens() const { return static_cast<int64_t>(std::ceil(tokens_)); }

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
