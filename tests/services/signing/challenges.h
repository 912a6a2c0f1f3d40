// Challenges for tests of the signing service: of known answer, and of none.
#pragma once

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "services/signing/schemes/keccak.h"
#include "switchyard/signing/v1/signing.pb.h"

namespace switchyard {

/// "Now" of these tests; the challenges expire 5 minutes later.
inline absl::Time ChallengeTime() { return absl::FromUnixSeconds(1793000000); }

inline signing::v1::DeepSeekProofOfWork Challenge(int64_t answer, int64_t difficulty,
                                                  absl::Time now = ChallengeTime()) {
  signing::v1::DeepSeekProofOfWork challenge;
  challenge.set_algorithm("DeepSeekHashV1");
  challenge.set_salt("0123456789abcdef0123");
  challenge.set_expire_at_ms(absl::ToUnixMillis(now + absl::Minutes(5)));
  challenge.set_difficulty(difficulty);
  challenge.set_signature("any");
  challenge.set_target_path("/api/v0/chat/completion");
  const auto digest = DeepSeekHash(absl::StrCat(challenge.salt(), "_", challenge.expire_at_ms(), "_", answer));
  challenge.set_challenge(
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size())));
  return challenge;
}

/// Ends by cancellation alone: it would take years.
inline signing::v1::DeepSeekProofOfWork EndlessChallenge(absl::Time now = ChallengeTime()) {
  signing::v1::DeepSeekProofOfWork challenge = Challenge(0, (int64_t{1} << 53) - 2, now);
  challenge.set_challenge(std::string(64, '0'));
  return challenge;
}

}  // namespace switchyard
