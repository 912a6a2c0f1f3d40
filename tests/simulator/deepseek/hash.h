// DeepSeekHashV1 as the protocol page words it, written for checking and not for speed; nothing of it comes from the
// product.
#pragma once

#include <string>

namespace simulator::deepseek {

/// 64 lower-case hex digits.
std::string HashHex(const std::string& message);

}  // namespace simulator::deepseek
