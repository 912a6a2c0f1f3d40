// The search kernel's vector of one lane: plain integers. Included by kernels alone.
#pragma once

#include <cstdint>

namespace switchyard {
namespace {

struct ScalarOps {
  using V = uint64_t;
  static constexpr int kWidth = 1;
  static constexpr bool kTernary = false;
  static V Xor(V a, V b) { return a ^ b; }
  static V Chi(V a, V b, V c) { return a ^ (~b & c); }
  template <int n>
  static V Rotate(V a) {
    return a << n | a >> (-n & 63);
  }
  static V Broadcast(uint64_t a) { return a; }
  static V Load(const uint64_t* a) { return *a; }
  static V ShiftLeft(V a, int bits) { return a << bits; }
  static V ShiftRight(V a, int bits) { return a >> bits; }
  static uint32_t Equal(V a, V b) { return a == b ? 1 : 0; }
};

}  // namespace
}  // namespace switchyard
