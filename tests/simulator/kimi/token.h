// The simulated Kimi's tokens: JWTs that it can tell from forged ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace simulator::kimi {

struct Token {
  std::string account;  // "sim-kimi-1"
  std::string kind;     // "access" or "refresh"
  std::string device;
  int64_t expires = 0;  // Unix seconds
  int generation = 0;   // of the refresh token
};

std::string Spell(const Token& token);
/// nullopt for what the simulator did not issue.
std::optional<Token> Read(const std::string& text);

}  // namespace simulator::kimi
