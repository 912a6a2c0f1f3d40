#include "services/signing/schemes/keccak.h"

#include <cstring>

#include "services/signing/schemes/kernels.h"

namespace switchyard {

void AbsorbBlock(KeccakState& state, const uint8_t* block) {
  for (size_t i = 0; i < kKeccakRate / 8; ++i) {
    uint64_t lane;
    std::memcpy(&lane, block + 8 * i, 8);
    state[i] ^= lane;
  }
  Permute(state);
}

std::array<uint8_t, 32> FinishHash(KeccakState state, absl::string_view rest) {
  while (rest.size() >= kKeccakRate) {
    AbsorbBlock(state, reinterpret_cast<const uint8_t*>(rest.data()));
    rest.remove_prefix(kKeccakRate);
  }
  uint8_t last[kKeccakRate] = {};
  if (!rest.empty()) std::memcpy(last, rest.data(), rest.size());
  last[rest.size()] = 0x06;
  last[kKeccakRate - 1] ^= 0x80;
  AbsorbBlock(state, last);
  std::array<uint8_t, 32> digest;
  std::memcpy(digest.data(), state.data(), digest.size());
  return digest;
}

std::array<uint8_t, 32> DeepSeekHash(absl::string_view message) { return FinishHash(KeccakState{}, message); }

const std::vector<NamedKernel>& SearchKernels() {
  static const auto& kernels = *[] {
    auto* usable = new std::vector<NamedKernel>{{"scalar", &SearchScalar}};
    __builtin_cpu_init();
    if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) usable->push_back({"bmi2", &SearchBmi2});
    if (__builtin_cpu_supports("avx2")) usable->push_back({"avx2", &SearchAvx2});
    if (__builtin_cpu_supports("avx512f")) usable->push_back({"avx512", &SearchAvx512});
    return usable;
  }();
  return kernels;
}

}  // namespace switchyard
