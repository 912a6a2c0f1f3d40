#include "edge/api_keys.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"
#include "tests/support/fake_clock.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

ApiKey Key(const std::string& name, std::vector<std::string> models = {}, int a_minute = 0, int at_once = 0) {
  ApiKey key;
  key.name = name;
  key.digest = DigestOf("key-of-" + name);
  key.models = std::move(models);
  key.requests_per_minute = a_minute;
  key.concurrent_streams = at_once;
  return key;
}

class ApiKeysTest : public ::testing::Test {
 protected:
  void Write(const std::vector<ApiKey>& keys) {
    const auto status = UpdateKeyFile(file_, false, [&](std::vector<ApiKey>& now) {
      now = keys;
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  void Load(bool pass_through = false, std::vector<Secret> plain = {}) {
    auto keys = ApiKeys::Load({.file = file_, .plain = std::move(plain), .pass_through = pass_through}, clock_);
    ASSERT_TRUE(keys.ok()) << keys.status();
    keys_ = *std::move(keys);
  }
  absl::StatusOr<Caller> Ask(const std::string& key) { return keys_->Identify(Secret(key)); }
  std::string NameOf(const std::string& key) {
    const auto caller = Ask(key);
    return caller.ok() ? caller->name() : std::string(caller.status().message());
  }
  bool Refused(const std::string& key) {
    const auto caller = Ask(key);
    return !caller.ok() && ReasonOf(caller.status()) == Reason::REASON_CALLER_UNKNOWN;
  }
  void NextLook() { clock_.Advance(absl::Seconds(1)); }

  FakeClock clock_;
  std::string file_ = FreshDirectory() + "/keys.yaml";
  std::unique_ptr<ApiKeys> keys_;
};

TEST_F(ApiKeysTest, WithoutKeysEverybodyIsServed) {
  Load();
  EXPECT_FALSE(keys_->required());
  EXPECT_EQ(NameOf("whatever"), "");
  const auto nobody = keys_->Identify(std::nullopt);
  ASSERT_TRUE(nobody.ok());
  EXPECT_TRUE(nobody->MayUse("deepseek-chat"));
  EXPECT_TRUE(nobody->Begin(clock_.MonotonicNow()).ok());
}

TEST_F(ApiKeysTest, WithKeysOnlyTheyAreServed) {
  Write({Key("laptop"), Key("phone")});
  Load(false, {Secret("from-the-configuration")});
  EXPECT_TRUE(keys_->required());
  EXPECT_EQ(NameOf("key-of-laptop"), "laptop");
  EXPECT_EQ(NameOf("key-of-phone"), "phone");
  EXPECT_EQ(NameOf("from-the-configuration"), "configured-1");
  for (const char* wrong : {"", "key-of-", "key-of-laptop ", "KEY-OF-LAPTOP", "laptop", "key-of-laptop2"})
    EXPECT_TRUE(Refused(wrong)) << wrong;
  EXPECT_FALSE(keys_->Identify(std::nullopt).ok());
  EXPECT_FALSE(absl::StrContains(Ask("canary").status().message(), "canary"));
}

TEST_F(ApiKeysTest, AFileWithoutKeysServesNobody) {
  Write({});
  Load();
  EXPECT_TRUE(keys_->required());
  EXPECT_TRUE(Refused("key-of-laptop"));
}

TEST_F(ApiKeysTest, ADamagedFileDoesNotStart) {
  std::ofstream(file_) << "keys: [";
  const auto keys = ApiKeys::Load({.file = file_}, clock_);
  EXPECT_EQ(keys.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(keys.status().message(), absl::StrCat(file_, ":1"))) << keys.status();
  const auto missing = ApiKeys::Load({.file = "/nonexistent/keys.yaml", .file_must_exist = true}, clock_);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ApiKeysTest, ChangesAreTakenUp) {
  Write({Key("laptop")});
  Load();
  Write({Key("phone")});
  EXPECT_EQ(NameOf("key-of-laptop"), "laptop") << "looked at the file again within a second";
  NextLook();
  EXPECT_TRUE(Refused("key-of-laptop")) << "revoked";
  EXPECT_EQ(NameOf("key-of-phone"), "phone");
}

TEST_F(ApiKeysTest, ABadFileKeepsTheKeys) {
  Write({Key("laptop")});
  Load();
  for (const char* bad : {"keys: [", "", "keys:\n  - name: x\n"}) {
    std::ofstream(file_) << bad;
    NextLook();
    EXPECT_EQ(NameOf("key-of-laptop"), "laptop") << bad;
    EXPECT_TRUE(Refused("key-of-phone"));
  }
  std::filesystem::remove(file_);
  NextLook();
  EXPECT_EQ(NameOf("key-of-laptop"), "laptop") << "a file that goes away opens nothing, and closes nothing";
  EXPECT_TRUE(keys_->required());
  Write({Key("phone")});
  NextLook();
  EXPECT_EQ(NameOf("key-of-phone"), "phone");
}

TEST_F(ApiKeysTest, TheFirstKeyClosesARunningRelay) {
  Load();
  EXPECT_EQ(NameOf("whatever"), "");
  Write({Key("laptop")});
  NextLook();
  EXPECT_TRUE(keys_->required());
  EXPECT_TRUE(Refused("whatever"));
  EXPECT_EQ(NameOf("key-of-laptop"), "laptop");
}

TEST_F(ApiKeysTest, ModelsAreAllowedByTheirExactIds) {
  Write({Key("laptop", {"deepseek-chat"})});
  Load();
  const auto caller = Ask("key-of-laptop");
  ASSERT_TRUE(caller.ok());
  EXPECT_TRUE(caller->MayUse("deepseek-chat"));
  EXPECT_FALSE(caller->MayUse("deepseek-chat-search"));
  EXPECT_FALSE(caller->MayUse("deepseek"));
  chat::v1::ChatRequest request;
  request.set_model("deepseek-chat");
  EXPECT_TRUE(caller->Admit(request).ok());
  EXPECT_EQ(request.caller(), "laptop");
  EXPECT_FALSE(request.has_credential());
  request.set_model("kimi");
  const absl::Status forbidden = caller->Admit(request);
  EXPECT_EQ(ReasonOf(forbidden), Reason::REASON_CALLER_FORBIDDEN);
  EXPECT_EQ(DetailOf(forbidden).field(), "model");
  request.set_model("no-such-model");
  EXPECT_TRUE(caller->Admit(request).ok()) << "that it does not exist is said behind";
}

TEST_F(ApiKeysTest, RequestsAMinute) {
  Write({Key("laptop", {}, 2), Key("phone", {}, 2)});
  Load();
  const auto begin = [&](const char* key) { return Ask(key)->Begin(clock_.MonotonicNow()).status(); };
  EXPECT_TRUE(begin("key-of-laptop").ok());
  clock_.Advance(absl::Seconds(10));
  EXPECT_TRUE(begin("key-of-laptop").ok());
  HttpHeaders headers;
  Ask("key-of-laptop")->SetLimitHeaders(headers, clock_.MonotonicNow());
  EXPECT_EQ(headers.Get("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(headers.Get("x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(headers.Get("x-ratelimit-reset-requests"), "1m0s");
  const absl::Status limited = begin("key-of-laptop");
  EXPECT_EQ(ReasonOf(limited), Reason::REASON_CALLER_RATE_LIMITED);
  EXPECT_EQ(DetailOf(limited).retry_after().seconds(), 50);
  EXPECT_TRUE(begin("key-of-phone").ok()) << "each key has its own";
  // Reading the file anew, even with another limit, forgets nothing.
  Write({Key("laptop", {}, 1)});
  NextLook();
  EXPECT_FALSE(begin("key-of-laptop").ok());
  clock_.Advance(absl::Seconds(60));
  EXPECT_TRUE(begin("key-of-laptop").ok());
}

TEST_F(ApiKeysTest, StreamsAtOnce) {
  Write({Key("laptop", {}, 0, 2)});
  Load();
  const auto begin = [&] { return Ask("key-of-laptop")->Begin(clock_.MonotonicNow()); };
  auto first = begin();
  ASSERT_TRUE(first.ok());
  std::optional<Caller::Turn> second = *begin();
  EXPECT_EQ(ReasonOf(begin().status()), Reason::REASON_CALLER_RATE_LIMITED);
  EXPECT_TRUE(DetailOf(begin().status()).has_retry_after());
  // Revoked and made anew while they run.
  Write({Key("laptop", {}, 0, 2), Key("phone")});
  NextLook();
  EXPECT_FALSE(begin().ok());
  second.reset();
  EXPECT_TRUE(begin().ok());
  HttpHeaders headers;
  Ask("key-of-laptop")->SetLimitHeaders(headers, clock_.MonotonicNow());
  EXPECT_EQ(headers.size(), 0u) << "no limit of requests, no such headers";
}

TEST_F(ApiKeysTest, PassThrough) {
  Write({Key("laptop")});
  Load(true);
  const auto own = Ask("deepseek:canary:token");
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(own->name(), "pass-through:deepseek");
  EXPECT_TRUE(own->MayUse("deepseek-chat"));
  EXPECT_FALSE(own->MayUse("kimi"));
  chat::v1::ChatRequest request;
  request.set_model("deepseek-chat");
  request.mutable_credential()->mutable_pool()->set_account("deepseek-2");
  EXPECT_TRUE(own->Admit(request).ok());
  EXPECT_EQ(request.credential().token(), "canary:token");
  request.set_model("kimi");
  EXPECT_EQ(ReasonOf(own->Admit(request)), Reason::REASON_CALLER_FORBIDDEN);
  EXPECT_FALSE(absl::StrContains(own->Admit(request).message(), "canary"));
  EXPECT_TRUE(Refused("deepseek:"));
  EXPECT_TRUE(Refused("nowhere:token"));
}

TEST_F(ApiKeysTest, ATokenIsNotSpentOnOurAccounts) {
  Load(false);
  EXPECT_TRUE(Refused("deepseek:token")) << "served from the relay's accounts, which is not what was asked for";
  EXPECT_EQ(NameOf("sk-anything:else"), "");
}

TEST(PresentedKey, IsFoundInItsHeaders) {
  const auto of = [](HttpHeaders headers, bool anthropic = false) {
    const auto key = PresentedKey(headers, anthropic);
    return key ? key->Reveal() : std::string("(none)");
  };
  EXPECT_EQ(of({{"Authorization", "Bearer abc"}}), "abc");
  EXPECT_EQ(of({{"authorization", "bearer  abc "}}), "abc");
  EXPECT_EQ(of({{"Authorization", "Basic abc"}}), "(none)");
  EXPECT_EQ(of({{"Authorization", "Bearer "}}), "(none)");
  EXPECT_EQ(of({}), "(none)");
  EXPECT_EQ(of({{"x-api-key", "abc"}}), "(none)") << "only where Anthropic's API is served";
  EXPECT_EQ(of({{"x-api-key", "abc"}}, true), "abc");
  EXPECT_EQ(of({{"Authorization", "Bearer abc"}}, true), "abc");
}

}  // namespace
}  // namespace switchyard
