// What every store does, whichever it is: SQLite, and etcd with a real process behind it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/session/etcd/etcd_store.h"
#include "services/session/store.h"
#include "tests/support/etcd.h"
#include "tests/support/files.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

enum class Kind { kSqlite, kEtcd };

class StoreContract : public ::testing::TestWithParam<Kind> {
 protected:
  static void TearDownTestSuite() { etcd_.reset(); }

  StoreContract() : directory_(FreshDirectory()) {
    if (GetParam() != Kind::kEtcd) return;
    if (!etcd_) etcd_ = std::make_unique<EtcdCluster>();
    static int count = 0;
    prefix_ = absl::StrCat("/contract-", ++count);
  }
  ~StoreContract() override { std::filesystem::remove_all(directory_); }

  absl::StatusOr<std::unique_ptr<Store>> TryOpen(char key) {
    const Secret secret(std::string(64, key));
    if (GetParam() == Kind::kSqlite) return Store::Open(directory_ + "/session.db", secret);
    EtcdStoreOptions options;
    options.etcd.endpoints = etcd_->endpoints();
    options.prefix = prefix_;
    options.life = absl::Seconds(2);
    return OpenEtcdStore(options, secret);
  }
  std::unique_ptr<Store> Open() {
    auto store = TryOpen('a');
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  static absl::Status Write(Store& store, Store::Change change) {
    std::promise<absl::Status> done;
    store.Write(std::move(change), [&](absl::Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }
  static absl::StatusOr<std::string> Claim(Store& store, int places, Store::Use use = Store::Use::kChat) {
    std::promise<absl::StatusOr<std::string>> claimed;
    auto at_once =
        store.Claim("kimi", places, use, [&](absl::StatusOr<std::string> slot) { claimed.set_value(std::move(slot)); });
    return at_once ? *std::move(at_once) : claimed.get_future().get();
  }
  static absl::Status Adopt(Store& store, const std::string& slot, int places = 1) {
    std::promise<absl::Status> adopted;
    auto at_once =
        store.Adopt("kimi", slot, places, [&](absl::Status status) { adopted.set_value(std::move(status)); });
    return at_once ? *std::move(at_once) : adopted.get_future().get();
  }
  static StoredAccount Known() {
    StoredAccount account{"kimi", "kimi", "print", 1, 0, Secret("CANARY-token"), 3, R"({"device":"1"})"};
    account.credential = Secret("CANARY-credential");
    account.previous = Secret("CANARY-previous");
    account.expires_ms = 1'793'000'000'123;
    return account;
  }
  static StoredAccount Only(Store& store) {
    const auto accounts = store.Accounts();
    EXPECT_TRUE(accounts.ok() && accounts->size() == 1) << accounts.status();
    return accounts.ok() && accounts->size() == 1 ? accounts->front() : StoredAccount();
  }
  static std::vector<std::string> Refs(Store& store) {
    const auto conversations = store.Conversations();
    EXPECT_TRUE(conversations.ok()) << conversations.status();
    std::vector<std::string> refs;
    for (const auto& one : *conversations) refs.push_back(one.ref);
    return refs;
  }

  static inline std::unique_ptr<EtcdCluster> etcd_;
  std::string directory_, prefix_;
};

TEST_P(StoreContract, WhatWasWrittenIsThereAfterReopening) {
  {
    auto store = Open();
    EXPECT_TRUE(store->Accounts()->empty());
    ASSERT_EQ(Write(*store, Store::PutAccount{Known()}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::PutState{"kimi", 4, 7000}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::PutConversation{{"kimi", "ref-2", 2000, 3}}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::PutConversation{{"kimi", "ref-1", 1000, 0}}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::PutConversation{{"kimi", "ref-3", 3000, 0}}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::DropConversation{"kimi", "ref-3"}), absl::OkStatus());
  }
  auto store = Open();
  const StoredAccount account = Only(*store);
  EXPECT_EQ(account.label, "kimi");
  EXPECT_EQ(account.platform, "kimi");
  EXPECT_EQ(account.fingerprint, "print");
  EXPECT_EQ(account.state, 4);
  EXPECT_EQ(account.until_ms, 7000);
  EXPECT_EQ(account.token.Reveal(), "CANARY-token");
  EXPECT_EQ(account.token_version, 3);
  EXPECT_EQ(account.expires_ms, 1'793'000'000'123);
  EXPECT_EQ(account.credential.Reveal(), "CANARY-credential");
  EXPECT_EQ(account.previous.Reveal(), "CANARY-previous");
  EXPECT_EQ(account.identity, R"({"device":"1"})");
  EXPECT_FALSE(account.exchanging);
  EXPECT_THAT(Refs(*store), ElementsAre("ref-1", "ref-2")) << "the oldest first";
  EXPECT_EQ(store->Conversations()->back().failures, 3);
}

TEST_P(StoreContract, StateAndTokenChangeAlone) {
  auto store = Open();
  EXPECT_FALSE(Write(*store, Store::PutToken{"kimi", Secret("t"), 9, 1}).ok()) << "of nobody";
  ASSERT_EQ(Write(*store, Store::PutAccount{Known()}), absl::OkStatus());
  ASSERT_EQ(Write(*store, Store::PutToken{"kimi", Secret("newer"), 4, 5000}), absl::OkStatus());
  ASSERT_EQ(Write(*store, Store::PutState{"kimi", 5, 0}), absl::OkStatus());
  const StoredAccount account = Only(*store);
  EXPECT_EQ(account.token.Reveal(), "newer");
  EXPECT_EQ(account.token_version, 4);
  EXPECT_EQ(account.expires_ms, 5000);
  EXPECT_EQ(account.credential.Reveal(), "CANARY-credential");
  EXPECT_EQ(account.state, 5);
}

TEST_P(StoreContract, TheJournalOutlivesAProcessThatDiesInBetween) {
  {
    auto store = Open();
    ASSERT_EQ(Write(*store, Store::PutAccount{Known()}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
  }
  EXPECT_TRUE(Only(*Open()).exchanging);
  {
    auto store = Open();
    ASSERT_EQ(Write(*store, Store::BeginExchange{"kimi", 2000}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::EndExchange{"kimi", /*in_doubt=*/true}), absl::OkStatus());
    EXPECT_TRUE(Only(*store).exchanging) << "the doubt was forgotten";
    ASSERT_EQ(Write(*store, Store::BeginExchange{"kimi", 3000}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::EndExchange{"kimi"}), absl::OkStatus());
  }
  EXPECT_FALSE(Only(*Open()).exchanging);
}

TEST_P(StoreContract, WhatAnExchangeBroughtEndsItInOneStep) {
  auto store = Open();
  ASSERT_EQ(Write(*store, Store::PutAccount{Known()}), absl::OkStatus());
  ASSERT_EQ(Write(*store, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
  StoredAccount newer = Known();
  newer.token = Secret("newer");
  newer.token_version = 4;
  ASSERT_EQ(Write(*store, Store::PutAccount{newer, /*ends_exchange=*/true}), absl::OkStatus());
  store.reset();
  store = Open();
  EXPECT_EQ(Only(*store).token.Reveal(), "newer");
  EXPECT_FALSE(Only(*store).exchanging);
  ASSERT_EQ(Write(*store, Store::BeginExchange{"kimi", 1000, /*journal=*/false}), absl::OkStatus());
  EXPECT_FALSE(Only(*store).exchanging);
}

TEST_P(StoreContract, SlotsAreAsManyAsThereArePlaces) {
  auto store = Open();
  const auto first = Claim(*store, 2);
  const auto second = Claim(*store, 2);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_NE(*first, *second);
  EXPECT_EQ(Claim(*store, 2).status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Claim(*store, 2, Store::Use::kCleanUp).ok()) << "a clean-up is no chat";
  store->GiveBack("kimi", *first);
  const auto third = Claim(*store, 2);
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_NE(*third, *first) << "a former holder would be taken for this one";
}

TEST_P(StoreContract, AHolderGoesOnWithItsSlotUnlessItIsAnothers) {
  auto store = Open();
  const auto slot = Claim(*store, 1);
  ASSERT_TRUE(slot.ok()) << slot.status();
  EXPECT_EQ(Adopt(*store, *slot), absl::OkStatus());
  EXPECT_EQ(Claim(*store, 1).status().code(), absl::StatusCode::kAborted) << "it counted twice, or not at all";
  store->GiveBack("kimi", *slot);
  EXPECT_EQ(Adopt(*store, *slot), absl::OkStatus()) << "free, and its former holder goes on";
  store->GiveBack("kimi", *slot);
  const auto other = Claim(*store, 1);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(Adopt(*store, *slot).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Claim(*store, 1).status().code(), absl::StatusCode::kAborted);
}

TEST_P(StoreContract, AnotherKeyIsAClearErrorAndHarmsNothing) {
  ASSERT_EQ(Write(*Open(), Store::PutConversation{{"kimi", "ref", 1, 0}}), absl::OkStatus());
  const absl::Status wrong = TryOpen('b').status();
  EXPECT_EQ(wrong.code(), absl::StatusCode::kInvalidArgument) << wrong;
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("another key"));
  EXPECT_THAT(Refs(*Open()), ElementsAre("ref"));
}

TEST_P(StoreContract, ChangesOfAnAccountKeepTheirOrder) {
  auto store = Open();
  for (int i = 0; i < 50; ++i) {
    store->Write(Store::PutConversation{{"kimi", "stays", 1000, i}}, nullptr);
    store->Write(Store::PutConversation{{"kimi", absl::StrCat("goes-", i), 1000, 0}}, nullptr);
    store->Write(Store::DropConversation{"kimi", absl::StrCat("goes-", i)}, nullptr);
  }
  ASSERT_EQ(Write(*store, Store::PutConversation{{"kimi", "last", 2000, 0}}), absl::OkStatus());
  store.reset();
  store = Open();
  EXPECT_THAT(Refs(*store), ElementsAre("stays", "last"));
  EXPECT_EQ(store->Conversations()->front().failures, 49);
}

TEST_P(StoreContract, WhatIsSecretCannotBeRead) {
  auto store = Open();
  StoredAccount account = Known();
  account.configured = Secret("CANARY-configured");
  ASSERT_EQ(Write(*store, Store::PutAccount{account}), absl::OkStatus());
  ASSERT_EQ(Write(*store, Store::PutConversation{{"kimi", "CANARY-ref", 1, 0}}), absl::OkStatus());
  std::string bytes;
  if (GetParam() == Kind::kSqlite) {
    for (const auto& file : std::filesystem::directory_iterator(directory_)) bytes += ReadTestFile(file.path());
  } else {
    bytes = etcd_->Control("get --prefix " + prefix_);
    EXPECT_THAT(bytes, HasSubstr("accounts/kimi"));
  }
  EXPECT_GT(bytes.size(), 100u);
  EXPECT_EQ(bytes.find("CANARY"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Both, StoreContract, ::testing::Values(Kind::kSqlite, Kind::kEtcd), [](const auto& parameter) {
  return std::string(parameter.param == Kind::kSqlite ? "Sqlite" : "Etcd");
});

}  // namespace
}  // namespace switchyard
