// DeepSeekHashV1: SHA3-256 with the first of Keccak's rounds left out. Source: protocol notes of DeepSeek, section 6.1.
//
//   std::array<uint8_t, 32> digest = DeepSeekHash("abc");
//
// The search kernels try many numbers behind one prefix at once: one a lane of the widest vector the processor has.
// Thread-safe: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace switchyard {

using KeccakState = std::array<uint64_t, 25>;

/// Rounds 1 to 23.
void Permute(KeccakState& state);

/// XORs a block of 136 bytes into the state and permutes it.
inline constexpr size_t kKeccakRate = 136;
void AbsorbBlock(KeccakState& state, const uint8_t* block);

std::array<uint8_t, 32> DeepSeekHash(absl::string_view message);

/// The digest of a message of which all of `state` has been absorbed and `rest` has not: `rest` has any length.
std::array<uint8_t, 32> FinishHash(KeccakState state, absl::string_view rest);

/// A message that fits one last block: all of it but the decimal number is already in the state, padding included.
struct SearchJob {
  KeccakState state;
  size_t digit_offset;  // byte of the block where the number stands
  int digits;           // its length; the same for every number of a search
  uint64_t target;      // first eight bytes of the digest, little-endian
};

/// Tries `count` numbers from `first` on. @return the first whose digest begins with the target, or -1. That all of
/// them have `digits` digits is up to the caller.
using SearchKernel = int64_t (*)(const SearchJob& job, uint64_t first, uint64_t count);

struct NamedKernel {
  absl::string_view name;  // "scalar", "bmi2", "avx2", "avx512"
  SearchKernel search;
};

/// The kernels this processor can run, the fastest last; never empty.
const std::vector<NamedKernel>& SearchKernels();

}  // namespace switchyard
