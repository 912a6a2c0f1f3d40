// DeepSeekHashV1 against a plain reading of the standard, and the search kernels against the hash: those of this
// processor, and the shared text over eight emulated lanes, so that what the AVX-512 kernel does is tested on any
// machine.
#include "services/signing/schemes/keccak.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "services/signing/schemes/keccak_kernel.h"

namespace switchyard {
namespace {

using Digest = std::array<uint8_t, 32>;

/// The sponge as FIPS 202 writes it down, step by step; constants from the standard's own shift register and walk.
class PlainSponge {
 public:
  static Digest Hash(absl::string_view message, int first_round) {
    uint64_t a[5][5] = {};
    std::string padded(message);
    padded.push_back(0x06);
    while (padded.size() % 136 != 0) padded.push_back(0);
    padded.back() = static_cast<char>(padded.back() | 0x80);
    for (size_t block = 0; block < padded.size(); block += 136) {
      for (size_t i = 0; i < 136; ++i) {
        a[i / 8 % 5][i / 40] ^= uint64_t{static_cast<uint8_t>(padded[block + i])} << (i % 8 * 8);
      }
      for (int round = first_round; round < 24; ++round) Round(a, round);
    }
    Digest digest;
    for (size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<uint8_t>(a[i / 8 % 5][i / 40] >> (i % 8 * 8));
    return digest;
  }

 private:
  static uint64_t Turn(uint64_t a, int n) { return n == 0 ? a : a << n | a >> (64 - n); }

  static bool ConstantBit(int t) {
    unsigned r = 1;
    for (int i = 0; i < t % 255; ++i) {
      r <<= 1;
      if ((r & 0x100) != 0) r ^= 0x171;
    }
    return (r & 1) != 0;
  }

  static void Round(uint64_t (&a)[5][5], int round) {
    uint64_t parity[5], b[5][5];
    for (int x = 0; x < 5; ++x) parity[x] = a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4];
    for (int x = 0; x < 5; ++x) {
      for (int y = 0; y < 5; ++y) a[x][y] ^= parity[(x + 4) % 5] ^ Turn(parity[(x + 1) % 5], 1);
    }
    int x = 1, y = 0;
    uint64_t turned[5][5];
    turned[0][0] = a[0][0];
    for (int t = 0; t < 24; ++t) {
      turned[x][y] = Turn(a[x][y], (t + 1) * (t + 2) / 2 % 64);
      const int next = (2 * x + 3 * y) % 5;
      x = y;
      y = next;
    }
    for (x = 0; x < 5; ++x) {
      for (y = 0; y < 5; ++y) b[x][y] = turned[(x + 3 * y) % 5][x];
    }
    for (x = 0; x < 5; ++x) {
      for (y = 0; y < 5; ++y) a[x][y] = b[x][y] ^ (~b[(x + 1) % 5][y] & b[(x + 2) % 5][y]);
    }
    for (int j = 0; j <= 6; ++j) {
      if (ConstantBit(j + 7 * round)) a[0][0] ^= uint64_t{1} << ((1 << j) - 1);
    }
  }
};

std::string RandomBytes(std::mt19937_64& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST(PlainSpongeTest, IsSha3WithAllItsRounds) {
  std::mt19937_64 random(1);
  for (size_t size = 0; size <= 300; ++size) {
    const std::string message = RandomBytes(random, size);
    Digest digest;
    unsigned length = 0;
    ASSERT_EQ(EVP_Digest(message.data(), message.size(), digest.data(), &length, EVP_sha3_256(), nullptr), 1);
    ASSERT_EQ(PlainSponge::Hash(message, 0), digest) << size;
  }
}

TEST(DeepSeekHashTest, EqualsThePlainReadingForEveryLength) {
  std::mt19937_64 random(2);
  for (size_t size = 0; size <= 600; ++size) {
    const std::string message = RandomBytes(random, size);
    ASSERT_EQ(DeepSeekHash(message), PlainSponge::Hash(message, 1)) << size;
  }
  EXPECT_EQ(DeepSeekHash(absl::string_view()), PlainSponge::Hash("", 1));
}

/// Eight lanes in a plain array; with three-operand instructions as AVX-512 has them, or without.
template <bool ternary>
struct EmulatedOps {
  static constexpr int kWidth = 8;
  static constexpr bool kTernary = ternary;
  struct V {
    uint64_t at[8];
  };
  template <typename F>
  static V Map(F f) {
    V result;
    for (int i = 0; i < 8; ++i) result.at[i] = f(i);
    return result;
  }
  // A three-operand instruction looks every result bit up in a table of eight: bit 4a + 2b + c of the table.
  static V Table(const V& a, const V& b, const V& c, int table) {
    return Map([&](int i) {
      uint64_t result = 0;
      for (int bit = 0; bit < 64; ++bit) {
        const uint64_t row = (a.at[i] >> bit & 1) << 2 | (b.at[i] >> bit & 1) << 1 | (c.at[i] >> bit & 1);
        result |= (uint64_t{static_cast<unsigned>(table)} >> row & 1) << bit;
      }
      return result;
    });
  }
  static V Xor(const V& a, const V& b) {
    return Map([&](int i) { return a.at[i] ^ b.at[i]; });
  }
  static V Xor3(const V& a, const V& b, const V& c) {
    return Map([&](int i) { return a.at[i] ^ b.at[i] ^ c.at[i]; });
  }
  static V Chi(const V& a, const V& b, const V& c) {
    return Map([&](int i) { return a.at[i] ^ (~b.at[i] & c.at[i]); });
  }
  template <int n>
  static V Rotate(const V& a) {
    return Map([&](int i) { return a.at[i] << n | a.at[i] >> (-n & 63); });
  }
  static V Broadcast(uint64_t a) {
    return Map([&](int) { return a; });
  }
  static V Load(const uint64_t* a) {
    return Map([&](int i) { return a[i]; });
  }
  static V ShiftLeft(const V& a, int bits) {
    return Map([&](int i) { return a.at[i] << bits; });
  }
  static V ShiftRight(const V& a, int bits) {
    return Map([&](int i) { return a.at[i] >> bits; });
  }
  static uint32_t Equal(const V& a, const V& b) {
    uint32_t mask = 0;
    for (int i = 0; i < 8; ++i) mask |= (a.at[i] == b.at[i] ? 1u : 0u) << i;
    return mask;
  }
};

TEST(TernaryTablesTest, AreXorOfThreeAndChi) {
  using Ops = EmulatedOps<true>;
  std::mt19937_64 random(3);
  Ops::V a, b, c;
  for (auto* v : {&a, &b, &c}) {
    for (uint64_t& lane : v->at) lane = random();
  }
  // The tables of the AVX-512 kernel.
  EXPECT_THAT(Ops::Table(a, b, c, 0x96).at, ::testing::ElementsAreArray(Ops::Xor3(a, b, c).at));
  EXPECT_THAT(Ops::Table(a, b, c, 0xD2).at, ::testing::ElementsAreArray(Ops::Chi(a, b, c).at));
}

std::vector<NamedKernel> AllKernels() {
  std::vector<NamedKernel> kernels = SearchKernels();
  kernels.push_back({"emulated", &Search<EmulatedOps<false>>});
  kernels.push_back({"emulated_ternary", &Search<EmulatedOps<true>>});
  return kernels;
}

/// The search for `wanted` behind `prefix`, which fits one block together with it.
SearchJob JobFor(absl::string_view prefix, uint64_t wanted) {
  const std::string number = absl::StrCat(wanted);
  SearchJob job{};
  job.digit_offset = prefix.size();
  job.digits = static_cast<int>(number.size());
  std::string block(prefix);
  block += std::string(number.size(), '\0');
  block.push_back(0x06);
  block.resize(kKeccakRate, '\0');
  block.back() = static_cast<char>(block.back() ^ 0x80);
  std::memcpy(job.state.data(), block.data(), block.size());
  const Digest digest = DeepSeekHash(absl::StrCat(prefix, number));
  std::memcpy(&job.target, digest.data(), sizeof job.target);
  return job;
}

class EverySearch : public ::testing::TestWithParam<NamedKernel> {};

TEST_P(EverySearch, FindsANumberOfAnyLengthAtAnyPlace) {
  std::mt19937_64 random(4);
  uint64_t power = 1;
  for (int digits = 1; digits <= 16; ++digits, power *= 10) {
    for (size_t offset = 0; offset + static_cast<size_t>(digits) < kKeccakRate; offset += digits == 6 ? 1 : 7) {
      const uint64_t number = (digits == 1 ? 0 : power) + random() % (power * (digits == 1 ? 10 : 9));
      const std::string prefix = RandomBytes(random, offset);
      const SearchJob job = JobFor(prefix, number);
      const uint64_t lowest = digits == 1 ? 0 : power;
      const uint64_t before = std::min<uint64_t>(number - lowest, random() % 40);
      const uint64_t after = std::min<uint64_t>(power * 10 - 1 - number, random() % 40);
      const uint64_t first = number - before;
      ASSERT_EQ(GetParam().search(job, first, before + 1 + after), static_cast<int64_t>(number))
          << digits << " at " << offset;
      ASSERT_EQ(GetParam().search(job, number, 1), static_cast<int64_t>(number));
      ASSERT_EQ(GetParam().search(job, first, before), -1) << "the number itself is out of bounds";
      ASSERT_EQ(GetParam().search(job, number + 1, after), -1);
      ASSERT_EQ(GetParam().search(job, number, 0), -1);
    }
  }
}

TEST_P(EverySearch, FindsEveryNumberOfAGroupAndAcrossItsBorders) {
  const std::string prefix = "0123456789abcdef0123_1793000300000_";
  for (uint64_t number = 41990; number < 43010; number += number % 7 == 0 ? 1 : 11) {
    const SearchJob job = JobFor(prefix, number);
    ASSERT_EQ(GetParam().search(job, 41987, 1030), static_cast<int64_t>(number));
  }
}

INSTANTIATE_TEST_SUITE_P(, EverySearch, ::testing::ValuesIn(AllKernels()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(SearchKernelsTest, TheProcessorHasTheScalarKernelAndTheFastestIsLast) {
  const auto& kernels = SearchKernels();
  ASSERT_FALSE(kernels.empty());
  EXPECT_EQ(kernels.front().name, "scalar");
  const bool has_avx512 = __builtin_cpu_supports("avx512f");
  const bool has_avx2 = __builtin_cpu_supports("avx2");
  EXPECT_EQ(kernels.back().name, has_avx512 ? "avx512" : has_avx2 ? "avx2" : kernels.back().name);
  if (!has_avx512) GTEST_SKIP() << "this processor has no AVX-512: its kernel's text ran over emulated lanes only";
}

}  // namespace
}  // namespace switchyard
