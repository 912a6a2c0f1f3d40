// Qwen's login: the text somebody copied out of a browser, as cookies and as the two headers made of them.
//
//   auto login = ParseQwenCookie("tongyi_sso_ticket=…; XSRF-TOKEN=ab%2Bcd");
//   login->Header();   // the value of Cookie
//   login->xsrf;       // the value of X-Xsrf-Token: "ab+cd"
//
// Pure. Source: protocol notes of Qwen, section 2, rules C1 to C9.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace switchyard {

struct QwenCookie {
  std::vector<std::pair<std::string, std::string>> cookies;  // in the order they are sent
  std::string ticket;                                        // name of the cookie that is the login
  std::optional<std::string> xsrf;                           // decoded; none without the cookie

  std::string Header() const;
};

// Why a text is refused; the message of the error.
inline constexpr char kQwenEmpty[] = "the value is empty";
inline constexpr char kQwenNoTicket[] =
    "there is no login in it: the cookie tongyi_sso_ticket of www.qianwen.com is needed";
inline constexpr char kQwenBadCharacter[] =
    "there is a character in it that no cookie has, such as a line break in the middle: copy it again";

/// INVALID_ARGUMENT with one of the three messages. What comes out of Header() gives the same again.
absl::StatusOr<QwenCookie> ParseQwenCookie(absl::string_view text);

/// The value of X-Xsrf-Token for that of XSRF-TOKEN; nullopt if it cannot be sent.
std::optional<std::string> DecodeQwenXsrf(absl::string_view cookie);

}  // namespace switchyard
