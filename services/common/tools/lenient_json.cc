#include "services/common/tools/lenient_json.h"

#include <array>
#include <utility>

#include "services/common/text/json.h"
#include "services/common/text/utf8.h"

namespace switchyard {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kLongestLiteral = 64;

struct Pair {
  absl::string_view from, to;
};
// What opens a string, and what then closes it.
constexpr std::array kQuotes = {Pair{"\"", "\""}, Pair{"'", "'"}, Pair{"“", "”"}, Pair{"”", "”"}, Pair{"＂", "＂"}};
constexpr std::array kFullWidth = {Pair{"：", ":"}, Pair{"，", ","}, Pair{"｛", "{"},
                                   Pair{"｝", "}"}, Pair{"［", "["}, Pair{"］", "]"}};
constexpr std::array kWords = {Pair{"true", "true"}, Pair{"false", "false"}, Pair{"null", "null"},
                               Pair{"True", "true"}, Pair{"False", "false"}, Pair{"None", "null"}};

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLiteral(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '-' || c == '.';
}

bool IsNumber(absl::string_view text) {
  size_t i = 0;
  const auto digits = [&] {
    const size_t from = i;
    while (i < text.size() && IsDigit(text[i])) ++i;
    return i - from;
  };
  if (i < text.size() && text[i] == '-') ++i;
  const size_t whole = i;
  const size_t count = digits();
  if (count == 0 || (count > 1 && text[whole] == '0')) return false;
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (digits() == 0) return false;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (digits() == 0) return false;
  }
  return i == text.size();
}

std::string Encode(unsigned c) {
  std::string out;
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (c >> 6)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (c >> 12)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | (c >> 18)));
    out.push_back(static_cast<char>(0x80 | ((c >> 12) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
  return out;
}

}  // namespace

LenientJson::State LenientJson::Bad() {
  expect_ = Expect::kNothing;
  return State::kBad;
}

LenientJson::State LenientJson::Push(absl::string_view code_point) {
  switch (expect_) {
    case Expect::kNothing:
      return State::kBad;
    case Expect::kString:
      return InString(code_point);
    case Expect::kEscape:
      return InEscape(code_point);
    case Expect::kHex:
      return InHex(code_point[0]);
    case Expect::kScalar:
      if (IsLiteral(code_point[0])) {
        literal_ += code_point[0];
        return literal_.size() > kLongestLiteral ? Bad() : State::kMore;
      }
      if (const State state = EndScalar(); state != State::kMore) return state;
      break;
    default:
      break;
  }
  if (expect_ == Expect::kValue || expect_ == Expect::kValueOrEnd || expect_ == Expect::kKeyOrEnd) {
    for (const Pair& quote : kQuotes) {
      if (code_point == quote.from) return OpenString(std::string(quote.to));
    }
  }
  for (const Pair& wide : kFullWidth) {
    if (code_point == wide.from) return Structure(wide.to[0]);
  }
  return code_point.size() == 1 ? Structure(code_point[0]) : Bad();
}

LenientJson::State LenientJson::Structure(char c) {
  if (IsSpace(c)) return State::kMore;
  const bool value = expect_ == Expect::kValue || expect_ == Expect::kValueOrEnd;
  switch (c) {
    case '{':
    case '[':
      return value ? OpenBracket(c) : Bad();
    case '}':
      return expect_ == Expect::kKeyOrEnd || expect_ == Expect::kCommaOrEnd ? CloseBracket('}') : Bad();
    case ']':
      return expect_ == Expect::kValueOrEnd || expect_ == Expect::kCommaOrEnd ? CloseBracket(']') : Bad();
    case ':':
      if (expect_ != Expect::kColon) return Bad();
      expect_ = Expect::kValue;
      return State::kMore;
    case ',':
      if (expect_ != Expect::kCommaOrEnd) return Bad();
      // A bracket may follow all the same: a trailing comma.
      expect_ = open_.back() == '{' ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
      return State::kMore;
    default:
      if (!value || !IsLiteral(c)) return Bad();
      literal_ = std::string(1, c);
      expect_ = Expect::kScalar;
      return State::kMore;
  }
}

LenientJson::State LenientJson::OpenBracket(char bracket) {
  if (open_.size() == kMaxDepth) return Bad();
  open_ += bracket;
  tokens_->Open(bracket);
  expect_ = bracket == '{' ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
  return State::kMore;
}

LenientJson::State LenientJson::CloseBracket(char bracket) {
  if (open_.empty() || open_.back() != (bracket == '}' ? '{' : '[')) return Bad();
  open_.pop_back();
  tokens_->Close(bracket);
  return AfterValue();
}

LenientJson::State LenientJson::AfterValue() {
  expect_ = open_.empty() ? Expect::kNothing : Expect::kCommaOrEnd;
  return open_.empty() ? State::kDone : State::kMore;
}

LenientJson::State LenientJson::OpenString(std::string closing_quote) {
  is_key_ = expect_ == Expect::kKeyOrEnd;
  quote_ = std::move(closing_quote);
  key_.clear();
  if (!is_key_) tokens_->StringBegin();
  expect_ = Expect::kString;
  return State::kMore;
}

LenientJson::State LenientJson::CloseString() {
  if (high_surrogate_ != 0) return Bad();
  if (is_key_) {
    tokens_->Key(key_);
    expect_ = Expect::kColon;
    return State::kMore;
  }
  tokens_->StringEnd();
  return AfterValue();
}

void LenientJson::Text(absl::string_view text) {
  if (is_key_) {
    key_.append(text.data(), text.size());
  } else {
    tokens_->StringText(text);
  }
}

LenientJson::State LenientJson::InString(absl::string_view code_point) {
  if (code_point == quote_) return CloseString();
  if (code_point == "\\") {
    expect_ = Expect::kEscape;
    return State::kMore;
  }
  if (high_surrogate_ != 0) return Bad();
  if (static_cast<unsigned char>(code_point[0]) < 0x20 && !IsSpace(code_point[0])) return Bad();
  Text(code_point);
  return State::kMore;
}

LenientJson::State LenientJson::InEscape(absl::string_view code_point) {
  static constexpr absl::string_view kLetters = "\"\\/bfnrt";
  static constexpr absl::string_view kMeant = "\"\\/\b\f\n\r\t";
  if (code_point == "u") {
    hex_.clear();
    expect_ = Expect::kHex;
    return State::kMore;
  }
  if (high_surrogate_ != 0) return Bad();
  expect_ = Expect::kString;
  const size_t at = code_point.size() == 1 ? kLetters.find(code_point[0]) : absl::string_view::npos;
  if (at != absl::string_view::npos) {
    Text(kMeant.substr(at, 1));
  } else if (code_point == quote_) {
    Text(code_point);
  } else if (static_cast<unsigned char>(code_point[0]) < 0x20) {
    return Bad();
  } else {
    // Such a backslash can only have been meant as one: "\d+".
    if (code_point != "'") Text("\\");
    Text(code_point);
  }
  return State::kMore;
}

LenientJson::State LenientJson::InHex(char c) {
  const bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  if (!IsDigit(c) && !letter) return Bad();
  hex_ += c;
  if (hex_.size() < 4) return State::kMore;
  const auto unit = static_cast<unsigned>(std::stoul(hex_, nullptr, 16));
  expect_ = Expect::kString;
  const bool low = unit >= 0xDC00 && unit <= 0xDFFF;
  if (low != (high_surrogate_ != 0)) return Bad();
  if (low) {
    Text(Encode(0x10000 + ((high_surrogate_ - 0xD800) << 10) + (unit - 0xDC00)));
    high_surrogate_ = 0;
  } else if (unit >= 0xD800 && unit <= 0xDBFF) {
    high_surrogate_ = unit;
  } else {
    Text(Encode(unit));
  }
  return State::kMore;
}

LenientJson::State LenientJson::EndScalar() {
  std::string literal = std::exchange(literal_, "");
  for (const Pair& word : kWords) {
    if (literal != word.from) continue;
    tokens_->Scalar(word.to);
    return AfterValue();
  }
  if (!IsNumber(literal)) return Bad();
  tokens_->Scalar(literal);
  return AfterValue();
}

LenientJson::State LenientJson::Finish() {
  if (expect_ == Expect::kScalar && open_.empty()) return EndScalar();
  return Bad();
}

LenientJson::State LenientJson::CloseMissing(size_t most) {
  if (expect_ == Expect::kScalar && EndScalar() == State::kBad) return State::kBad;
  if (expect_ != Expect::kCommaOrEnd || open_.size() > most) return Bad();
  State state = State::kMore;
  while (!open_.empty()) state = CloseBracket(open_.back() == '{' ? '}' : ']');
  return state;
}

// ---- JsonWriter

void JsonWriter::Separate() {
  if (!first_ && !after_key_) text_ += ',';
  first_ = false;
  after_key_ = false;
}
void JsonWriter::Open(char bracket) {
  Separate();
  text_ += bracket;
  first_ = true;
}
void JsonWriter::Close(char bracket) {
  text_ += bracket;
  first_ = false;
}
void JsonWriter::Key(const std::string& key) {
  Separate();
  AppendJsonString(text_, key);
  text_ += ':';
  after_key_ = true;
}
void JsonWriter::StringBegin() {
  Separate();
  text_ += '"';
}
void JsonWriter::StringText(absl::string_view text) { AppendJsonEscaped(text_, text); }
void JsonWriter::StringEnd() { text_ += '"'; }
void JsonWriter::Scalar(absl::string_view literal) {
  Separate();
  text_.append(literal.data(), literal.size());
}
void JsonWriter::Clear() {
  text_.clear();
  first_ = true;
  after_key_ = false;
}

bool NormaliseJson(absl::string_view text, std::string& out) {
  JsonWriter tokens;
  LenientJson json(tokens);
  LenientJson::State state = LenientJson::State::kMore;
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    if (length == 0) return false;
    const absl::string_view code_point = text.substr(0, length);
    text.remove_prefix(length);
    if (state == LenientJson::State::kMore) {
      state = json.Push(code_point);
    } else if (code_point.size() != 1 || !IsSpace(code_point[0])) {
      return false;
    }
  }
  if (state == LenientJson::State::kMore) state = json.Finish();
  if (state != LenientJson::State::kDone) return false;
  out = tokens.text();
  return true;
}

void AppendJsonEscaped(std::string& out, absl::string_view text) {
  std::string quoted;
  AppendJsonString(quoted, text);
  out.append(quoted, 1, quoted.size() - 2);
}

}  // namespace switchyard
