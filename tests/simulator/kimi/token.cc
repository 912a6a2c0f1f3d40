#include "tests/simulator/kimi/token.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"

namespace simulator::kimi {

namespace json = boost::json;

namespace {

std::string Sign(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text + "simulated kimi") hash = (hash ^ c) * 0x100000001b3;
  return absl::WebSafeBase64Escape(absl::StrCat(absl::Hex(hash, absl::kZeroPad16)));
}

}  // namespace

std::string Spell(const Token& token) {
  const json::object claims{{"iss", "user-center"},      {"app_id", "kimi"},
                            {"typ", token.kind},         {"sub", token.account},
                            {"device_id", token.device}, {"ssid", "1731000000000000001"},
                            {"exp", token.expires},      {"generation", token.generation}};
  const std::string signed_part = absl::StrCat(absl::WebSafeBase64Escape(R"({"alg":"HS512","typ":"JWT"})"), ".",
                                               absl::WebSafeBase64Escape(json::serialize(claims)));
  return absl::StrCat(signed_part, ".", Sign(signed_part));
}

std::optional<Token> Read(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '.');
  std::string claims;
  if (parts.size() != 3 || Sign(parts[0] + "." + parts[1]) != parts[2] ||
      !absl::WebSafeBase64Unescape(parts[1], &claims)) {
    return std::nullopt;
  }
  const json::value value = json::parse(json::string_view(claims));
  Token token;
  token.account = value.at("sub").as_string().c_str();
  token.kind = value.at("typ").as_string().c_str();
  token.device = value.at("device_id").as_string().c_str();
  token.expires = value.at("exp").as_int64();
  token.generation = static_cast<int>(value.at("generation").as_int64());
  return token;
}

}  // namespace simulator::kimi
