// The device that an account is used from. One for the account's whole life: another device under the same login is a
// sign of misuse to the platform.
//
// Pure. Source: protocol notes of Doubao, section 3.1.
#pragma once

#include <string>

#include "services/common/provider/provider.h"

namespace switchyard::doubao {

struct Device {
  std::string device_id;   // 19 digits
  std::string web_id;      // 19 digits
  std::string tea_uuid;    // 19 digits
  std::string fp;          // "verify_…"
  std::string web_tab_id;  // UUID
};

/// What was stored with the account. Whatever is not stored follows from the token, so that it is the same in every
/// request and after a restart.
Device DeviceOf(const Account& account);

/// The Cookie header of an account: its token, which is a cookie string or a bare session id.
std::string CookieOf(const Account& account);

}  // namespace switchyard::doubao
