// The W3C trace context: which trace a request belongs to, and which span is the parent of what comes next.
//
//   if (auto parent = ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")) …
//
// Source: W3C Trace Context, level 1. Pure.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace switchyard {

struct TraceContext {
  std::string trace_id;  // 32 lower-case hex digits, not all 0
  std::string span_id;   // 16, of the parent, not all 0
  bool sampled = false;
};

/// nullopt for what is malformed, and for version ff. Of a version later than 00 the part that 00 has is taken; what
/// follows it is anybody's text, so what is passed on is FormatTraceparent() of this, never the caller's own words.
std::optional<TraceContext> ParseTraceparent(absl::string_view text);

/// As version 00.
std::string FormatTraceparent(const TraceContext& context);

/// Whether it may be passed on: at most 512 visible ASCII characters and blanks. What is in it is other vendors'
/// affair.
bool IsTracestate(absl::string_view text);

}  // namespace switchyard
