#include "tests/simulator/deepseek/hash.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace simulator::deepseek {
namespace {

constexpr size_t kRate = 136;

// The round constants come from Keccak's own shift register, the rotations from its walk over the lanes: both are
// computed here, where the product has tables.
bool ShiftRegister(uint8_t& state) {
  const bool out = (state & 1) != 0;
  const bool high = (state & 0x80) != 0;
  state = static_cast<uint8_t>(state << 1);
  if (high) state ^= 0x71;
  return out;
}

uint64_t Rotate(uint64_t value, unsigned by) { return by == 0 ? value : (value << by) | (value >> (64 - by)); }

void Permute(uint64_t (&lane)[5][5]) {
  uint8_t shift_register = 1;
  for (int round = 0; round < 24; ++round) {
    uint64_t constant = 0;
    for (int j = 0; j < 7; ++j) {
      if (ShiftRegister(shift_register)) constant ^= uint64_t{1} << ((1 << j) - 1);
    }
    if (round == 0) continue;  // what sets this hash apart from SHA3-256
    uint64_t column[5];
    for (int x = 0; x < 5; ++x) column[x] = lane[x][0] ^ lane[x][1] ^ lane[x][2] ^ lane[x][3] ^ lane[x][4];
    for (int x = 0; x < 5; ++x) {
      const uint64_t d = column[(x + 4) % 5] ^ Rotate(column[(x + 1) % 5], 1);
      for (int y = 0; y < 5; ++y) lane[x][y] ^= d;
    }
    int x = 1, y = 0;
    uint64_t moving = lane[x][y];
    for (unsigned t = 0; t < 24; ++t) {
      const int next = (2 * x + 3 * y) % 5;
      x = y;
      y = next;
      const uint64_t kept = lane[x][y];
      lane[x][y] = Rotate(moving, (t + 1) * (t + 2) / 2 % 64);
      moving = kept;
    }
    for (int row = 0; row < 5; ++row) {
      uint64_t old[5];
      for (int i = 0; i < 5; ++i) old[i] = lane[i][row];
      for (int i = 0; i < 5; ++i) lane[i][row] = old[i] ^ (~old[(i + 1) % 5] & old[(i + 2) % 5]);
    }
    lane[0][0] ^= constant;
  }
}

}  // namespace

std::string HashHex(const std::string& message) {
  std::vector<uint8_t> padded(message.begin(), message.end());
  padded.push_back(0x06);
  while (padded.size() % kRate != 0) padded.push_back(0);
  padded.back() ^= 0x80;
  uint64_t lane[5][5] = {};
  for (size_t block = 0; block < padded.size(); block += kRate) {
    for (size_t i = 0; i < kRate / 8; ++i) {
      uint64_t word = 0;
      for (int b = 7; b >= 0; --b) word = word << 8 | padded[block + 8 * i + static_cast<size_t>(b)];
      lane[i % 5][i / 5] ^= word;
    }
    Permute(lane);
  }
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (int i = 0; i < 4; ++i) {
    for (int b = 0; b < 8; ++b) {
      const auto byte = static_cast<uint8_t>(lane[i][0] >> (8 * b));
      hex += kDigits[byte >> 4];
      hex += kDigits[byte & 15];
    }
  }
  return hex;
}

}  // namespace simulator::deepseek
