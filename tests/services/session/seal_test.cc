#include "services/session/seal.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "services/common/status/reason.h"
#include "services/session/conversation_id.h"

namespace switchyard {
namespace {

const Secret kKey(std::string(64, 'a'));
const Secret kOtherKey(std::string(63, 'a') + "b");

std::string TempDirectory() {
  std::string name = ::testing::TempDir() + "/seal_XXXXXX";
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  return name;
}

TEST(Sealer, OpensWhatItSealed) {
  const Sealer sealer(kKey);
  for (const std::string& text : {std::string(), std::string("x"), std::string(5000, '\0'), std::string("tok\nen")}) {
    EXPECT_EQ(*sealer.Open(sealer.Seal(text, "here"), "here"), text);
  }
}

TEST(Sealer, TwoSealsOfOneValueDiffer) {
  const Sealer sealer(kKey);
  EXPECT_NE(sealer.Seal("token", "here"), sealer.Seal("token", "here"));
}

TEST(Sealer, TheValueDoesNotShow) {
  EXPECT_EQ(Sealer(kKey).Seal("very-secret-token", "here").find("secret"), std::string::npos);
}

TEST(Sealer, AnotherPlaceOrKeyDoesNotOpen) {
  const std::string sealed = Sealer(kKey).Seal("token", "account:a");
  EXPECT_EQ(Sealer(kKey).Open(sealed, "account:b").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Sealer(kOtherKey).Open(sealed, "account:a").status().code(), absl::StatusCode::kDataLoss);
}

TEST(Sealer, EveryChangedByteAndEveryCutIsNoticed) {
  const Sealer sealer(kKey);
  const std::string sealed = sealer.Seal("token", "here");
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(sealer.Open(changed, "here").ok()) << i;
    EXPECT_FALSE(sealer.Open(sealed.substr(0, i), "here").ok()) << i;
  }
}

TEST(Sealer, AFingerprintDependsOnValueAndKeyAlone) {
  EXPECT_EQ(Sealer(kKey).Fingerprint("t"), Sealer(kKey).Fingerprint("t"));
  EXPECT_NE(Sealer(kKey).Fingerprint("t"), Sealer(kKey).Fingerprint("u"));
  EXPECT_NE(Sealer(kKey).Fingerprint("t"), Sealer(kOtherKey).Fingerprint("t"));
  EXPECT_EQ(Sealer(kKey).Fingerprint("t").size(), 64u);
}

TEST(StoreKey, AConfiguredKeyIsTakenAndNoFileMade) {
  const std::string file = TempDirectory() + "/k";
  EXPECT_EQ(*StoreKey(kKey, file, true), kKey);
  EXPECT_NE(access(file.c_str(), F_OK), 0);
  const absl::Status wrong = StoreKey(Secret("0123hunter2"), file, true).status();
  EXPECT_EQ(wrong.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(wrong.message().find("hunter2"), absl::string_view::npos);
}

TEST(StoreKey, AKeyFileIsMadeOnceWithMode0600) {
  const std::string file = TempDirectory() + "/k";
  auto made = StoreKey(Secret(), file, false);
  ASSERT_TRUE(made.ok()) << made.status();
  struct stat info;
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(info.st_nlink, 1u);
  EXPECT_EQ(*StoreKey(Secret(), file, true), *made);
  EXPECT_NE(*StoreKey(Secret(), TempDirectory() + "/k", false), *made);
}

TEST(StoreKey, AKeyFileThatOthersMayReadIsRefused) {
  const std::string file = TempDirectory() + "/k";
  ASSERT_TRUE(StoreKey(Secret(), file, false).ok());
  ASSERT_EQ(chmod(file.c_str(), 0640), 0);
  const absl::Status refused = StoreKey(Secret(), file, true).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.message().find(file), absl::string_view::npos);
}

TEST(StoreKey, ALostKeyFileOfAnExistingStoreIsNotReplaced) {
  const std::string file = TempDirectory() + "/k";
  EXPECT_EQ(StoreKey(Secret(), file, true).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(access(file.c_str(), F_OK), 0);
}

TEST(StoreKey, ADamagedKeyFileIsNamed) {
  const std::string file = TempDirectory() + "/k";
  std::ofstream(file) << "not a key";
  chmod(file.c_str(), 0600);
  const absl::Status refused = StoreKey(Secret(), file, true).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(refused.message().find(file), absl::string_view::npos);
}

TEST(ConversationId, OpensForItsCallerAlone) {
  const Sealer sealer(kKey);
  const ConversationId conversation{"deepseek", "deepseek-2", "0a1b\n2c@4"};
  const std::string id = SealConversationId(sealer, conversation, "key-1");
  EXPECT_EQ(id.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-="),
            std::string::npos);
  auto opened = OpenConversationId(sealer, id, "key-1");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->platform, "deepseek");
  EXPECT_EQ(opened->account, "deepseek-2");
  EXPECT_EQ(opened->resume_ref, "0a1b\n2c@4");

  std::string damaged = id;
  damaged[id.size() / 2] = damaged[id.size() / 2] == 'A' ? 'B' : 'A';
  for (const auto& [text, caller] :
       std::vector<std::pair<std::string, std::string>>{{id, "key-2"},
                                                        {id, ""},
                                                        {damaged, "key-1"},
                                                        {"", "key-1"},
                                                        {"conv_", "key-1"},
                                                        {"conv_!!!", "key-1"},
                                                        {std::string(100'000, 'A'), "key-1"}}) {
    const absl::Status refused = OpenConversationId(sealer, text, caller).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(DetailOf(refused).field(), "conversation_id");
  }
}

}  // namespace
}  // namespace switchyard
