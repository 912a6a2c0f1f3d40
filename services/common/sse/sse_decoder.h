// Server-sent events out of bytes in any chunking.
//
//   SseDecoder decoder;
//   std::vector<SseEvent> events;
//   if (auto status = decoder.Feed(bytes, events); !status.ok()) …
//
// Pure. Lines end in LF, CRLF or CR; one space after the colon is dropped; several data lines are joined with LF;
// comments, `id` and `retry` are skipped. Source: WHATWG HTML, "Server-sent events", parsing.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace switchyard {

struct SseEvent {
  std::string name;  // empty: the default, "message"
  std::string data;
  bool has_data = false;  // whether there was a data line at all
};

class SseDecoder {
 public:
  explicit SseDecoder(size_t max_event_bytes = 1024 * 1024) : max_event_bytes_(max_event_bytes) {}

  /// Appends the events that `bytes` complete. Events with neither name nor data are not reported.
  /// INTERNAL (UPSTREAM_CHANGED, cause too_large) if an event exceeds the limit; the decoder is of no use after that.
  absl::Status Feed(absl::string_view bytes, std::vector<SseEvent>& events);

  /// Whether an event was begun and not ended.
  bool HasPartial() const { return !line_.empty() || event_.has_data || !event_.name.empty(); }

 private:
  void EndLine(absl::string_view line, std::vector<SseEvent>& events);

  const size_t max_event_bytes_;
  std::string line_;  // begun in an earlier chunk
  SseEvent event_;
  bool at_start_ = true;   // a byte-order mark may come
  bool after_cr_ = false;  // an LF that comes next belongs to the CR before it
};

}  // namespace switchyard
