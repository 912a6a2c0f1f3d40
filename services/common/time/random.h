// Where randomness comes from: jitter and identifiers. Tests inject a fixed sequence.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace switchyard {

/// Thread-safe. Outlives whatever borrows it.
class Random {
 public:
  virtual ~Random() = default;
  /// Uniform over all 64-bit values; fit for identifiers that must not be guessed.
  virtual uint64_t Next() = 0;

  /// Uniform in [0, 1).
  double NextUnit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  /// `digits` lower-case hex digits.
  std::string NextHex(int digits);
  /// A version 4 UUID, lower case with dashes.
  std::string NextUuid();
};

/// The operating system's generator (OpenSSL RAND_bytes).
class SystemRandom final : public Random {
 public:
  static SystemRandom& Get();
  uint64_t Next() override;
};

}  // namespace switchyard
