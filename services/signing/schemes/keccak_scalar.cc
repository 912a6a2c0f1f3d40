#include "services/signing/schemes/keccak_scalar_ops.h"

#include "services/signing/schemes/keccak_kernel.h"
#include "services/signing/schemes/kernels.h"

namespace switchyard {

int64_t SearchScalar(const SearchJob& job, uint64_t first, uint64_t count) {
  return Search<ScalarOps>(job, first, count);
}

void Permute(KeccakState& state) {
  Lanes<uint64_t> a, b;
  std::memcpy(a.lane, state.data(), sizeof a.lane);
  for (int x = 0; x < 5; ++x)
    a.column[x] = a.lane[x] ^ a.lane[x + 5] ^ a.lane[x + 10] ^ a.lane[x + 15] ^ a.lane[x + 20];
  for (int round = kFirstRound; round < kLastRound; round += 2) {
    Round<ScalarOps>(a, b, kRoundConstants[round]);
    Round<ScalarOps>(b, a, kRoundConstants[round + 1]);
  }
  Round<ScalarOps>(a, b, kRoundConstants[kLastRound]);
  std::memcpy(state.data(), b.lane, sizeof b.lane);
}

}  // namespace switchyard
