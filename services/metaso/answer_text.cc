#include "services/metaso/answer_text.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/text/utf8.h"

namespace switchyard::metaso {
namespace {

constexpr size_t kMaxDigits = 4;
constexpr absl::string_view kSpan = "<span";
constexpr absl::string_view kGenerated = "[AI生成]</span>";
constexpr size_t kMaxAttributes = 512;

enum class Match { kNo, kPartly, kWhole };

struct Found {
  Match match = Match::kNo;
  size_t length = 0;
  int64_t number = 0;
};

/// What `text`, which begins with '[', has to do with a mark.
Found MatchMark(absl::string_view text) {
  if (text.size() < 2) return {Match::kPartly};
  if (text[1] != '[') return {};
  size_t at = 2;
  while (at < text.size() && at - 2 <= kMaxDigits && absl::ascii_isdigit(static_cast<unsigned char>(text[at]))) ++at;
  const absl::string_view digits = text.substr(2, at - 2);
  if (digits.size() > kMaxDigits) return {};
  const absl::string_view rest = text.substr(at);
  if (rest.empty() || (rest == "]" && !digits.empty())) return {Match::kPartly};
  if (digits.empty() || !absl::StartsWith(rest, "]]")) return {};
  Found found{Match::kWhole, at + 2};
  return absl::SimpleAtoi(digits, &found.number) ? found : Found();
}

/// Whether `text`, which begins with '<', is the site's label and nothing else: kWhole is known at the end alone, since
/// text that follows makes it part of the answer.
Match MatchLabel(absl::string_view text) {
  if (text.size() <= kSpan.size()) return absl::StartsWith(kSpan, text) ? Match::kPartly : Match::kNo;
  if (!absl::ConsumePrefix(&text, kSpan)) return Match::kNo;
  if (text[0] != '>' && !absl::ascii_isspace(static_cast<unsigned char>(text[0]))) return Match::kNo;
  const size_t close = text.find_first_of("<>");
  if (close == absl::string_view::npos) return text.size() <= kMaxAttributes ? Match::kPartly : Match::kNo;
  if (text[close] == '<' || close > kMaxAttributes) return Match::kNo;
  text.remove_prefix(close + 1);
  if (text.size() < kGenerated.size()) return absl::StartsWith(kGenerated, text) ? Match::kPartly : Match::kNo;
  if (!absl::ConsumePrefix(&text, kGenerated)) return Match::kNo;
  return absl::StripAsciiWhitespace(text).empty() ? Match::kWhole : Match::kNo;
}

}  // namespace

void AnswerText::Give(absl::string_view text, std::string& out) {
  out.append(text.data(), text.size());
  given_ += CountCodePoints(text);
}

std::string AnswerText::Feed(absl::string_view text) {
  held_.append(text.data(), text.size());
  return Take(false);
}

std::string AnswerText::Flush() { return Take(true); }

std::string AnswerText::Take(bool last) {
  const std::string joined = std::exchange(held_, std::string());
  absl::string_view rest = joined;
  std::string out;
  while (!rest.empty()) {
    const size_t special = rest.find_first_of("[<");
    Give(rest.substr(0, special), out);
    if (special == absl::string_view::npos) break;
    rest.remove_prefix(special);
    if (rest[0] == '<') {
      const Match label = MatchLabel(rest);
      if (last && label == Match::kWhole) break;
      if (!last && label != Match::kNo) {
        held_ = std::string(rest);
        break;
      }
    }
    const Found mark = rest[0] == '[' ? MatchMark(rest) : Found();
    if (mark.match == Match::kPartly && !last) {
      held_ = std::string(rest);
      break;
    }
    if (mark.match == Match::kWhole) {
      const int64_t start = given_;
      if (label_) Give(absl::StrCat("[", mark.number, "]"), out);
      marks_.push_back({mark.number, start, given_});
      rest.remove_prefix(mark.length);
    } else {
      Give(rest.substr(0, 1), out);
      rest.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace switchyard::metaso
