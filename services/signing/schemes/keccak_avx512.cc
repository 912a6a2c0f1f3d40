#include <immintrin.h>

#include "services/signing/schemes/keccak_kernel.h"
#include "services/signing/schemes/kernels.h"

namespace switchyard {
namespace {

struct Avx512Ops {
  using V = __m512i;
  static constexpr int kWidth = 8;
  static constexpr bool kTernary = true;
  static V Xor(V a, V b) { return _mm512_xor_si512(a, b); }
  static V Xor3(V a, V b, V c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
  static V Chi(V a, V b, V c) { return _mm512_ternarylogic_epi64(a, b, c, 0xD2); }
  template <int n>
  static V Rotate(V a) {
    if constexpr (n == 0) return a;
    return _mm512_rol_epi64(a, n);
  }
  static V Broadcast(uint64_t a) { return _mm512_set1_epi64(static_cast<long long>(a)); }
  static V Load(const uint64_t* a) { return _mm512_loadu_si512(a); }
  static V ShiftLeft(V a, int bits) { return _mm512_sll_epi64(a, _mm_cvtsi32_si128(bits)); }
  static V ShiftRight(V a, int bits) { return _mm512_srl_epi64(a, _mm_cvtsi32_si128(bits)); }
  static uint32_t Equal(V a, V b) { return _mm512_cmpeq_epi64_mask(a, b); }
};

}  // namespace

int64_t SearchAvx512(const SearchJob& job, uint64_t first, uint64_t count) {
  return Search<Avx512Ops>(job, first, count);
}

}  // namespace switchyard
