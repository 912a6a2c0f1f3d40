#include "services/zhipu/citation_marks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/text/utf8.h"

namespace switchyard::zhipu {
namespace {

constexpr absl::string_view kOpen = "【";
constexpr absl::string_view kClose = "】";
constexpr int64_t kLongestMark = 40;  // code points

size_t Run(absl::string_view text, size_t from, bool (*is)(unsigned char)) {
  size_t at = from;
  while (at < text.size() && is(static_cast<unsigned char>(text[at]))) ++at;
  return at - from;
}

/// Length of "turn0search12" at the front of `text`, or 0. @param open whether more text could make it one, or longer
size_t KeyLength(absl::string_view text, bool& open) {
  constexpr absl::string_view kWord = "turn";
  open = text.size() < kWord.size() && absl::StartsWith(kWord, text);
  if (!absl::StartsWith(text, kWord)) return 0;
  const size_t digits = Run(text, kWord.size(), absl::ascii_isdigit);
  const size_t letters_at = kWord.size() + digits;
  open = letters_at == text.size();
  if (digits == 0) return 0;
  const size_t letters = Run(text, letters_at, absl::ascii_isalpha);
  const size_t number_at = letters_at + letters;
  open = number_at == text.size();
  if (letters == 0) return 0;
  const size_t number = Run(text, number_at, absl::ascii_isdigit);
  open = number_at + number == text.size();
  return number == 0 ? 0 : number_at + number;
}

bool IsKey(absl::string_view text) {
  bool open = false;
  return KeyLength(text, open) == text.size();
}

// "3†source", of older answers.
bool IsOldMark(absl::string_view text) {
  const size_t digits = Run(text, 0, absl::ascii_isdigit);
  if (digits == 0) return false;
  text.remove_prefix(digits);
  return absl::ConsumePrefix(&text, "†") && (text == "source" || text == "来源");
}

}  // namespace

void CitationMarks::Give(absl::string_view text, std::string& out) {
  out.append(text.data(), text.size());
  given_ += CountCodePoints(text);
}

void CitationMarks::GiveMark(absl::string_view inside, std::string& out) {
  const auto found = sources_.find(std::string(inside));
  if (found == sources_.end()) return;
  Source& source = found->second;
  if (source.number == 0) source.number = ++used_;
  Give(" ", out);
  Link link{source, given_, given_};
  Give(absl::StrCat("[", source.number, "](", source.url, ")"), out);
  link.end = given_;
  links_.push_back(std::move(link));
}

std::string CitationMarks::Feed(absl::string_view text) {
  std::string out;
  const std::string joined = absl::StrCat(held_, text);
  held_.clear();
  absl::string_view rest = joined;
  while (!rest.empty()) {
    const size_t bracket = rest.find(kOpen);
    // A bare key is a mark only where something was found.
    const size_t bare = sources_.empty() ? absl::string_view::npos : rest.find('t');
    const size_t at = std::min(bracket, bare);
    Give(rest.substr(0, at), out);
    if (at == absl::string_view::npos) break;
    rest.remove_prefix(at);
    if (at == bracket) {
      const size_t close = rest.find(kClose);
      const bool over = CountCodePoints(rest.substr(0, close)) > kLongestMark;
      if (close == absl::string_view::npos && !over) {
        held_ = std::string(rest);
        break;
      }
      const absl::string_view inside = over ? absl::string_view() : rest.substr(kOpen.size(), close - kOpen.size());
      if (!inside.empty() && (IsKey(inside) || IsOldMark(inside))) {
        GiveMark(inside, out);
        rest.remove_prefix(close + kClose.size());
      } else {
        Give(kOpen, out);
        rest.remove_prefix(kOpen.size());
      }
      continue;
    }
    bool open = false;
    const size_t length = KeyLength(rest, open);
    if (open && rest.size() <= static_cast<size_t>(kLongestMark)) {
      held_ = std::string(rest);
      break;
    }
    if (length > 0 && sources_.count(std::string(rest.substr(0, length))) > 0) {
      GiveMark(rest.substr(0, length), out);
    } else {
      Give(rest.substr(0, std::max<size_t>(1, length)), out);
    }
    rest.remove_prefix(std::max<size_t>(1, length));
  }
  return out;
}

std::string CitationMarks::Flush() {
  std::string out;
  const std::string held = std::exchange(held_, "");
  if (IsKey(held)) {
    GiveMark(held, out);
  } else {
    Give(held, out);
  }
  return out;
}

}  // namespace switchyard::zhipu
