#include "services/common/trace/trace_context.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace switchyard {
namespace {

constexpr size_t kVersion00Size = 55;
constexpr size_t kMaxTracestate = 512;

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsId(absl::string_view text) { return IsHex(text) && text.find_first_not_of('0') != absl::string_view::npos; }

int HexValue(char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; }

}  // namespace

std::optional<TraceContext> ParseTraceparent(absl::string_view text) {
  // version "-" trace-id "-" parent-id "-" flags, section 3.2.
  if (text.size() < kVersion00Size || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  const absl::string_view version = text.substr(0, 2), trace = text.substr(3, 32), parent = text.substr(36, 16),
                          flags = text.substr(53, 2);
  if (!IsHex(version) || version == "ff" || !IsId(trace) || !IsId(parent) || !IsHex(flags)) return std::nullopt;
  if (version == "00" && text.size() != kVersion00Size) return std::nullopt;
  if (text.size() > kVersion00Size && text[kVersion00Size] != '-') return std::nullopt;
  const bool visible = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
  if (!visible) return std::nullopt;
  return TraceContext{std::string(trace), std::string(parent), (HexValue(flags[1]) & 1) != 0};
}

std::string FormatTraceparent(const TraceContext& context) {
  return absl::StrCat("00-", context.trace_id, "-", context.span_id, context.sampled ? "-01" : "-00");
}

bool IsTracestate(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxTracestate &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
}

}  // namespace switchyard
