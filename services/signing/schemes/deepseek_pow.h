// DeepSeek's proof of work: find the number behind a digest. Source: protocol notes of DeepSeek, section 6.
//
//   auto proof = SolveDeepSeek(challenge, cancelled);
//
// Thread-safe: pure functions. Solving takes milliseconds to minutes of one core; never call it on an event loop.
#pragma once

#include <atomic>

#include "absl/status/statusor.h"
#include "services/signing/schemes/keccak.h"
#include "switchyard/signing/v1/signing.pb.h"

namespace switchyard {

/// INVALID_ARGUMENT, naming what is malformed: an unknown algorithm, a challenge that is not 64 hex digits, a
/// difficulty outside 1 to 2^53-2, a salt above 64 KiB. Whether it has expired is for whoever has a clock.
absl::Status CheckChallenge(const signing::v1::DeepSeekProofOfWork& challenge);

/// The proof. INVALID_ARGUMENT as above; FAILED_PRECONDITION if no number below the difficulty fits; CANCELLED within
/// some milliseconds of `cancelled` becoming true.
absl::StatusOr<signing::v1::DeepSeekProof> SolveDeepSeek(const signing::v1::DeepSeekProofOfWork& challenge,
                                                         const std::atomic<bool>& cancelled,
                                                         SearchKernel kernel = SearchKernels().back().search);

/// The value of `x-ds-pow-response` for an answer.
std::string DeepSeekPowHeader(const signing::v1::DeepSeekProofOfWork& challenge, int64_t answer);

}  // namespace switchyard
