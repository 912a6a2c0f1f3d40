#include "tests/simulator/zhipu/tokens.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"

namespace simulator::zhipu {

namespace json = boost::json;

namespace {

constexpr char kIssuer[] = "the simulator's own";
constexpr char kSignSecret[] = "8a1317a7468aa3ad86e997d08f3f31cb";
constexpr int64_t kSkewMs = 300 * 1000;

std::string Md5(const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_md5(), nullptr);
  return absl::BytesToHexString(std::string(reinterpret_cast<char*>(digest), size));
}

bool AllOf(const std::string& text, const char* allowed) {
  return text.find_first_not_of(allowed) == std::string::npos;
}

}  // namespace

std::string Uid(int number) { return absl::StrFormat("66aa0000%016x", number); }
std::string DeviceOf(const std::string& uid) { return Md5("device of " + uid); }

std::string Issue(const Token& token) {
  json::object claims;
  claims["type"] = token.type;
  claims["device_id"] = token.device;
  claims["uid"] = token.uid;
  claims["exp"] = token.expires;
  claims["iat"] = 1790000000;
  claims["nbf"] = 1790000000;
  claims["jti"] = absl::StrCat(token.generation);
  claims["sub"] = "Tester";
  const std::string head = absl::WebSafeBase64Escape(R"({"alg":"HS256","typ":"JWT"})");
  const std::string body = absl::WebSafeBase64Escape(json::serialize(claims));
  return absl::StrCat(head, ".", body, ".", absl::WebSafeBase64Escape(Md5(absl::StrCat(kIssuer, body))));
}

Token ReadToken(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '.');
  Token token;
  std::string payload;
  if (parts.size() != 3 || parts[2] != absl::WebSafeBase64Escape(Md5(absl::StrCat(kIssuer, parts[1])))) return token;
  if (!absl::WebSafeBase64Unescape(parts[1], &payload)) return token;
  const json::value claims = json::parse(payload);
  token.type = claims.at("type").as_string().c_str();
  token.uid = claims.at("uid").as_string().c_str();
  token.device = claims.at("device_id").as_string().c_str();
  token.expires = claims.at("exp").to_number<int64_t>();
  if (!absl::SimpleAtoi(claims.at("jti").as_string().c_str(), &token.generation)) token.type.clear();
  return token;
}

std::string SignatureFault(const std::string& timestamp, const std::string& nonce, const std::string& sign,
                           int64_t now_ms) {
  int64_t value = 0;
  if (timestamp.size() < 3 || !AllOf(timestamp, "0123456789") || !absl::SimpleAtoi(timestamp, &value))
    return "the timestamp is no number";
  int sum = 0;
  const size_t check = timestamp.size() - 2;
  for (size_t i = 0; i < timestamp.size(); ++i) sum += i == check ? 0 : timestamp[i] - '0';
  if (sum % 10 != timestamp[check] - '0') return "the timestamp's check digit";
  if (std::llabs(value - now_ms) > kSkewMs) return "the timestamp is stale";
  if (nonce.size() != 32 || !AllOf(nonce, "0123456789abcdef")) return "the nonce's form";
  return sign == Md5(absl::StrCat(timestamp, "-", nonce, "-", kSignSecret)) ? "" : "the signature";
}

}  // namespace simulator::zhipu
