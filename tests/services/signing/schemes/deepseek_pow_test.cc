// The proof of work against the platform's own answers, on every kernel this processor has.
#include "services/signing/schemes/deepseek_pow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "boost/json/value.hpp"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {
namespace {

namespace json = boost::json;
using signing::v1::DeepSeekProofOfWork;

const json::value& Vectors() {
  static const auto& vectors = *[] {
    std::ifstream in("tests/data/vectors/deepseek_pow.json");
    std::ostringstream text;
    text << in.rdbuf();
    auto parsed = ParseJson(text.str());
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    return new json::value(*std::move(parsed));
  }();
  return vectors;
}

std::string Text(const json::value& value, const char* key) { return std::string(ToAbsl(value.at(key).as_string())); }

DeepSeekProofOfWork Challenge(const json::value& from) {
  DeepSeekProofOfWork challenge;
  challenge.set_algorithm("DeepSeekHashV1");
  challenge.set_challenge(Text(from, "challenge"));
  challenge.set_salt(Text(from, "salt"));
  challenge.set_expire_at_ms(from.at("expire_at").as_int64());
  challenge.set_difficulty(from.at("difficulty").as_int64());
  if (from.as_object().contains("signature")) challenge.set_signature(Text(from, "signature"));
  if (from.as_object().contains("target_path")) challenge.set_target_path(Text(from, "target_path"));
  return challenge;
}

const std::atomic<bool> kNever{false};

class EveryKernel : public ::testing::TestWithParam<NamedKernel> {};

TEST_P(EveryKernel, AnswersEveryVector) {
  for (const json::value& vector : Vectors().at("solve").as_array()) {
    SCOPED_TRACE(Text(vector, "id"));
    auto proof = SolveDeepSeek(Challenge(vector), kNever, GetParam().search);
    if (vector.at("answer").is_null()) {
      EXPECT_FALSE(proof.ok());
      EXPECT_TRUE(absl::IsInvalidArgument(proof.status()) || absl::IsFailedPrecondition(proof.status()))
          << proof.status();
    } else {
      ASSERT_TRUE(proof.ok()) << proof.status();
      EXPECT_EQ(proof->answer(), vector.at("answer").as_int64());
    }
  }
}

TEST_P(EveryKernel, FindsTheFirstAndLastNumberOfEveryLength) {
  for (const int64_t answer : {0, 1, 9, 10, 11, 99, 100, 999, 1000, 9999, 10000, 99999, 100000, 143999}) {
    DeepSeekProofOfWork challenge;
    challenge.set_algorithm("DeepSeekHashV1");
    challenge.set_salt("0123456789abcdef0123");
    challenge.set_expire_at_ms(1793000300000);
    challenge.set_difficulty(answer + 1);
    const auto digest = DeepSeekHash(absl::StrCat(challenge.salt(), "_", challenge.expire_at_ms(), "_", answer));
    challenge.set_challenge(
        absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), 32)));
    auto proof = SolveDeepSeek(challenge, kNever, GetParam().search);
    ASSERT_TRUE(proof.ok()) << answer << ": " << proof.status();
    EXPECT_EQ(proof->answer(), answer);
    challenge.set_difficulty(std::max<int64_t>(answer, 1));
    if (answer > 0) {
      EXPECT_TRUE(absl::IsFailedPrecondition(SolveDeepSeek(challenge, kNever, GetParam().search).status()));
    }
  }
}

TEST_P(EveryKernel, FindsNumbersAtEveryOffsetInTheBlock) {
  for (size_t salt = 1; salt < 300; ++salt) {
    DeepSeekProofOfWork challenge;
    challenge.set_algorithm("DeepSeekHashV1");
    challenge.set_salt(std::string(salt, 'x'));
    challenge.set_expire_at_ms(1793000300000);
    challenge.set_difficulty(200);
    const auto digest = DeepSeekHash(absl::StrCat(challenge.salt(), "_", challenge.expire_at_ms(), "_", 137));
    challenge.set_challenge(
        absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), 32)));
    auto proof = SolveDeepSeek(challenge, kNever, GetParam().search);
    ASSERT_TRUE(proof.ok()) << salt;
    EXPECT_EQ(proof->answer(), 137);
  }
}

TEST_P(EveryKernel, ACancelledSearchEndsSoon) {
  DeepSeekProofOfWork challenge;
  challenge.set_algorithm("DeepSeekHashV1");
  challenge.set_challenge(std::string(64, '0'));
  challenge.set_salt("salt");
  challenge.set_difficulty((int64_t{1} << 53) - 2);
  std::atomic<bool> cancelled{false};
  std::chrono::steady_clock::time_point at;
  std::thread canceller([&] {
    at = std::chrono::steady_clock::now();
    cancelled = true;
  });
  auto proof = SolveDeepSeek(challenge, cancelled, GetParam().search);
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(proof.status()));
  EXPECT_LT(std::chrono::steady_clock::now() - at, std::chrono::seconds(1));
}

INSTANTIATE_TEST_SUITE_P(, EveryKernel, ::testing::ValuesIn(SearchKernels()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(DeepSeekHashTest, EqualsEveryDigest) {
  for (const json::value& vector : Vectors().at("digests").as_array()) {
    const auto digest = DeepSeekHash(absl::HexStringToBytes(Text(vector, "input_hex")));
    EXPECT_EQ(absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), 32)),
              Text(vector, "digest_hex"));
  }
}

TEST(DeepSeekPowHeaderTest, EqualsEveryHeader) {
  for (const json::value& vector : Vectors().at("headers").as_array()) {
    SCOPED_TRACE(Text(vector, "id"));
    const auto challenge = Challenge(vector.at("input"));
    auto proof = SolveDeepSeek(challenge, kNever);
    ASSERT_TRUE(proof.ok());
    EXPECT_EQ(proof->header(), Text(vector, "header"));
  }
}

TEST(DeepSeekPowTest, AMalformedChallengeIsNamed) {
  DeepSeekProofOfWork challenge = Challenge(Vectors().at("solve").as_array()[0]);
  challenge.set_algorithm("SHA-256");
  EXPECT_EQ(CheckChallenge(challenge), absl::InvalidArgumentError("the challenge's algorithm is unknown"));
  challenge.set_algorithm("DeepSeekHashV1");
  challenge.set_difficulty(0);
  EXPECT_EQ(CheckChallenge(challenge), absl::InvalidArgumentError("the challenge's difficulty is out of range"));
}

}  // namespace
}  // namespace switchyard
