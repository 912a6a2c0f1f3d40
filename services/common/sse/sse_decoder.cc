#include "services/common/sse/sse_decoder.h"

#include <utility>

#include "absl/strings/strip.h"
#include "services/common/status/reason.h"

namespace switchyard {

absl::Status SseDecoder::Feed(absl::string_view bytes, std::vector<SseEvent>& events) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes[0] == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const size_t end = bytes.find_first_of("\r\n");
    const absl::string_view piece = bytes.substr(0, end);
    if (line_.size() + event_.data.size() + piece.size() > max_event_bytes_) {
      return MakeError(Reason::REASON_UPSTREAM_CHANGED, "the platform sent an event larger than allowed",
                       {.cause = "too_large"});
    }
    if (end == absl::string_view::npos) {
      line_.append(piece.data(), piece.size());
      return absl::OkStatus();
    }
    if (line_.empty()) {
      EndLine(piece, events);
    } else {
      line_.append(piece.data(), piece.size());
      EndLine(line_, events);
      line_.clear();
    }
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
  }
  return absl::OkStatus();
}

void SseDecoder::EndLine(absl::string_view line, std::vector<SseEvent>& events) {
  if (std::exchange(at_start_, false)) line = absl::StripPrefix(line, "\xEF\xBB\xBF");
  if (line.empty()) {
    if (event_.has_data || !event_.name.empty()) events.push_back(std::exchange(event_, SseEvent()));
    return;
  }
  const size_t colon = line.find(':');
  if (colon == 0) return;
  const absl::string_view field = line.substr(0, colon);
  absl::string_view value = colon == absl::string_view::npos ? absl::string_view() : line.substr(colon + 1);
  value = absl::StripPrefix(value, " ");
  if (field == "data") {
    if (event_.has_data) event_.data.push_back('\n');
    event_.has_data = true;
    event_.data.append(value.data(), value.size());
  } else if (field == "event") {
    event_.name.assign(value.data(), value.size());
  }
}

}  // namespace switchyard
