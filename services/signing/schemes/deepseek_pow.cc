#include "services/signing/schemes/deepseek_pow.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "services/common/text/json.h"

namespace switchyard {
namespace {

using signing::v1::DeepSeekProof;
using signing::v1::DeepSeekProofOfWork;

constexpr absl::string_view kAlgorithm = "DeepSeekHashV1";
constexpr int64_t kMaxDifficulty = (int64_t{1} << 53) - 2;
// Between two looks at the cancellation: well under a millisecond on every kernel. A thousand numbers are what a kernel
// prepares at once.
constexpr uint64_t kSlice = 1000;
// A salt has 20 digits. The limit keeps a caller from occupying a core with one message's worth of hashing.
constexpr size_t kMaxSalt = 64 * 1024;

/// The state of everything before the number, and where the number goes.
struct Prefix {
  KeccakState state{};
  std::string rest;  // of the last, begun block

  explicit Prefix(absl::string_view text) {
    while (text.size() >= kKeccakRate) {
      AbsorbBlock(state, reinterpret_cast<const uint8_t*>(text.data()));
      text.remove_prefix(kKeccakRate);
    }
    rest = std::string(text);
  }
};

/// Hashes the plain way, from behind the blocks that the prefix fills.
bool Matches(const Prefix& prefix, uint64_t number, absl::string_view target) {
  const auto digest = FinishHash(prefix.state, absl::StrCat(prefix.rest, number));
  return absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()) == target;
}

SearchJob MakeJob(const Prefix& prefix, int digits, absl::string_view target) {
  SearchJob job{prefix.state, prefix.rest.size(), digits, 0};
  uint8_t block[kKeccakRate] = {};
  std::memcpy(block, prefix.rest.data(), prefix.rest.size());
  block[prefix.rest.size() + static_cast<size_t>(digits)] = 0x06;
  block[kKeccakRate - 1] ^= 0x80;
  for (size_t i = 0; i < kKeccakRate / 8; ++i) {
    uint64_t lane;
    std::memcpy(&lane, block + 8 * i, 8);
    job.state[i] ^= lane;
  }
  std::memcpy(&job.target, target.data(), 8);
  return job;
}

/// Numbers of one length, [first, end). @return the solution, or -1.
int64_t SearchRange(const Prefix& prefix, int digits, uint64_t first, uint64_t end, absl::string_view target,
                    SearchKernel kernel, const std::atomic<bool>& cancelled) {
  const bool fits = prefix.rest.size() + static_cast<size_t>(digits) < kKeccakRate;
  const SearchJob job = fits ? MakeJob(prefix, digits, target) : SearchJob{};
  while (first < end && !cancelled.load(std::memory_order_relaxed)) {
    const uint64_t count = std::min(kSlice, end - first);
    if (fits) {
      const int64_t hit = kernel(job, first, count);
      if (hit < 0) {
        first += count;
        continue;
      }
      if (Matches(prefix, static_cast<uint64_t>(hit), target)) return hit;
      first = static_cast<uint64_t>(hit) + 1;
    } else {
      // The number crosses a block border: rare enough to be hashed the plain way.
      for (uint64_t number = first; number < first + count; ++number) {
        if (Matches(prefix, number, target)) return static_cast<int64_t>(number);
      }
      first += count;
    }
  }
  return -1;
}

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
}

}  // namespace

absl::Status CheckChallenge(const DeepSeekProofOfWork& challenge) {
  if (challenge.algorithm() != kAlgorithm) return absl::InvalidArgumentError("the challenge's algorithm is unknown");
  if (challenge.challenge().size() != 64 || !IsHex(challenge.challenge())) {
    return absl::InvalidArgumentError("the challenge is not 64 hex digits");
  }
  if (challenge.difficulty() < 1 || challenge.difficulty() > kMaxDifficulty) {
    return absl::InvalidArgumentError("the challenge's difficulty is out of range");
  }
  if (challenge.salt().size() > kMaxSalt) return absl::InvalidArgumentError("the challenge's salt is too long");
  return absl::OkStatus();
}

absl::StatusOr<DeepSeekProof> SolveDeepSeek(const DeepSeekProofOfWork& challenge, const std::atomic<bool>& cancelled,
                                            SearchKernel kernel) {
  if (auto status = CheckChallenge(challenge); !status.ok()) return status;
  const std::string target = absl::HexStringToBytes(challenge.challenge());
  const Prefix prefix(absl::StrCat(challenge.salt(), "_", challenge.expire_at_ms(), "_"));
  const auto bound = static_cast<uint64_t>(challenge.difficulty());

  uint64_t first = 0;
  uint64_t next_length = 10;
  for (int digits = 1; first < bound; ++digits, first = next_length, next_length *= 10) {
    const int64_t answer = SearchRange(prefix, digits, first, std::min(next_length, bound), target, kernel, cancelled);
    if (cancelled.load(std::memory_order_relaxed)) return absl::CancelledError("the job was cancelled");
    if (answer < 0) continue;
    DeepSeekProof proof;
    proof.set_answer(answer);
    proof.set_header(DeepSeekPowHeader(challenge, answer));
    return proof;
  }
  return absl::FailedPreconditionError("the challenge has no solution");
}

std::string DeepSeekPowHeader(const DeepSeekProofOfWork& challenge, int64_t answer) {
  std::string json = "{\"algorithm\":";
  AppendJsonString(json, challenge.algorithm());
  json += ",\"challenge\":";
  AppendJsonString(json, challenge.challenge());
  json += ",\"salt\":";
  AppendJsonString(json, challenge.salt());
  absl::StrAppend(&json, ",\"answer\":", answer, ",\"signature\":");
  AppendJsonString(json, challenge.signature());
  json += ",\"target_path\":";
  AppendJsonString(json, challenge.target_path());
  json += "}";
  return absl::Base64Escape(json);
}

}  // namespace switchyard
