#include "tests/simulator/metaso/login.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace simulator::metaso {

std::string Uid(int number) { return absl::StrFormat("65f0c0ffee5eed00%08x", number); }
std::string Sid(int number) {
  return absl::StrFormat("0f1e2d3c4b5a69788796a5b4%08x", static_cast<uint32_t>(number) * 2654435761u);
}

std::string KnownUid(absl::string_view cookies) {
  std::string uid, sid;
  for (absl::string_view pair : absl::StrSplit(cookies, ';')) {
    pair = absl::StripAsciiWhitespace(pair);
    if (absl::ConsumePrefix(&pair, "uid=")) uid = std::string(pair);
    if (absl::ConsumePrefix(&pair, "sid=")) sid = std::string(pair);
  }
  uint32_t number = 0;
  if (uid.size() != 24 || !absl::SimpleHexAtoi(uid.substr(16), &number)) return "";
  return uid == Uid(static_cast<int>(number)) && sid == Sid(static_cast<int>(number)) ? uid : "";
}

namespace {

std::string Decode(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    int byte = 0;
    if (text[i] == '%' && i + 2 < text.size() && absl::SimpleHexAtoi(text.substr(i + 1, 2), &byte)) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

std::map<std::string, std::string> ParseQuery(absl::string_view query) {
  std::map<std::string, std::string> out;
  for (const absl::string_view pair : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(pair, absl::MaxSplits('=', 1));
    out[Decode(halves.first)] = Decode(halves.second);
  }
  return out;
}

}  // namespace simulator::metaso
