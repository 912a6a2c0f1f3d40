// The search kernel, over any vector of 64-bit lanes. Included by one .cc per instruction set, each compiled with its
// own flags; everything is in an unnamed namespace, so no two of them can be mixed up by the linker.
//
// `Ops` names the vector type V of kWidth lanes and: Xor(a, b); Chi(a, b, c) = a ^ (~b & c); Rotate<n>(a), to the left;
// Broadcast(number); Load(const uint64_t*), unaligned; ShiftLeft(a, bits) and ShiftRight(a, bits), 0 to 63; Equal(a,
// b), a mask with bit i for lane i; and kTernary, whether one instruction takes three operands: then also Xor3(a, b,
// c).
#pragma once

#include <cstdint>
#include <cstring>

#include "services/signing/schemes/keccak.h"

namespace switchyard {
namespace {

#define SWITCHYARD_INLINE inline __attribute__((always_inline))

constexpr uint64_t kRoundConstants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000A, 0x000000008000808B, 0x800000000000008B, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};
constexpr int kFirstRound = 1;  // the one thing that sets this hash apart from SHA3-256
constexpr int kLastRound = 23;

/// Rho and pi: which lane moves to `to`, and by how much it turns on the way. Source: FIPS 202, sections 3.2.2
/// and 3.2.3.
struct Moves {
  int source[25] = {};
  int turn[25] = {};

  constexpr Moves() {
    int offset[25] = {};
    for (int t = 0, x = 1, y = 0; t < 24; ++t) {
      offset[x + 5 * y] = (t + 1) * (t + 2) / 2 % 64;
      const int next = (2 * x + 3 * y) % 5;
      x = y;
      y = next;
    }
    for (int x = 0; x < 5; ++x) {
      for (int y = 0; y < 5; ++y) {
        const int to = y + 5 * ((2 * x + 3 * y) % 5);
        source[to] = x + 5 * y;
        turn[to] = offset[x + 5 * y];
      }
    }
  }
};
constexpr Moves kMoves;

/// A state, and the parities of its columns: each round makes those of its result while the lanes are still in
/// registers.
template <typename V>
struct Lanes {
  V lane[25];
  V column[5];
};

/// What theta adds to column x: d[x], and where three operands cost no more than two, the parity of column x - 1 beside
/// it.
template <typename Ops, typename V = typename Ops::V>
SWITCHYARD_INLINE void ThetaEffect(const Lanes<V>& a, V (&d)[5]) {
  for (int x = 0; x < 5; ++x) {
    d[x] = Ops::template Rotate<1>(a.column[(x + 1) % 5]);
    if constexpr (!Ops::kTernary) d[x] = Ops::Xor(d[x], a.column[(x + 4) % 5]);
  }
}

/// Lane `to` after theta, rho and pi.
template <typename Ops, int to, typename V = typename Ops::V>
SWITCHYARD_INLINE V Moved(const Lanes<V>& a, const V (&d)[5]) {
  constexpr int kFrom = kMoves.source[to];
  if constexpr (Ops::kTernary) {
    return Ops::template Rotate<kMoves.turn[to]>(Ops::Xor3(a.lane[kFrom], a.column[(kFrom + 4) % 5], d[kFrom % 5]));
  } else {
    return Ops::template Rotate<kMoves.turn[to]>(Ops::Xor(a.lane[kFrom], d[kFrom % 5]));
  }
}

// One row of five at a time keeps the values that are alive few.
template <typename Ops, int y, typename V = typename Ops::V>
SWITCHYARD_INLINE void Row(const Lanes<V>& a, const V (&d)[5], uint64_t constant, Lanes<V>& b) {
  const V t0 = Moved<Ops, 5 * y + 0>(a, d);
  const V t1 = Moved<Ops, 5 * y + 1>(a, d);
  const V t2 = Moved<Ops, 5 * y + 2>(a, d);
  const V t3 = Moved<Ops, 5 * y + 3>(a, d);
  const V t4 = Moved<Ops, 5 * y + 4>(a, d);
  V row[5] = {Ops::Chi(t0, t1, t2), Ops::Chi(t1, t2, t3), Ops::Chi(t2, t3, t4), Ops::Chi(t3, t4, t0),
              Ops::Chi(t4, t0, t1)};
  if constexpr (y == 0) row[0] = Ops::Xor(row[0], Ops::Broadcast(constant));
  for (int x = 0; x < 5; ++x) {
    b.lane[5 * y + x] = row[x];
    if constexpr (Ops::kTernary) {
      if constexpr (y == 2) b.column[x] = Ops::Xor3(b.lane[x], b.lane[5 + x], row[x]);
      if constexpr (y == 4) b.column[x] = Ops::Xor3(b.column[x], b.lane[15 + x], row[x]);
    } else {
      b.column[x] = y == 0 ? row[x] : Ops::Xor(b.column[x], row[x]);
    }
  }
}

/// One round: theta, rho, pi, chi, iota. `a` and `b` are different objects.
template <typename Ops, typename V = typename Ops::V>
SWITCHYARD_INLINE void Round(const Lanes<V>& a, Lanes<V>& b, uint64_t constant) {
  V d[5];
  ThetaEffect<Ops>(a, d);
  Row<Ops, 0>(a, d, constant, b);
  Row<Ops, 1>(a, d, constant, b);
  Row<Ops, 2>(a, d, constant, b);
  Row<Ops, 3>(a, d, constant, b);
  Row<Ops, 4>(a, d, constant, b);
}

/// The first lane after all rounds: of the last one, only what that lane needs.
template <typename Ops, typename V = typename Ops::V>
SWITCHYARD_INLINE V FirstLane(const Lanes<V>& start) {
  Lanes<V> a, b;
  Round<Ops>(start, a, kRoundConstants[kFirstRound]);
  for (int round = kFirstRound + 1; round < kLastRound - 1; round += 2) {
    Round<Ops>(a, b, kRoundConstants[round]);
    Round<Ops>(b, a, kRoundConstants[round + 1]);
  }
  Round<Ops>(a, b, kRoundConstants[kLastRound - 1]);
  V d[5];
  ThetaEffect<Ops>(b, d);
  return Ops::Xor(Ops::Chi(Moved<Ops, 0>(b, d), Moved<Ops, 1>(b, d), Moved<Ops, 2>(b, d)),
                  Ops::Broadcast(kRoundConstants[kLastRound]));
}

/// The last digits of a number as the bytes of little-endian integers: "0" to "9", "00" to "99" and "000" to "999".
/// What lies past the end lets the widest vector be read at any place.
template <int digits, int count>
struct Endings {
  uint64_t text[count + 16] = {};
  constexpr Endings() {
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t rest = i;
      for (int at = digits - 1; at >= 0; --at, rest /= 10) text[i] |= ('0' + rest % 10) << (8 * at);
    }
  }
};
constexpr Endings<1, 10> kOneDigit;
constexpr Endings<2, 100> kTwoDigits;
constexpr Endings<3, 1000> kThreeDigits;

SWITCHYARD_INLINE void XorByte(uint64_t* lanes, size_t at, uint64_t byte) { lanes[at / 8] ^= byte << (at % 8 * 8); }

// The numbers of one group differ in their last digits alone, three where there are as many. So all lanes but one or
// two, and the parities of their columns, are the same for a thousand numbers.
template <typename Ops, typename V = typename Ops::V>
int64_t Search(const SearchJob& job, uint64_t first, uint64_t count) {
  const int low_digits = job.digits < 3 ? job.digits : 3;
  const uint64_t group = low_digits == 3 ? 1000 : low_digits == 2 ? 100 : 10;
  const uint64_t* const endings = low_digits == 3   ? kThreeDigits.text
                                  : low_digits == 2 ? kTwoDigits.text
                                                    : kOneDigit.text;
  const size_t low_at = job.digit_offset + static_cast<size_t>(job.digits - low_digits);
  const size_t near = low_at / 8;
  const int shift = static_cast<int>(low_at % 8 * 8);
  const bool straddles = shift + 8 * low_digits > 64;
  const size_t far = straddles ? near + 1 : near;
  const V target = Ops::Broadcast(job.target);

  const uint64_t end = first + count;
  while (first < end) {
    const uint64_t begin = first - first % group;
    uint64_t state[25];
    std::memcpy(state, &job.state, sizeof state);
    uint64_t high = begin / group;
    for (size_t at = low_at; at-- > job.digit_offset; high /= 10) XorByte(state, at, '0' + high % 10);

    Lanes<V> lanes;
    for (int i = 0; i < 25; ++i) lanes.lane[i] = Ops::Broadcast(state[i]);
    for (int x = 0; x < 5; ++x)
      lanes.column[x] = Ops::Broadcast(state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20]);
    const V near_lane = lanes.lane[near], near_column = lanes.column[near % 5];
    const V far_lane = lanes.lane[far], far_column = lanes.column[far % 5];

    const uint64_t stop = end - begin < group ? end - begin : group;
    for (uint64_t i = first - begin; i < stop; i += Ops::kWidth) {
      const V ending = Ops::Load(endings + i);
      const V low = Ops::ShiftLeft(ending, shift);
      lanes.lane[near] = Ops::Xor(near_lane, low);
      lanes.column[near % 5] = Ops::Xor(near_column, low);
      if (straddles) {
        const V rest = Ops::ShiftRight(ending, 64 - shift);
        lanes.lane[far] = Ops::Xor(far_lane, rest);
        lanes.column[far % 5] = Ops::Xor(far_column, rest);
      }
      const uint32_t hits = Ops::Equal(FirstLane<Ops>(lanes), target);
      if (hits != 0) {
        const uint64_t at = i + static_cast<uint64_t>(__builtin_ctz(hits));
        if (at < stop) return static_cast<int64_t>(begin + at);
      }
    }
    first = begin + stop;
  }
  return -1;
}

#undef SWITCHYARD_INLINE

}  // namespace
}  // namespace switchyard
