// The time at which a piece was made, inside the piece: "@" and 19 digits of monotonic nanoseconds, which every process
// of the machine reads off the same clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace simulator {

inline int64_t MonotonicNanoseconds() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

inline std::string Stamp() {
  char text[24];
  std::snprintf(text, sizeof text, "@%019lld", static_cast<long long>(MonotonicNanoseconds()));
  return text;
}

}  // namespace simulator
