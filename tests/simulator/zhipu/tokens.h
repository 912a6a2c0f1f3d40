// The simulated accounts' tokens, and the check of a request's signature.
//
// Accounts follow from their number, and a token carries its own proof, so a restarted simulator knows them all.
#pragma once

#include <cstdint>
#include <string>

namespace simulator::zhipu {

struct Token {
  std::string type;  // "access" or "refresh"; empty: none that this platform issued
  std::string uid;
  std::string device;
  int64_t generation = 0;
  int64_t expires = 0;  // unix seconds
};

std::string Uid(int number);
std::string Issue(const Token& token);
Token ReadToken(const std::string& text);
std::string DeviceOf(const std::string& uid);

/// "" or what is wrong with it.
std::string SignatureFault(const std::string& timestamp, const std::string& nonce, const std::string& sign,
                           int64_t now_ms);

}  // namespace simulator::zhipu
