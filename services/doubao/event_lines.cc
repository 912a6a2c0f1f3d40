#include "services/doubao/event_lines.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace switchyard::doubao {
namespace {

constexpr absl::string_view kStart = "id:";
constexpr absl::string_view kEvent = " event: ";
constexpr absl::string_view kData = " data: ";
constexpr size_t kLongestLine = 1024 * 1024;

/// Whether `line` is the beginning of, or begins with, what is looked for.
bool MayBegin(absl::string_view line) {
  const size_t common = std::min(line.size(), kStart.size());
  return line.substr(0, common) == kStart.substr(0, common) && line.size() < kLongestLine;
}

std::string Repaired(absl::string_view line) {
  const size_t event = line.find(kEvent);
  const size_t data = event == absl::string_view::npos ? event : line.find(kData, event);
  if (data == absl::string_view::npos) return std::string(line);
  const size_t name = event + kEvent.size();
  return absl::StrCat("event: ", line.substr(name, data - name), "\ndata: ", line.substr(data + kData.size()), "\n");
}

}  // namespace

std::string EventLines::Feed(absl::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    if (c == '\n' || c == '\r') {
      if (!passing_) absl::StrAppend(&out, Repaired(line_));
      line_.clear();
      passing_ = false;
      out += c;
    } else if (passing_) {
      out += c;
    } else {
      line_ += c;
      if (MayBegin(line_)) continue;
      out += line_;
      line_.clear();
      passing_ = true;
    }
  }
  return out;
}

}  // namespace switchyard::doubao
