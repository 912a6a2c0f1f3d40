// JSON as models write it, code point by code point: strict JSON, and the drift that has one meaning only.
//
//   JsonWriter text;
//   LenientJson json(text);
//   while (…) if (json.Push(code_point) != LenientJson::State::kMore) break;
//
// Tolerated: trailing commas; strings in typographic, full-width or single quotes; full-width colons, commas and
// brackets; True, False and None; line breaks and tabs inside strings; a backslash before a character that needs none.
// Not guessed at: anything else, least of all a quote inside a string.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace switchyard {

/// Hears a value's tokens in their order.
class JsonTokens {
 public:
  virtual ~JsonTokens() = default;
  virtual void Open(char bracket) = 0;   // '{' or '['
  virtual void Close(char bracket) = 0;  // '}' or ']'
  virtual void Key(const std::string& key) = 0;
  virtual void StringBegin() = 0;
  virtual void StringText(absl::string_view text) = 0;  // decoded, whole code points
  virtual void StringEnd() = 0;
  virtual void Scalar(absl::string_view literal) = 0;  // strict JSON
};

class LenientJson {
 public:
  enum class State { kMore, kDone, kBad };

  /// @param tokens outlives it
  explicit LenientJson(JsonTokens& tokens) : tokens_(&tokens) {}

  /// @param code_point one, whole. After kDone or kBad nothing more is to be pushed.
  State Push(absl::string_view code_point);
  /// The text is at its end, which completes a number or a word that is the whole value.
  State Finish();
  /// Closes brackets that were left open, `most` of them, if what is inside is complete. kBad if it is not.
  State CloseMissing(size_t most);

  /// Whether the next code point is part of a string, whatever it is.
  bool in_string() const { return expect_ == Expect::kString || expect_ == Expect::kEscape || expect_ == Expect::kHex; }
  size_t depth() const { return open_.size(); }

 private:
  enum class Expect { kValue, kValueOrEnd, kKeyOrEnd, kColon, kCommaOrEnd, kString, kEscape, kHex, kScalar, kNothing };

  State Structure(char c);
  State InString(absl::string_view code_point);
  State InEscape(absl::string_view code_point);
  State InHex(char c);
  State OpenBracket(char bracket);
  State CloseBracket(char bracket);
  State OpenString(std::string closing_quote);
  State CloseString();
  State EndScalar();
  State AfterValue();
  void Text(absl::string_view text);
  State Bad();

  JsonTokens* tokens_;
  Expect expect_ = Expect::kValue;
  std::string open_;   // the brackets around
  std::string quote_;  // that ends the string
  bool is_key_ = false;
  std::string key_;
  std::string literal_;
  std::string hex_;
  unsigned high_surrogate_ = 0;
};

/// Tokens as strict, compact JSON.
class JsonWriter final : public JsonTokens {
 public:
  void Open(char bracket) override;
  void Close(char bracket) override;
  void Key(const std::string& key) override;
  void StringBegin() override;
  void StringText(absl::string_view text) override;
  void StringEnd() override;
  void Scalar(absl::string_view literal) override;

  const std::string& text() const { return text_; }
  void Clear();

 private:
  void Separate();

  std::string text_;
  bool first_ = true;
  bool after_key_ = false;
};

/// The text as strict JSON in one go. False if it is not JSON even leniently.
bool NormaliseJson(absl::string_view text, std::string& out);

/// Appends what `text` is inside a JSON string.
void AppendJsonEscaped(std::string& out, absl::string_view text);

}  // namespace switchyard
