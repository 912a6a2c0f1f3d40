// The search kernel, over any vector of 64-bit lanes. Included by one .cc per instruction set, each compiled with its own
// flags; everything is in an unnamed namespace, so no two of them can be mixed up by the linker.
#pragma once

#include <cstdint>
#include <cstring>

#include "services/signing/schemes/keccak.h"

namespace switchyard {
namespace {

constexpr uint64_t kRoundConstants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B, 0x0000000080000001,
    0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
    0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
    0x000000000000800A, 0x800000008000000A, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};
constexpr int kFirstRound = 1;  // the one thing that sets this hash apart from SHA3-256
constexpr int kLastRound = 23;

// A round reads `a` and writes `b`: theta, then rho and pi by the places the lanes are taken from, then chi, then iota.
// One row of five output lanes at a time keeps the values that are alive few.
#define SWITCHYARD_ROW(y, s0, r0, s1, r1, s2, r2, s3, r3, s4, r4)                                    \
  {                                                                                                  \
    const V t0 = Ops::template Rotate<r0>(Ops::Xor(a[s0], d##s0##_));                                \
    const V t1 = Ops::template Rotate<r1>(Ops::Xor(a[s1], d##s1##_));                                \
    const V t2 = Ops::template Rotate<r2>(Ops::Xor(a[s2], d##s2##_));                                \
    const V t3 = Ops::template Rotate<r3>(Ops::Xor(a[s3], d##s3##_));                                \
    const V t4 = Ops::template Rotate<r4>(Ops::Xor(a[s4], d##s4##_));                                \
    b[5 * y + 0] = Ops::Chi(t0, t1, t2);                                                             \
    b[5 * y + 1] = Ops::Chi(t1, t2, t3);                                                             \
    b[5 * y + 2] = Ops::Chi(t2, t3, t4);                                                             \
    b[5 * y + 3] = Ops::Chi(t3, t4, t0);                                                             \
    b[5 * y + 4] = Ops::Chi(t4, t0, t1);                                                             \
  }

template <typename Ops, typename V = typename Ops::V>
inline __attribute__((always_inline)) void Theta(const V* a, V* d) {
  V c[5];
  for (int x = 0; x < 5; ++x) c[x] = Ops::Xor3(Ops::Xor3(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20]);
  for (int x = 0; x < 5; ++x) d[x] = Ops::Xor(c[(x + 4) % 5], Ops::template Rotate<1>(c[(x + 1) % 5]));
}

template <typename Ops, typename V = typename Ops::V>
inline __attribute__((always_inline)) void Round(const V* a, V* b, uint64_t constant) {
  V d[5];
  Theta<Ops>(a, d);
  const V d0_ = d[0], d1_ = d[1], d2_ = d[2], d3_ = d[3], d4_ = d[4];
  const V &d5_ = d0_, &d6_ = d1_, &d7_ = d2_, &d8_ = d3_, &d9_ = d4_;
  const V &d10_ = d0_, &d11_ = d1_, &d12_ = d2_, &d13_ = d3_, &d14_ = d4_;
  const V &d15_ = d0_, &d16_ = d1_, &d17_ = d2_, &d18_ = d3_, &d19_ = d4_;
  const V &d20_ = d0_, &d21_ = d1_, &d22_ = d2_, &d23_ = d3_, &d24_ = d4_;
  SWITCHYARD_ROW(0, 0, 0, 6, 44, 12, 43, 18, 21, 24, 14)
  b[0] = Ops::Xor(b[0], Ops::Broadcast(constant));
  SWITCHYARD_ROW(1, 3, 28, 9, 20, 10, 3, 16, 45, 22, 61)
  SWITCHYARD_ROW(2, 1, 1, 7, 6, 13, 25, 19, 8, 20, 18)
  SWITCHYARD_ROW(3, 4, 27, 5, 36, 11, 10, 17, 15, 23, 56)
  SWITCHYARD_ROW(4, 2, 62, 8, 55, 14, 39, 15, 41, 21, 2)
}
#undef SWITCHYARD_ROW

/// The first lane after all rounds: of the last one, only what that lane needs.
template <typename Ops, typename V = typename Ops::V>
inline __attribute__((always_inline)) V FirstLane(V* a) {
  V b[25];
  // Rounds 1 to 22 in pairs, then a short 23.
  for (int round = kFirstRound; round < kLastRound; round += 2) {
    Round<Ops>(a, b, kRoundConstants[round]);
    Round<Ops>(b, a, kRoundConstants[round + 1]);
  }
  V d[5];
  Theta<Ops>(a, d);
  const V t0 = Ops::Xor(a[0], d[0]);
  const V t1 = Ops::template Rotate<44>(Ops::Xor(a[6], d[1]));
  const V t2 = Ops::template Rotate<43>(Ops::Xor(a[12], d[2]));
  return Ops::Xor(Ops::Chi(t0, t1, t2), Ops::Broadcast(kRoundConstants[kLastRound]));
}

/// A decimal number as text that counts up.
class DecimalCounter {
 public:
  DecimalCounter(uint64_t first, int digits) : digits_(digits) {
    for (int i = digits - 1; i >= 0; --i) {
      text_[i] = static_cast<char>('0' + first % 10);
      first /= 10;
    }
  }
  const char* text() const { return text_; }
  void Increment() {
    int i = digits_ - 1;
    while (i >= 0 && text_[i] == '9') text_[i--] = '0';
    if (i >= 0) ++text_[i];
  }

 private:
  char text_[20] = {};
  int digits_;
};

template <typename Ops, typename V = typename Ops::V>
int64_t Search(const SearchJob& job, uint64_t first, uint64_t count) {
  constexpr int kWidth = Ops::kWidth;
  // The number touches at most three lanes, from this one on.
  constexpr int kWindow = 4;
  const size_t window = job.digit_offset / 8;
  const size_t shift = job.digit_offset % 8;
  DecimalCounter counter(first, job.digits);
  alignas(64) uint64_t lanes[kWindow][kWidth];
  for (uint64_t done = 0; done < count; done += kWidth) {
    for (int lane = 0; lane < kWidth; ++lane) {
      uint64_t words[kWindow] = {};
      std::memcpy(reinterpret_cast<char*>(words) + shift, counter.text(), static_cast<size_t>(job.digits));
      for (int w = 0; w < kWindow; ++w) lanes[w][lane] = words[w];
      counter.Increment();
    }
    V a[25];
    for (int i = 0; i < 25; ++i) a[i] = Ops::Broadcast(job.state[i]);
    for (int w = 0; w < kWindow && window + w < 17; ++w) a[window + w] = Ops::Xor(a[window + w], Ops::Load(lanes[w]));
    const uint32_t hits = Ops::Equal(FirstLane<Ops>(a), Ops::Broadcast(job.target));
    if (hits != 0) {
      const uint64_t at = done + static_cast<uint64_t>(__builtin_ctz(hits));
      if (at < count) return static_cast<int64_t>(first + at);
    }
  }
  return -1;
}

}  // namespace
}  // namespace switchyard
