#include <bit>

#include "services/signing/schemes/keccak_kernel.h"
#include "services/signing/schemes/kernels.h"

namespace switchyard {
namespace {

struct ScalarOps {
  using V = uint64_t;
  static constexpr int kWidth = 1;
  static V Xor(V a, V b) { return a ^ b; }
  static V Xor3(V a, V b, V c) { return a ^ b ^ c; }
  static V Chi(V a, V b, V c) { return a ^ (~b & c); }
  template <int n>
  static V Rotate(V a) {
    return std::rotl(a, n);
  }
  static V Broadcast(uint64_t a) { return a; }
  static V Load(const uint64_t* a) { return *a; }
  static uint32_t Equal(V a, V b) { return a == b ? 1 : 0; }
};

}  // namespace

int64_t SearchScalar(const SearchJob& job, uint64_t first, uint64_t count) { return Search<ScalarOps>(job, first, count); }

void Permute(KeccakState& state) {
  uint64_t other[25];
  for (int round = kFirstRound; round < kLastRound; round += 2) {
    Round<ScalarOps>(state.data(), other, kRoundConstants[round]);
    Round<ScalarOps>(other, state.data(), kRoundConstants[round + 1]);
  }
  Round<ScalarOps>(state.data(), other, kRoundConstants[kLastRound]);
  std::memcpy(state.data(), other, sizeof other);
}

}  // namespace switchyard
