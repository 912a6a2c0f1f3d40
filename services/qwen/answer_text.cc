#include "services/qwen/answer_text.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/text/utf8.h"

namespace switchyard::qwen {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";

/// Bytes of the first `count` code points.
size_t BytesOf(absl::string_view text, int64_t count) {
  size_t at = 0;
  while (count > 0 && at < text.size()) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
    --count;
  }
  return at;
}

bool IsUrl(absl::string_view text) { return absl::StartsWith(text, "https://") || absl::StartsWith(text, "http://"); }

}  // namespace

absl::string_view GrowingText::Take(absl::string_view snapshot, bool last) {
  const bool grows = absl::StartsWith(snapshot, known_);
  if (!last) {
    const size_t half = snapshot.find(kReplacement, grows ? known_.size() : 0);
    if (half != absl::string_view::npos) snapshot = snapshot.substr(0, half);
  }
  if (grows) {
    const absl::string_view more = snapshot.substr(known_.size());
    known_.append(more.data(), more.size());
    return more;
  }
  if (absl::StartsWith(known_, snapshot)) return {};
  rewritten_ = true;
  const int64_t given = CountCodePoints(known_);
  if (CountCodePoints(snapshot) <= given) return {};
  known_ = std::string(snapshot);
  return snapshot.substr(BytesOf(snapshot, given));
}

std::string PictureText(absl::string_view text) {
  constexpr absl::string_view kEnds = " \t\r\n)]\"'<>";
  std::string out;
  size_t urls = 0;
  bool alone = true;
  while (!text.empty()) {
    if (!IsUrl(text)) {
      alone = false;
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    const absl::string_view url = text.substr(0, text.find_first_of(kEnds));
    const absl::string_view bare = url.substr(0, url.find('?'));
    out.append(bare.data(), bare.size());
    ++urls;
    text.remove_prefix(url.size());
  }
  return alone && urls == 1 ? absl::StrCat("![image](", out, ")") : out;
}

}  // namespace switchyard::qwen
