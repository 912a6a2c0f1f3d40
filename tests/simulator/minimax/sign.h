// MiniMax's signatures and tokens as the protocol page words them; nothing of it comes from the product.
#pragma once

#include <cstdint>
#include <string>

namespace simulator::minimax {

/// 32 lower-case hex digits.
std::string Md5Hex(const std::string& text);
/// The header `x-signature`.
std::string BodySignature(const std::string& timestamp, const std::string& body);
/// The header `yy`.
std::string RequestSignature(const std::string& method, const std::string& target, const std::string& body,
                             const std::string& time_ms);

struct TokenClaims {
  std::string user;
  std::string device;
  int64_t expires = 0;  // Unix seconds
};
/// A token with these claims, signed with a key of the simulator's own.
std::string IssueToken(const TokenClaims& claims);
/// The claims of a token that IssueToken() made; false for any other.
bool ReadToken(const std::string& token, TokenClaims& claims);

/// Whether a body is JSON as a serialiser without options writes it: no blank outside strings, and \u escapes for
/// control characters only.
bool IsCompactJson(const std::string& body);

}  // namespace simulator::minimax
