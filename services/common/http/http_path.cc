#include "services/common/http/http_path.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace switchyard {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::StatusOr<std::string> PercentDecode(absl::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
    if (high < 0 || low < 0) return absl::InvalidArgumentError("the path holds a broken percent escape");
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

}  // namespace

absl::StatusOr<HttpTarget> ParseTarget(absl::string_view target) {
  if (absl::StartsWithIgnoreCase(target, "http://") || absl::StartsWithIgnoreCase(target, "https://")) {
    const size_t authority = target.find("//") + 2;
    const size_t path = target.find_first_of("/?", authority);
    target = path == absl::string_view::npos ? "/" : target.substr(path);
  }
  if (target.empty()) return absl::InvalidArgumentError("the request target is empty");
  HttpTarget parsed;
  const size_t question = target.find('?');
  if (question != absl::string_view::npos) parsed.query = std::string(target.substr(question + 1));
  const absl::string_view raw = target.substr(0, question);
  if (raw == "*") {
    parsed.path = "*";
    return parsed;
  }
  if (!raw.empty() && raw[0] != '/') return absl::InvalidArgumentError("the request target is not a path");

  // "%2F" stays inside its segment until the dots are resolved, so an escape cannot climb.
  std::vector<std::string> segments;
  for (const absl::string_view segment : absl::StrSplit(absl::StripPrefix(raw, "/"), '/')) {
    auto decoded = PercentDecode(segment);
    if (!decoded.ok()) return decoded.status();
    if (decoded->find('\0') != std::string::npos) return absl::InvalidArgumentError("the path holds a NUL");
    if (*decoded == ".") continue;
    if (*decoded == "..") {
      if (!segments.empty()) segments.pop_back();
      continue;
    }
    segments.push_back(*std::move(decoded));
  }
  parsed.path = "/" + absl::StrJoin(segments, "/");
  return parsed;
}

}  // namespace switchyard
