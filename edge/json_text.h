// JSON written piece by piece, in the order a reader expects. Pure.
//
//   std::string out = "{";
//   Member(out, "id", id);           // "id":"…"
//   out += "}";
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "services/common/text/json.h"

namespace switchyard {

inline void Member(std::string& out, absl::string_view key, absl::string_view text) {
  absl::StrAppend(&out, "\"", key, "\":");
  AppendJsonString(out, text);
}

inline void StringOrNull(std::string& out, absl::string_view key, absl::string_view text, bool present) {
  if (present) return Member(out, key, text);
  absl::StrAppend(&out, "\"", key, "\":null");
}

inline std::string Quoted(absl::string_view text) {
  std::string out;
  AppendJsonString(out, text);
  return out;
}

}  // namespace switchyard
