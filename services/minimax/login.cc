#include "services/minimax/login.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "boost/json/value.hpp"
#include "services/common/text/json.h"

namespace switchyard::minimax {

namespace json = boost::json;

namespace {

// Not a secret and not to be guessed from: only the same for the same text, in every version.
uint64_t Mixed(absl::string_view text, uint64_t salt) {
  uint64_t hash = 0xcbf29ce484222325 ^ salt;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash ^= hash >> 31;
  hash *= 0x94d049bb133111eb;
  return hash ^ hash >> 29;
}

std::string UuidFor(absl::string_view user) {
  const uint64_t high = (Mixed(user, 1) & ~uint64_t{0xF000}) | 0x4000;
  const uint64_t low = (Mixed(user, 2) & ~(uint64_t{3} << 62)) | uint64_t{2} << 62;
  return absl::StrFormat("%08x-%04x-%04x-%04x-%012x", high >> 32, high >> 16 & 0xFFFF, high & 0xFFFF, low >> 48,
                         low & 0xFFFFFFFFFFFF);
}

// Browsers have decimal numbers of eight digits.
std::string DeviceFor(absl::string_view user) { return absl::StrCat(10'000'000 + Mixed(user, 3) % 90'000'000); }

std::string TextOrNumber(const json::value* value) {
  if (const absl::string_view text = JsonText(value); !text.empty()) return std::string(text);
  const auto number = JsonWhole(value);
  return number ? absl::StrCat(*number) : std::string();
}

bool IsNumber(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
}

}  // namespace

std::optional<Claims> ReadClaims(absl::string_view jwt) {
  const std::vector<absl::string_view> parts = absl::StrSplit(jwt, '.');
  std::string payload;
  if (parts.size() != 3 || parts[0].empty() || parts[2].empty() || !absl::WebSafeBase64Unescape(parts[1], &payload))
    return std::nullopt;
  auto root = ParseJson(payload);
  if (!root.ok() || !root->is_object()) return std::nullopt;
  Claims claims;
  claims.user_id = TextOrNumber(FindMember(*root, {"user", "id"}));
  claims.device_id = TextOrNumber(FindMember(*root, {"user", "deviceID"}));
  const json::value* guest = FindMember(*root, {"user", "isAnonymous"});
  claims.guest = guest != nullptr && guest->is_bool() && guest->get_bool();
  if (auto expires = JsonTime(FindMember(*root, {"exp"}))) claims.expires = *expires;
  return claims;
}

TokenParts SplitToken(absl::string_view token) {
  const size_t plus = token.find('+');
  if (plus == absl::string_view::npos || !IsNumber(token.substr(0, plus))) return {{}, token};
  return {token.substr(0, plus), token.substr(plus + 1)};
}

std::map<std::string, std::string> DeviceOf(absl::string_view token) {
  const TokenParts parts = SplitToken(token);
  const Claims claims = ReadClaims(parts.jwt).value_or(Claims());
  const std::string user = parts.real_user_id.empty() ? claims.user_id : std::string(parts.real_user_id);
  std::map<std::string, std::string> device;
  device[kUserId] = user;
  // The login's id where there is one: it is in the token however the token was pasted.
  const std::string& root = claims.user_id.empty() ? user : claims.user_id;
  device[kUuid] = UuidFor(root);
  device[kDeviceId] = claims.device_id.empty() ? DeviceFor(root) : claims.device_id;
  return device;
}

Login LoginOf(const Secret& token, const std::map<std::string, std::string>& identity) {
  const TokenParts parts = SplitToken(token.Reveal());
  std::map<std::string, std::string> device = DeviceOf(token.Reveal());
  for (const auto& [name, value] : identity) {
    if (!value.empty()) device[name] = value;
  }
  Login login;
  login.jwt = Secret(std::string(parts.jwt));
  login.user_id = parts.real_user_id.empty() ? device[kUserId] : std::string(parts.real_user_id);
  login.uuid = device[kUuid];
  login.device_id = device[kDeviceId];
  return login;
}

}  // namespace switchyard::minimax
