#include "services/session/refreshers/qwen_cookie.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace switchyard {
namespace {

// In the order of their weight.
constexpr std::array<absl::string_view, 3> kTickets = {"tongyi_sso_ticket", "login_aliyunid_ticket",
                                                       "login_tongyi_ticket"};
constexpr std::array<absl::string_view, 5> kOthers = {"XSRF-TOKEN", "tongyi_sso_ticket_hash", "cna", "UM_distinctid",
                                                      "b-user-id"};
constexpr absl::string_view kXsrf = "XSRF-TOKEN";
// A longer one is Alibaba Cloud's.
constexpr size_t kLongestTongyiTicket = 100;
constexpr size_t kLongestName = 64;

bool IsControl(unsigned char c) { return c < 0x20 || c == 0x7F; }
bool HasControl(absl::string_view text) { return std::any_of(text.begin(), text.end(), IsControl); }

bool IsKnown(absl::string_view name) {
  return std::find(kTickets.begin(), kTickets.end(), name) != kTickets.end() ||
         std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end();
}

bool CouldBeName(absl::string_view text) {
  return !text.empty() && text.size() <= kLongestName && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
  });
}

/// Whether a text without ';' is a ticket and no pair.
bool IsBareTicket(absl::string_view text) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos) return true;
  const absl::string_view name = absl::StripAsciiWhitespace(text.substr(0, equals));
  if (IsKnown(name)) return false;
  if (text.find_first_not_of('=', equals) == absl::string_view::npos) return true;  // Base64's padding
  return !CouldBeName(name);
}

absl::Status BadCharacter() { return absl::InvalidArgumentError(kQwenBadCharacter); }

absl::StatusOr<QwenCookie> BareTicket(absl::string_view text) {
  const bool clean = std::none_of(text.begin(), text.end(), [](unsigned char c) {
    return IsControl(c) || c == ' ' || c == ',' || c == '"' || c == '\\';
  });
  if (!clean) return BadCharacter();
  const absl::string_view name = text.size() > kLongestTongyiTicket ? kTickets[1] : kTickets[0];
  QwenCookie cookie;
  cookie.cookies.emplace_back(std::string(name), std::string(text));
  return cookie;
}

absl::StatusOr<QwenCookie> Pairs(absl::string_view text) {
  QwenCookie cookie;
  for (absl::string_view segment : absl::StrSplit(text, ';')) {
    segment = absl::StripAsciiWhitespace(segment);
    const size_t equals = segment.find('=');
    if (equals == absl::string_view::npos) {
      if (HasControl(segment)) return BadCharacter();
      continue;
    }
    const absl::string_view name = absl::StripAsciiWhitespace(segment.substr(0, equals));
    const absl::string_view value = absl::StripAsciiWhitespace(segment.substr(equals + 1));
    if (HasControl(name) || HasControl(value)) return BadCharacter();
    if (name.empty()) continue;
    const auto before = std::find_if(cookie.cookies.begin(), cookie.cookies.end(),
                                     [&](const auto& pair) { return pair.first == name; });
    if (before != cookie.cookies.end()) {
      before->second = std::string(value);
    } else {
      cookie.cookies.emplace_back(std::string(name), std::string(value));
    }
  }
  return cookie;
}

int HexDigit(unsigned char c) {
  if (absl::ascii_isdigit(c)) return c - '0';
  const unsigned char lower = absl::ascii_tolower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

const std::string* Find(const QwenCookie& cookie, absl::string_view name) {
  for (const auto& [key, value] : cookie.cookies) {
    if (key == name && !value.empty()) return &value;
  }
  return nullptr;
}

}  // namespace

std::optional<std::string> DecodeQwenXsrf(absl::string_view cookie) {
  std::string out;
  for (size_t i = 0; i < cookie.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(cookie[i]);
    if (c == '%' && i + 2 < cookie.size()) {
      const int high = HexDigit(static_cast<unsigned char>(cookie[i + 1]));
      const int low = HexDigit(static_cast<unsigned char>(cookie[i + 2]));
      if (high >= 0 && low >= 0) {
        c = static_cast<unsigned char>(high * 16 + low);
        i += 2;
      }
    }
    if (c < 0x20 || c > 0x7E) return std::nullopt;
    out += static_cast<char>(c);
  }
  return out;
}

std::string QwenCookie::Header() const {
  std::string header;
  for (const auto& [name, value] : cookies) absl::StrAppend(&header, header.empty() ? "" : "; ", name, "=", value);
  return header;
}

absl::StatusOr<QwenCookie> ParseQwenCookie(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");
  text = absl::StripAsciiWhitespace(text);
  constexpr absl::string_view kHeaderName = "cookie:";
  if (absl::StartsWithIgnoreCase(text, kHeaderName)) text = absl::StripAsciiWhitespace(text.substr(kHeaderName.size()));
  if (text.empty()) return absl::InvalidArgumentError(kQwenEmpty);

  const bool pairs = absl::StrContains(text, ';') || !IsBareTicket(text);
  auto cookie = pairs ? Pairs(text) : BareTicket(text);
  if (!cookie.ok()) return cookie.status();
  const auto ticket = std::find_if(kTickets.begin(), kTickets.end(),
                                   [&](absl::string_view name) { return Find(*cookie, name) != nullptr; });
  if (ticket == kTickets.end()) return absl::InvalidArgumentError(kQwenNoTicket);
  cookie->ticket = std::string(*ticket);
  if (const std::string* xsrf = Find(*cookie, kXsrf)) {
    cookie->xsrf = DecodeQwenXsrf(*xsrf);
    if (!cookie->xsrf) return BadCharacter();
  }
  return cookie;
}

}  // namespace switchyard
