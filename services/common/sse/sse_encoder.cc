#include "services/common/sse/sse_encoder.h"

#include "absl/strings/str_cat.h"

namespace switchyard {

void AppendSseEvent(std::string& out, absl::string_view data) {
  for (;;) {
    const size_t end = data.find_first_of("\r\n");
    absl::StrAppend(&out, "data: ", data.substr(0, end), "\n");
    if (end == absl::string_view::npos) break;
    const bool crlf = data.substr(end, 2) == "\r\n";
    data.remove_prefix(end + (crlf ? 2 : 1));
  }
  out.push_back('\n');
}

void AppendSseEvent(std::string& out, absl::string_view name, absl::string_view data) {
  absl::StrAppend(&out, "event: ", name, "\n");
  AppendSseEvent(out, data);
}

void AppendSseComment(std::string& out, absl::string_view text) { absl::StrAppend(&out, ": ", text, "\n\n"); }

}  // namespace switchyard
