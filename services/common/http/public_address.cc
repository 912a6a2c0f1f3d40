#include "services/common/http/public_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

namespace switchyard {
namespace {

struct Range4 {
  uint32_t network;
  int bits;
};
constexpr uint32_t Quad(uint32_t a, uint32_t b, uint32_t c, uint32_t d) { return a << 24 | b << 16 | c << 8 | d; }

constexpr std::array kSpecial4 = {
    Range4{Quad(0, 0, 0, 0), 8},        // this network
    Range4{Quad(10, 0, 0, 0), 8},       // private
    Range4{Quad(100, 64, 0, 0), 10},    // carrier-grade NAT
    Range4{Quad(127, 0, 0, 0), 8},      // loopback
    Range4{Quad(169, 254, 0, 0), 16},   // link-local, the clouds' metadata
    Range4{Quad(172, 16, 0, 0), 12},    // private
    Range4{Quad(192, 0, 0, 0), 24},     // protocol assignments
    Range4{Quad(192, 0, 2, 0), 24},     // documentation
    Range4{Quad(192, 88, 99, 0), 24},   // relays from IPv6, retired
    Range4{Quad(192, 168, 0, 0), 16},   // private
    Range4{Quad(198, 18, 0, 0), 15},    // benchmarks
    Range4{Quad(198, 51, 100, 0), 24},  // documentation
    Range4{Quad(203, 0, 113, 0), 24},   // documentation
    Range4{Quad(224, 0, 0, 0), 4},      // multicast
    Range4{Quad(240, 0, 0, 0), 4},      // reserved, broadcast
};

bool IsPublic4(uint32_t address) {
  return std::none_of(kSpecial4.begin(), kSpecial4.end(),
                      [address](const Range4& range) { return (address ^ range.network) >> (32 - range.bits) == 0; });
}

using Bytes6 = std::array<uint8_t, 16>;

bool StartsWith(const Bytes6& address, const Bytes6& prefix, int bits) {
  for (int i = 0; i < bits; ++i) {
    const int mask = 0x80 >> (i % 8);
    if (((address[i / 8] ^ prefix[i / 8]) & mask) != 0) return false;
  }
  return true;
}

bool IsPublic4At(const Bytes6& address, size_t at) {
  return IsPublic4(Quad(address[at], address[at + 1], address[at + 2], address[at + 3]));
}

// An IPv4 address in an IPv6 one: packets go to that.
struct Embedding {
  Bytes6 prefix;
  int bits;
  size_t at;
};
constexpr std::array kEmbeddings = {
    Embedding{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 12},  // mapped
    Embedding{{0, 0x64, 0xff, 0x9b}, 96, 12},                       // NAT64
    Embedding{{0x20, 0x02}, 16, 2},                                 // 6to4
};

struct Range6 {
  Bytes6 prefix;
  int bits;
};
constexpr Range6 kGlobal6{{0x20}, 3};
// Within the global range.
constexpr std::array kSpecial6 = {
    Range6{{0x20, 0x01}, 23},              // protocol assignments, Teredo
    Range6{{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    Range6{{0x3f, 0xff}, 20},              // documentation
};

bool IsPublic6(const Bytes6& address) {
  for (const Embedding& embedding : kEmbeddings) {
    if (StartsWith(address, embedding.prefix, embedding.bits)) return IsPublic4At(address, embedding.at);
  }
  if (!StartsWith(address, kGlobal6.prefix, kGlobal6.bits)) return false;
  for (const Range6& range : kSpecial6) {
    if (StartsWith(address, range.prefix, range.bits)) return false;
  }
  // ISATAP: an IPv4 address in the interface's part.
  const bool isatap = (address[8] & 0xfd) == 0 && address[9] == 0 && address[10] == 0x5e && address[11] == 0xfe;
  return !isatap || IsPublic4At(address, 12);
}

}  // namespace

bool IsPublicAddress(absl::string_view address) {
  const std::string text(address);
  if (in_addr four; inet_pton(AF_INET, text.c_str(), &four) == 1) return IsPublic4(ntohl(four.s_addr));
  in6_addr six;
  if (inet_pton(AF_INET6, text.c_str(), &six) != 1) return false;
  Bytes6 bytes;
  std::copy(std::begin(six.s6_addr), std::end(six.s6_addr), bytes.begin());
  return IsPublic6(bytes);
}

}  // namespace switchyard
