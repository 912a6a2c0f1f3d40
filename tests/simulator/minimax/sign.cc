#include "tests/simulator/minimax/sign.h"

#include <openssl/evp.h>

#include <cstdio>

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"

namespace simulator::minimax {

namespace json = boost::json;

namespace {

constexpr char kSecret[] = "I*7Cf%WZ#S&%1RlZJ&C2";
constexpr char kSuffix[] = "ooui";
constexpr char kKey[] = "the simulator's own key";

std::string Digest(const EVP_MD* kind, const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, kind, nullptr);
  return absl::BytesToHexString(std::string(reinterpret_cast<const char*>(digest), size));
}

// What a browser's encodeURIComponent makes of it.
std::string Encoded(const std::string& text) {
  static const std::string plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()";
  std::string out;
  for (const char c : text) {
    if (plain.find(c) != std::string::npos) {
      out += c;
      continue;
    }
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += hex;
  }
  return out;
}

std::string Base64Url(const std::string& bytes) {
  std::string out;
  absl::WebSafeBase64Escape(bytes, &out);
  return out;
}

std::string Seal(const std::string& signed_part) {
  return Base64Url(absl::HexStringToBytes(Digest(EVP_sha256(), absl::StrCat(kKey, signed_part))));
}

}  // namespace

std::string Md5Hex(const std::string& text) { return Digest(EVP_md5(), text); }

std::string BodySignature(const std::string& timestamp, const std::string& body) {
  return Md5Hex(timestamp + kSecret + body);
}

std::string RequestSignature(const std::string& method, const std::string& target, const std::string& body,
                             const std::string& time_ms) {
  const std::string said = method == "POST" ? (body.empty() ? "{}" : body) : "{}";
  return Md5Hex(Encoded(target) + "_" + said + Md5Hex(time_ms) + kSuffix);
}

std::string IssueToken(const TokenClaims& claims) {
  const json::object user{{"id", claims.user}, {"name", "Tester"}, {"deviceID", claims.device}, {"isAnonymous", false}};
  const json::object payload{{"exp", claims.expires}, {"user", user}};
  const std::string head =
      absl::StrCat(Base64Url(R"({"alg":"HS256","typ":"JWT"})"), ".", Base64Url(json::serialize(payload)));
  return absl::StrCat(head, ".", Seal(head));
}

bool ReadToken(const std::string& token, TokenClaims& claims) {
  const size_t dot = token.rfind('.');
  if (dot == std::string::npos || token.substr(dot + 1) != Seal(token.substr(0, dot))) return false;
  const std::vector<std::string> parts = absl::StrSplit(token, '.');
  std::string payload;
  if (parts.size() != 3 || !absl::WebSafeBase64Unescape(parts[1], &payload)) return false;
  const json::value root = json::parse(payload);
  claims.user = root.at("user").at("id").as_string().c_str();
  claims.device = root.at("user").at("deviceID").as_string().c_str();
  claims.expires = root.at("exp").to_number<int64_t>();
  return true;
}

bool IsCompactJson(const std::string& body) {
  bool quoted = false;
  for (size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (!quoted && (c == ' ' || c == '\n' || c == '\t' || c == '\r')) return false;
    if (c == '"') quoted = !quoted;
    if (!quoted || c != '\\') continue;
    ++i;
    if (i < body.size() && body[i] == 'u' &&
        (body.compare(i, 3, "u00") != 0 || i + 3 >= body.size() || body[i + 3] > '1'))
      return false;
  }
  return true;
}

}  // namespace simulator::minimax
