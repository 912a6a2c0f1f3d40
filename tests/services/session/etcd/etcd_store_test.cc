// What several replicas do to one store, and what each is told of the others. Over a real etcd.
#include "services/session/etcd/etcd_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/etcd.h"
#include "tests/support/gate.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

/// Remembers what it was told.
class Told final : public StoreObserver {
 public:
  void OnAccount(const StoredAccount& account) override {
    absl::MutexLock lock(&mutex);
    accounts[account.label] = account;
  }
  void OnState(const std::string& label, int state, int64_t) override {
    absl::MutexLock lock(&mutex);
    states[label] = state;
  }
  void OnInDoubt(const std::string& label, bool doubt) override {
    absl::MutexLock lock(&mutex);
    in_doubt[label] = doubt;
  }
  void OnExchangeOver(const std::string&) override {
    absl::MutexLock lock(&mutex);
    ++exchanges_over;
  }
  void OnConversation(const StoredConversation& one, bool held) override {
    absl::MutexLock lock(&mutex);
    conversations[one.ref] = held;
  }
  void OnConversationDropped(const std::string&, const std::string& ref) override {
    absl::MutexLock lock(&mutex);
    conversations.erase(ref);
  }
  void OnUse(const std::string& label, int uses, const std::vector<std::string>& over) override {
    absl::MutexLock lock(&mutex);
    elsewhere[label] = uses;
    ended.insert(over.begin(), over.end());
  }
  void OnSlotLost(const std::string&, const std::string& slot) override {
    absl::MutexLock lock(&mutex);
    lost.insert(slot);
  }
  void OnContact(bool good) override {
    absl::MutexLock lock(&mutex);
    contact = good;
    contacts += 1;
  }

  absl::Mutex mutex;
  std::map<std::string, StoredAccount> accounts;
  std::map<std::string, int> states, elsewhere;
  std::map<std::string, bool> in_doubt, conversations;
  std::set<std::string> ended, lost;
  int exchanges_over = 0, contacts = 0;
  bool contact = true;
};

class EtcdStoreTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { etcd_ = std::make_unique<EtcdCluster>(); }
  static void TearDownTestSuite() { etcd_.reset(); }

  EtcdStoreTest() {
    static int count = 0;
    prefix_ = absl::StrCat("/store-", ++count);
    const std::string& endpoint = etcd_->endpoints().front();
    gate_ = std::make_unique<Gate>(std::atoi(endpoint.c_str() + endpoint.rfind(':') + 1));
    EtcdStoreOptions options;
    options.life = absl::Seconds(3);
    for (int i = 0; i < 2; ++i) Open(i, options);
  }

  void Open(int replica, EtcdStoreOptions options) {
    options.etcd.endpoints = etcd_->endpoints();
    // The second one can be cut off.
    if (replica == 1) options.etcd.endpoints = {absl::StrCat("127.0.0.1:", gate_->port())};
    options.prefix = prefix_;
    stores_[replica].reset();
    auto store = OpenEtcdStore(options, Secret(std::string(64, 'a')));
    ASSERT_TRUE(store.ok()) << store.status();
    stores_[replica] = *std::move(store);
    stores_[replica]->Observe(&told_[replica]);
  }
  /// The second one again, with writes that fail long before its lease ends.
  void OpenHasty() {
    EtcdStoreOptions options;
    options.write_limit = absl::Seconds(1);
    Open(1, options);
  }

  absl::Status Write(int replica, Store::Change change) {
    std::promise<absl::Status> done;
    stores_[replica]->Write(std::move(change), [&](absl::Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }
  absl::StatusOr<std::string> Claim(int replica, int places = 1) {
    std::promise<absl::StatusOr<std::string>> claimed;
    stores_[replica]->Claim("kimi", places, Store::Use::kChat,
                            [&](absl::StatusOr<std::string> slot) { claimed.set_value(std::move(slot)); });
    return claimed.get_future().get();
  }
  absl::Status Adopt(int replica, const std::string& slot) {
    std::promise<absl::Status> adopted;
    stores_[replica]->Adopt("kimi", slot, 1, [&](absl::Status status) { adopted.set_value(std::move(status)); });
    return adopted.get_future().get();
  }
  /// Waits until a replica was told so.
  template <typename Condition>
  bool Hears(int replica, Condition condition) {
    return Eventually([&] {
      absl::MutexLock lock(&told_[replica].mutex);
      return condition(told_[replica]);
    });
  }
  static StoredAccount Account(const std::string& fingerprint, int64_t version, const std::string& token) {
    StoredAccount account{"kimi", "kimi", fingerprint, 1, 0, Secret(token), version, "{}"};
    account.configured = Secret("configured-" + fingerprint);
    return account;
  }
  /// What a replica loses when it is away for too long.
  void EndLeaseOf(int replica) {
    const std::string keys = etcd_->Control("get --prefix --keys-only " + prefix_ + "/replicas");
    std::vector<std::string> names;
    for (const absl::string_view line : absl::StrSplit(keys, '\n', absl::SkipWhitespace()))
      names.emplace_back(line.substr(line.rfind('/') + 1));
    ASSERT_EQ(names.size(), 2u);
    // The lease of a slot that this replica has.
    const auto slot = Claim(replica, 100);
    ASSERT_TRUE(slot.ok()) << slot.status();
    for (const std::string& name : names) {
      const std::string hex = absl::StrCat(absl::Hex(std::stoll(name)));
      if (etcd_->Control("lease timetolive --keys " + hex).find("/slots/") != std::string::npos)
        etcd_->Control("lease revoke " + hex);
    }
  }

  static inline std::unique_ptr<EtcdCluster> etcd_;
  std::string prefix_;
  std::unique_ptr<Gate> gate_;
  Told told_[2];
  std::unique_ptr<Store> stores_[2];
};

TEST_F(EtcdStoreTest, ASlotIsOneReplicasAndTheOtherKnows) {
  const auto slot = Claim(0);
  ASSERT_TRUE(slot.ok()) << slot.status();
  EXPECT_TRUE(Hears(1, [](Told& told) { return told.elsewhere["kimi"] == 1; }));
  EXPECT_EQ(Claim(1).status().code(), absl::StatusCode::kAborted);
  stores_[0]->GiveBack("kimi", *slot);
  EXPECT_TRUE(Hears(1, [&](Told& told) { return told.elsewhere["kimi"] == 0 && told.ended.count(*slot) > 0; }));
  EXPECT_TRUE(Claim(1).ok());
  EXPECT_TRUE(Hears(0, [](Told& told) { return told.elsewhere["kimi"] == 1; }));
}

TEST_F(EtcdStoreTest, AnAdoptedSlotIsLostToWhoHadIt) {
  const auto slot = Claim(0);
  ASSERT_TRUE(slot.ok()) << slot.status();
  EXPECT_EQ(Adopt(1, *slot), absl::OkStatus());
  EXPECT_TRUE(Hears(0, [&](Told& told) { return told.lost.count(*slot) > 0 && told.elsewhere["kimi"] == 1; }));
  // What the former one does with it is void.
  stores_[0]->GiveBack("kimi", *slot);
  EXPECT_EQ(Claim(0).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Adopt(1, *slot), absl::OkStatus());
}

TEST_F(EtcdStoreTest, AReplicaWhoseLeaseHasEndedHoldsNothingAndBeginsAnew) {
  const auto slot = Claim(0);
  ASSERT_TRUE(slot.ok()) << slot.status();
  EndLeaseOf(0);
  EXPECT_TRUE(Hears(0, [&](Told& told) { return told.lost.count(*slot) > 0; }));
  EXPECT_TRUE(Claim(1).ok()) << "its slots are free";
  EXPECT_TRUE(Hears(0, [](Told& told) { return told.contacts >= 2 && told.contact; })) << "it did not come back";
  EXPECT_EQ(Claim(0).status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Claim(0, 2).ok());
}

TEST_F(EtcdStoreTest, OneExchangesAndTheOtherIsToldOfTheToken) {
  ASSERT_TRUE(stores_[0]->Register(Account("f", 1, "")).ok());
  ASSERT_TRUE(stores_[1]->Register(Account("f", 1, "")).ok());
  ASSERT_EQ(Write(0, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
  EXPECT_EQ(Write(1, Store::BeginExchange{"kimi", 1000}).code(), absl::StatusCode::kAborted);
  ASSERT_EQ(Write(0, Store::PutAccount{Account("f", 2, "fresh"), true}), absl::OkStatus());
  EXPECT_TRUE(
      Hears(1, [](Told& told) { return told.accounts["kimi"].token == Secret("fresh") && told.exchanges_over == 1; }));
  EXPECT_EQ(Write(1, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
}

TEST_F(EtcdStoreTest, WhoLostItsLockCannotCommitWhileAnotherHasItNorAfterwards) {
  ASSERT_TRUE(stores_[0]->Register(Account("f", 1, "")).ok());
  ASSERT_EQ(Write(0, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
  EndLeaseOf(0);
  EXPECT_TRUE(Hears(1, [](Told& told) { return told.in_doubt["kimi"]; }));
  ASSERT_EQ(Write(1, Store::BeginExchange{"kimi", 2000}), absl::OkStatus());
  EXPECT_EQ(Write(0, Store::PutAccount{Account("f", 2, "late"), true}).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_EQ(Write(1, Store::PutAccount{Account("f", 2, "good"), true}), absl::OkStatus());
  EXPECT_TRUE(Hears(1, [](Told& told) { return !told.in_doubt["kimi"]; }));
  EXPECT_TRUE(Hears(0, [](Told& told) { return told.accounts["kimi"].token == Secret("good"); }));
  EXPECT_EQ(Write(0, Store::PutToken{"kimi", Secret("late"), 2, 0}).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(stores_[1]->Accounts()->front().token, Secret("good"));
}

TEST_F(EtcdStoreTest, ATokenThatCameTooLateIsKeptWhereNobodyHasABetterOne) {
  ASSERT_TRUE(stores_[0]->Register(Account("f", 1, "")).ok());
  ASSERT_EQ(Write(0, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
  EndLeaseOf(0);
  EXPECT_TRUE(Hears(0, [](Told& told) { return told.contacts >= 2 && told.contact; }));
  EXPECT_EQ(Write(0, Store::PutAccount{Account("f", 2, "only"), true}).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_EQ(Write(0, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
  EXPECT_EQ(Write(0, Store::PutAccount{Account("f", 2, "only"), true}), absl::OkStatus());
  EXPECT_TRUE(Hears(1, [](Told& told) { return told.accounts["kimi"].token == Secret("only"); }));
}

TEST_F(EtcdStoreTest, WhatAnExchangeBroughtForALoginThatWasReplacedIsDropped) {
  ASSERT_TRUE(stores_[0]->Register(Account("old", 1, "")).ok());
  ASSERT_EQ(Write(0, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
  ASSERT_TRUE(stores_[1]->Register(Account("new", 1, "")).ok());
  ASSERT_TRUE(Hears(0, [](Told& told) { return told.accounts["kimi"].fingerprint == "new"; }));
  EXPECT_EQ(Write(0, Store::PutAccount{Account("old", 2, "late"), true}).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Write(1, Store::BeginExchange{"kimi", 1000}), absl::OkStatus()) << "its lock keeps nobody out";
  // Nor does it count if the new login is all that the former one's replica knows by then.
  ASSERT_EQ(Write(1, Store::EndExchange{"kimi"}), absl::OkStatus());
  ASSERT_EQ(Write(0, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
  ASSERT_TRUE(stores_[1]->Register(Account("newest", 1, "")).ok());
  ASSERT_TRUE(Hears(0, [](Told& told) { return told.accounts["kimi"].fingerprint == "newest"; }));
  EXPECT_EQ(Write(0, Store::PutAccount{Account("newest", 9, "another's"), true}).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(stores_[1]->Accounts()->front().fingerprint, "newest");
  EXPECT_TRUE(stores_[1]->Accounts()->front().token.empty());
}

TEST_F(EtcdStoreTest, TheStateOfALoginThatWasReplacedCountsNoMore) {
  ASSERT_TRUE(stores_[0]->Register(Account("old", 1, "")).ok());
  ASSERT_EQ(Write(0, Store::PutState{"kimi", 5, 0, "old"}), absl::OkStatus());
  ASSERT_TRUE(Hears(1, [](Told& told) { return told.states["kimi"] == 5; }));
  ASSERT_TRUE(stores_[1]->Register(Account("new", 1, "")).ok());
  ASSERT_TRUE(
      Hears(0, [](Told& told) { return told.accounts["kimi"].fingerprint == "new" && told.states["kimi"] == 1; }));
  EXPECT_EQ(Write(0, Store::PutState{"kimi", 5, 0, "old"}).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(stores_[0]->Accounts()->front().state, 1);
  EXPECT_EQ(Write(0, Store::PutState{"kimi", 5, 0, "new"}), absl::OkStatus());
  EXPECT_TRUE(Hears(1, [](Told& told) { return told.states["kimi"] == 5; }));
}

TEST_F(EtcdStoreTest, ASlotThatWasWrittenAfterItsClaimWasGivenUpIsFreeAgain) {
  const std::string keys = etcd_->Control("get --prefix --keys-only " + prefix_ + "/replicas");
  const std::vector<std::string> lines = absl::StrSplit(keys, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 2u) << keys;
  for (const std::string& line : lines) {
    const auto lease = absl::StrCat(absl::Hex(std::stoll(line.substr(line.rfind('/') + 1))));
    etcd_->Control(absl::StrCat("put --lease=", lease, " ", prefix_, "/slots/kimi/0 0-late"));
    EXPECT_TRUE(Eventually([&] {
      const auto slot = Claim(0);
      if (slot.ok()) stores_[0]->GiveBack("kimi", *slot);
      return slot.ok();
    })) << "it would be nobody's for as long as its replica lives";
  }
}

TEST_F(EtcdStoreTest, AConversationWhoseUseIsOverIsPending) {
  ASSERT_EQ(Write(0, Store::PutConversation{{"kimi", "late", 1000, 0, "0-gone"}}), absl::OkStatus());
  EXPECT_TRUE(Hears(1, [](Told& told) { return told.conversations.count("late") > 0 && !told.conversations["late"]; }));
}

TEST_F(EtcdStoreTest, WhoLeavesIsNotCountedOn) {
  EXPECT_TRUE(Eventually([this] { return stores_[0]->has_others() && stores_[1]->has_others(); }));
  stores_[0]->Leave();
  EXPECT_TRUE(stores_[0]->has_others());
  stores_[1]->Leave();
  EXPECT_FALSE(stores_[1]->has_others()) << "they would hand over to each other";
  EXPECT_TRUE(Eventually([this] { return !stores_[0]->has_others(); }));
  EXPECT_TRUE(Claim(0).ok()) << "what it has goes on";
}

TEST_F(EtcdStoreTest, ABackupThatWasPutBackIsReadAgain) {
  EtcdCluster etcd;
  EtcdStoreOptions options;
  options.life = absl::Seconds(3);
  options.etcd.endpoints = etcd.endpoints();
  options.prefix = prefix_;
  auto opened = OpenEtcdStore(options, Secret(std::string(64, 'a')));
  ASSERT_TRUE(opened.ok()) << opened.status();
  stores_[0] = *std::move(opened);
  stores_[0]->Observe(&told_[0]);
  ASSERT_TRUE(stores_[0]->Register(Account("f", 1, "before")).ok());
  etcd.Save();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(Write(0, Store::PutState{"kimi", i % 2 == 0 ? 5 : 1, 0}), absl::OkStatus());
  ASSERT_EQ(Write(0, Store::PutConversation{{"kimi", "forgotten", 1000, 0}}), absl::OkStatus());
  ASSERT_EQ(stores_[0]->Conversations()->size(), 1u);
  etcd.Restore();
  EXPECT_TRUE(Eventually([&] { return Write(0, Store::PutState{"kimi", 2, 0}).ok(); })) << "it writes to what is there";
  EXPECT_TRUE(Eventually([&] { return stores_[0]->Conversations()->empty(); })) << "and believes nothing else";
  etcd.Control("del --prefix " + prefix_ + "/states");
  EXPECT_TRUE(Eventually([&] { return stores_[0]->Accounts()->front().state == 1; })) << "the watch is silent";
  stores_[0] = nullptr;
}

TEST_F(EtcdStoreTest, OfTwoStatesThatMeetTheGraverStays) {
  ASSERT_EQ(Write(0, Store::PutState{"kimi", 1, 0}), absl::OkStatus());
  ASSERT_TRUE(Hears(1, [](Told& told) { return told.states["kimi"] == 1; }));
  gate_->Shut();
  std::promise<absl::Status> cooled;
  // What is on its way when the other writes.
  stores_[1]->Write(Store::PutState{"kimi", 2, 5'000'000'000'000},
                    [&](absl::Status status) { cooled.set_value(std::move(status)); });
  ASSERT_TRUE(stores_[1]->Accounts().ok());  // on the store's thread, after the write has begun
  ASSERT_EQ(Write(0, Store::PutState{"kimi", 5, 0}), absl::OkStatus());  // banned
  gate_->Open();
  EXPECT_EQ(cooled.get_future().get().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(Hears(1, [](Told& told) { return told.states["kimi"] == 5; }));
  ASSERT_EQ(Write(1, Store::PutState{"kimi", 1, 0}), absl::OkStatus()) << "a check that found it well";
  EXPECT_TRUE(Hears(0, [](Told& told) { return told.states["kimi"] == 1; }));
}

TEST_F(EtcdStoreTest, AConversationIsHeldAsLongAsItsSlot) {
  const auto slot = Claim(0);
  ASSERT_TRUE(slot.ok()) << slot.status();
  ASSERT_EQ(Write(0, Store::PutConversation{{"kimi", "ref", 1000, 0, *slot}}), absl::OkStatus());
  EXPECT_TRUE(Hears(1, [](Told& told) { return told.conversations.count("ref") > 0 && told.conversations["ref"]; }));
  EXPECT_EQ(stores_[1]->Conversations()->front().slot, *slot);
  stores_[0]->GiveBack("kimi", *slot);
  EXPECT_TRUE(Hears(1, [&](Told& told) { return told.ended.count(*slot) > 0; }));
  EXPECT_EQ(stores_[1]->Conversations()->front().slot, "") << "pending for whoever comes";
  ASSERT_EQ(Write(1, Store::DropConversation{"kimi", "ref"}), absl::OkStatus());
  EXPECT_TRUE(Hears(0, [](Told& told) { return told.conversations.count("ref") == 0; }));
}

TEST_F(EtcdStoreTest, TheIdentityIsMadeOnceAndTheNewestLoginIsInForce) {
  StoredAccount mine = Account("old", 1, "");
  mine.identity = R"({"device":"1"})";
  ASSERT_TRUE(stores_[0]->Register(mine).ok());
  mine.identity = R"({"device":"2"})";
  EXPECT_EQ(stores_[1]->Register(mine)->identity, R"({"device":"1"})");
  const auto newer = stores_[1]->Register(Account("new", 1, ""));
  ASSERT_TRUE(newer.ok()) << newer.status();
  EXPECT_EQ(newer->fingerprint, "new");
  EXPECT_TRUE(Hears(0, [](Told& told) { return told.accounts["kimi"].fingerprint == "new"; }));
  EXPECT_GT(newer->token_version, 1) << "its holders would keep the old one";
  const auto older = stores_[0]->Register(mine);
  ASSERT_TRUE(older.ok()) << older.status();
  EXPECT_EQ(older->fingerprint, "new");
  EXPECT_EQ(older->configured, Secret("configured-new"));
}

TEST_F(EtcdStoreTest, WhatHappenedBehindACompactionIsReadAgain) {
  const auto slot = Claim(0);
  ASSERT_TRUE(slot.ok()) << slot.status();
  ASSERT_EQ(Write(0, Store::PutConversation{{"kimi", "ref", 1000, 0, *slot}}), absl::OkStatus());
  ASSERT_TRUE(Hears(1, [](Told& told) { return told.elsewhere["kimi"] == 1 && told.conversations.count("ref") > 0; }));
  gate_->Shut();
  stores_[0]->GiveBack("kimi", *slot);
  ASSERT_EQ(Write(0, Store::DropConversation{"kimi", "ref"}), absl::OkStatus());
  ASSERT_EQ(Write(0, Store::PutState{"kimi", 5, 0}), absl::OkStatus());
  ASSERT_EQ(Write(0, Store::PutState{"deepseek", 5, 0}), absl::OkStatus());
  // All but the newest revision.
  const std::string status = etcd_->Control("get --write-out=json " + prefix_ + "/states/deepseek");
  const size_t at = status.find("\"mod_revision\":");
  ASSERT_NE(at, std::string::npos) << status;
  etcd_->Compact(std::atoi(status.c_str() + at + 15));
  EXPECT_EQ(told_[1].states.count("kimi"), 0u) << "the gate is not shut";
  gate_->Open();
  EXPECT_TRUE(Hears(1, [&](Told& told) {
    return told.states["kimi"] == 5 && told.elsewhere["kimi"] == 0 && told.ended.count(*slot) > 0 &&
           told.conversations.count("ref") == 0;
  }));
}

TEST_F(EtcdStoreTest, ALockWhoseMakingWasNotAnsweredIsNotLeftBehind) {
  ASSERT_TRUE(stores_[0]->Register(Account("f", 1, "")).ok());
  OpenHasty();
  gate_->HoldAnswers();
  EXPECT_EQ(Write(1, Store::BeginExchange{"kimi", 1000}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Write(0, Store::BeginExchange{"kimi", 1000}).code(), absl::StatusCode::kAborted) << "nothing was made";
  gate_->Open();
  EXPECT_TRUE(Hears(0, [](Told& told) { return told.exchanges_over == 1; }));
  EXPECT_EQ(Write(0, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
}

TEST_F(EtcdStoreTest, ALockWhoseEndCouldNotBeWrittenIsEndedLater) {
  ASSERT_TRUE(stores_[0]->Register(Account("f", 1, "")).ok());
  OpenHasty();
  ASSERT_EQ(Write(1, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
  gate_->Shut();
  EXPECT_EQ(Write(1, Store::EndExchange{"kimi"}).code(), absl::StatusCode::kUnavailable);
  gate_->Open();
  EXPECT_TRUE(Hears(0, [](Told& told) { return told.exchanges_over == 1; }));
  EXPECT_EQ(Write(0, Store::BeginExchange{"kimi", 1000}), absl::OkStatus());
}

TEST_F(EtcdStoreTest, AReplicaThatIsCutOffSaysSoAndClaimsNothing) {
  const auto slot = Claim(1);
  ASSERT_TRUE(slot.ok()) << slot.status();
  gate_->Shut();
  EXPECT_TRUE(Hears(1, [](Told& told) { return !told.contact; }));
  EXPECT_EQ(Claim(1, 2).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Adopt(0, *slot), absl::OkStatus()) << "its holder could not go on elsewhere";
  gate_->Open();
  EXPECT_TRUE(Hears(1, [&](Told& told) { return told.contact && told.lost.count(*slot) > 0; }));
  EXPECT_EQ(Claim(1).status().code(), absl::StatusCode::kAborted);
}

}  // namespace
}  // namespace switchyard
