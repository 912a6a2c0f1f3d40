// Server-sent events into bytes. Pure.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace switchyard {

/// "data: <data>" and an empty line; several data lines where `data` has line breaks.
void AppendSseEvent(std::string& out, absl::string_view data);
/// The same behind "event: <name>".
void AppendSseEvent(std::string& out, absl::string_view name, absl::string_view data);
/// ": <text>" and an empty line: what every client skips.
void AppendSseComment(std::string& out, absl::string_view text);

}  // namespace switchyard
