#include "services/common/time/random.h"

#include <openssl/rand.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace switchyard {

std::string Random::NextHex(int digits) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(digits);
  uint64_t bits = 0;
  for (int i = 0; i < digits; ++i) {
    if (i % 16 == 0) bits = Next();
    hex.push_back(kDigits[bits & 15]);
    bits >>= 4;
  }
  return hex;
}

std::string Random::NextUuid() {
  std::string uuid = NextHex(32);
  uuid[12] = '4';
  constexpr char kVariant[] = "89ab";
  uuid[16] = kVariant[Next() & 3];
  for (const int at : {8, 13, 18, 23}) uuid.insert(at, "-");
  return uuid;
}

SystemRandom& SystemRandom::Get() {
  static SystemRandom random;
  return random;
}

uint64_t SystemRandom::Next() {
  // RAND_bytes costs about a microsecond a call, so a thread draws a block at a time.
  thread_local unsigned char block[256];
  thread_local size_t used = sizeof block;
  if (used == sizeof block) {
    if (RAND_bytes(block, sizeof block) != 1) std::abort();  // no entropy: nothing here would be safe
    used = 0;
  }
  uint64_t value;
  std::memcpy(&value, block + used, sizeof value);
  used += sizeof value;
  return value;
}

}  // namespace switchyard
