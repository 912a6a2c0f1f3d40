#include "services/doubao/device.h"

#include <openssl/sha.h>

#include <array>
#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace switchyard::doubao {
namespace {

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

std::string CookieValue(absl::string_view cookies, absl::string_view name) {
  for (absl::string_view cookie : absl::StrSplit(cookies, ';')) {
    cookie = absl::StripAsciiWhitespace(cookie);
    if (absl::ConsumePrefix(&cookie, absl::StrCat(name, "="))) return std::string(cookie);
  }
  return "";
}

// By the session alone: other cookies come and go under one login.
Digest DigestOf(const Account& account, absl::string_view purpose) {
  const std::string session = CookieValue(CookieOf(account), "sessionid");
  const std::string text = absl::StrCat("switchyard doubao ", purpose, " ", session);
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

std::string Characters(const Digest& digest, size_t from, size_t count, absl::string_view alphabet) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += alphabet[digest[(from + i) % digest.size()] % alphabet.size()];
  return text;
}

std::string Digits19(const Account& account, absl::string_view purpose) {
  return absl::StrCat("7", Characters(DigestOf(account, purpose), 0, 18, "0123456789"));
}

std::string Fingerprint(const Account& account) {
  constexpr absl::string_view kBase36 = "0123456789abcdefghijklmnopqrstuvwxyz";
  constexpr absl::string_view kBase62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const Digest time = DigestOf(account, "fp_time"), rest = DigestOf(account, "fp");
  // "mh" begins the milliseconds of late 2025 and early 2026 in base 36.
  std::string fp = absl::StrCat("verify_mh", Characters(time, 0, 6, kBase36));
  size_t from = 0;
  for (const size_t length : {8, 4, 4, 4, 12}) {
    absl::StrAppend(&fp, "_", Characters(rest, from, length, kBase62));
    from += length;
  }
  return fp;
}

std::string Uuid(const Account& account, absl::string_view purpose) {
  Digest digest = DigestOf(account, purpose);
  digest[6] = static_cast<unsigned char>((digest[6] & 0x0F) | 0x40);
  digest[8] = static_cast<unsigned char>((digest[8] & 0x3F) | 0x80);
  const std::string hex =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-", hex.substr(16, 4), "-",
                      hex.substr(20, 12));
}

}  // namespace

Device DeviceOf(const Account& account) {
  const auto stored = [&](const char* name) {
    const auto found = account.identity.find(name);
    return found == account.identity.end() ? std::string() : found->second;
  };
  Device device{stored("device_id"), stored("web_id"), stored("tea_uuid"), stored("fp"), stored("web_tab_id")};
  if (device.device_id.empty()) device.device_id = Digits19(account, "device_id");
  if (device.web_id.empty()) device.web_id = device.device_id;
  if (device.tea_uuid.empty()) device.tea_uuid = Digits19(account, "tea_uuid");
  if (device.fp.empty()) device.fp = CookieValue(account.token.Reveal(), "s_v_web_id");
  if (device.fp.empty()) device.fp = Fingerprint(account);
  if (device.web_tab_id.empty()) device.web_tab_id = Uuid(account, "web_tab_id");
  return device;
}

std::string CookieOf(const Account& account) {
  const std::string& token = account.token.Reveal();
  if (token.find('=') != std::string::npos) return token;
  return absl::StrCat("sessionid=", token, "; sessionid_ss=", token);
}

}  // namespace switchyard::doubao
