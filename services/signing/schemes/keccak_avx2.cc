#include <immintrin.h>

#include "services/signing/schemes/keccak_kernel.h"
#include "services/signing/schemes/kernels.h"

namespace switchyard {
namespace {

struct Avx2Ops {
  using V = __m256i;
  static constexpr int kWidth = 4;
  static constexpr bool kTernary = false;
  static V Xor(V a, V b) { return _mm256_xor_si256(a, b); }
  static V Chi(V a, V b, V c) { return Xor(a, _mm256_andnot_si256(b, c)); }
  template <int n>
  static V Rotate(V a) {
    if constexpr (n == 0) return a;
    // Whole bytes move by one shuffle instead of two shifts and an or.
    if constexpr (n == 8) {
      return _mm256_shuffle_epi8(a, _mm256_set_epi8(14, 13, 12, 11, 10, 9, 8, 15, 6, 5, 4, 3, 2, 1, 0, 7, 14, 13, 12,
                                                    11, 10, 9, 8, 15, 6, 5, 4, 3, 2, 1, 0, 7));
    }
    if constexpr (n == 56) {
      return _mm256_shuffle_epi8(a, _mm256_set_epi8(8, 15, 14, 13, 12, 11, 10, 9, 0, 7, 6, 5, 4, 3, 2, 1, 8, 15, 14, 13,
                                                    12, 11, 10, 9, 0, 7, 6, 5, 4, 3, 2, 1));
    }
    return _mm256_or_si256(_mm256_slli_epi64(a, n), _mm256_srli_epi64(a, 64 - n));
  }
  static V Broadcast(uint64_t a) { return _mm256_set1_epi64x(static_cast<long long>(a)); }
  static V Load(const uint64_t* a) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a)); }
  static V ShiftLeft(V a, int bits) { return _mm256_sll_epi64(a, _mm_cvtsi32_si128(bits)); }
  static V ShiftRight(V a, int bits) { return _mm256_srl_epi64(a, _mm_cvtsi32_si128(bits)); }
  static uint32_t Equal(V a, V b) {
    return static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(a, b))));
  }
};

}  // namespace

int64_t SearchAvx2(const SearchJob& job, uint64_t first, uint64_t count) { return Search<Avx2Ops>(job, first, count); }

}  // namespace switchyard
