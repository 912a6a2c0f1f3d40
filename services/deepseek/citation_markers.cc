#include "services/deepseek/citation_markers.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "services/common/text/utf8.h"

namespace switchyard::deepseek {
namespace {

constexpr absl::string_view kReference = "[reference:";
constexpr absl::string_view kCitation = "[citation:";
constexpr size_t kMaxDigits = 4;

enum class Match { kNo, kPartly, kWhole };

struct Found {
  Match match = Match::kNo;
  size_t length = 0;
  int number = 0;
};

/// What `text`, which begins with '[', has to do with a mark that opens with `opening`.
Found MatchMark(absl::string_view text, absl::string_view opening) {
  if (text.size() <= opening.size()) return {absl::StartsWith(opening, text) ? Match::kPartly : Match::kNo};
  if (!absl::StartsWith(text, opening)) return {};
  size_t digits = 0;
  while (opening.size() + digits < text.size() &&
         absl::ascii_isdigit(static_cast<unsigned char>(text[opening.size() + digits])))
    ++digits;
  if (digits > kMaxDigits) return {};
  const size_t end = opening.size() + digits;
  if (end == text.size()) return {Match::kPartly};
  if (digits == 0 || text[end] != ']') return {};
  Found found{Match::kWhole, end + 1};
  return absl::SimpleAtoi(text.substr(opening.size(), digits), &found.number) ? found : Found();
}

}  // namespace

void CitationMarkers::Give(absl::string_view text, std::string& out) {
  out.append(text.data(), text.size());
  given_ += CountCodePoints(text);
}

std::string CitationMarkers::Feed(absl::string_view text, size_t fragment) {
  std::string out;
  if (!held_.empty() && held_fragment_ != fragment) out = Flush();
  held_fragment_ = fragment;
  if (!active_) {
    Give(text, out);
    return out;
  }
  const std::string joined = held_.empty() ? std::string() : held_ + std::string(text);
  absl::string_view rest = held_.empty() ? text : absl::string_view(joined);
  std::string held;
  while (!rest.empty()) {
    const size_t open = rest.find('[');
    Give(rest.substr(0, open), out);
    if (open == absl::string_view::npos) break;
    rest.remove_prefix(open);
    const Found reference = MatchMark(rest, kReference);
    const Found citation = MatchMark(rest, kCitation);
    if (reference.match == Match::kPartly || citation.match == Match::kPartly) {
      held = std::string(rest);
      break;
    }
    const bool by_index = citation.match == Match::kWhole;
    if (!by_index && reference.match != Match::kWhole) {
      Give(rest.substr(0, 1), out);
      rest.remove_prefix(1);
      continue;
    }
    const Found& found = by_index ? citation : reference;
    Mark mark{by_index, found.number, given_, given_, fragment};
    if (keep_) {
      Give(rest.substr(0, found.length), out);
      mark.end = given_;
    }
    marks_.push_back(mark);
    rest.remove_prefix(found.length);
  }
  held_ = std::move(held);
  return out;
}

std::string CitationMarkers::Flush() {
  std::string out;
  Give(held_, out);
  held_.clear();
  return out;
}

}  // namespace switchyard::deepseek
