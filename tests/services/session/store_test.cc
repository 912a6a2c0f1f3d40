#include "services/session/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <future>
#include <sstream>
#include <thread>

namespace switchyard {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

const Secret kKey(std::string(64, 'a'));
const Secret kOtherKey(std::string(64, 'b'));

std::string Slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

mode_t ModeOf(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    directory_ = ::testing::TempDir() + "/store_XXXXXX";
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    path_ = directory_ + "/session.db";
  }

  std::unique_ptr<Store> Open(const Secret& key = kKey) {
    auto store = Store::Open(path_, key);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? std::move(*store) : nullptr;
  }

  static absl::Status Write(Store& store, Store::Change change) {
    std::promise<absl::Status> done;
    store.Write(std::move(change), [&](absl::Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }

  static Store::PutConversation Opened(const std::string& ref) { return {{"deepseek", ref, 1000, 0}}; }

  static std::vector<std::string> RefsOf(Store& store) {
    auto conversations = store.Conversations();
    EXPECT_TRUE(conversations.ok()) << conversations.status();
    std::vector<std::string> refs;
    for (const auto& one : *conversations) refs.push_back(one.ref);
    return refs;
  }

  std::string directory_;
  std::string path_;
};

TEST_F(StoreTest, WhatWasWrittenIsThereAfterReopening) {
  {
    auto store = Open();
    StoredAccount account{"deepseek-2",       "deepseek", "fp", 4, 1'793'000'000'123, Secret("rotated-token"), 7,
                          R"({"device":"1"})"};
    ASSERT_EQ(Write(*store, Store::PutAccount{account}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::PutConversation{{"deepseek-2", "ref-1", 1'793'000'000'000, 3}}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::PutConversation{{"deepseek-2", "ref-2", 1'793'000'000'001, 0}}), absl::OkStatus());
    ASSERT_EQ(Write(*store, Store::DropConversation{"deepseek-2", "ref-2"}), absl::OkStatus());
  }
  auto store = Open();
  auto accounts = store->Accounts();
  ASSERT_TRUE(accounts.ok());
  ASSERT_EQ(accounts->size(), 1u);
  const StoredAccount& account = accounts->front();
  EXPECT_EQ(account.label, "deepseek-2");
  EXPECT_EQ(account.platform, "deepseek");
  EXPECT_EQ(account.fingerprint, "fp");
  EXPECT_EQ(account.state, 4);
  EXPECT_EQ(account.until_ms, 1'793'000'000'123);
  EXPECT_EQ(account.token, Secret("rotated-token"));
  EXPECT_EQ(account.token_version, 7);
  EXPECT_EQ(account.identity, R"({"device":"1"})");
  auto conversations = store->Conversations();
  ASSERT_EQ(conversations->size(), 1u);
  EXPECT_EQ(conversations->front().ref, "ref-1");
  EXPECT_EQ(conversations->front().failures, 3);
  EXPECT_EQ(conversations->front().opened_ms, 1'793'000'000'000);
}

TEST_F(StoreTest, NeitherTokensNorReferencesCanBeReadInTheFiles) {
  auto store = Open();
  StoredAccount account{"deepseek", "deepseek", "fp", 1, 0, Secret("CANARY-TOKEN"), 1, "{}"};
  ASSERT_EQ(Write(*store, Store::PutAccount{account}), absl::OkStatus());
  ASSERT_EQ(Write(*store, Opened("CANARY-REF")), absl::OkStatus());
  const std::string bytes = Slurp(path_) + Slurp(path_ + "-wal");
  EXPECT_GT(bytes.size(), 4096u);
  EXPECT_EQ(bytes.find("CANARY"), std::string::npos);
}

TEST_F(StoreTest, ItsFilesAreItsOwnersAlone) {
  path_ = directory_ + "/state/deep/session.db";
  auto store = Open();
  ASSERT_EQ(Write(*store, Opened("r")), absl::OkStatus());
  EXPECT_EQ(ModeOf(path_), 0600u);
  EXPECT_EQ(ModeOf(path_ + "-wal"), 0600u);
  EXPECT_EQ(ModeOf(directory_ + "/state"), 0700u);
  EXPECT_EQ(ModeOf(directory_ + "/state/deep"), 0700u);
}

TEST_F(StoreTest, AFileWithALaxModeIsTightened) {
  std::ofstream(path_).close();
  ASSERT_EQ(chmod(path_.c_str(), 0644), 0);
  Open();
  EXPECT_EQ(ModeOf(path_), 0600u);
}

TEST_F(StoreTest, AnotherKeyIsAClearErrorAndHarmsNothing) {
  ASSERT_EQ(Write(*Open(), Opened("r")), absl::OkStatus());
  const absl::Status wrong = Store::Open(path_, kOtherKey).status();
  EXPECT_EQ(wrong.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(wrong.message()), HasSubstr(path_));
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("key"));
  EXPECT_THAT(RefsOf(*Open()), ::testing::ElementsAre("r"));
}

TEST_F(StoreTest, SomethingElseThanAStoreIsAClearErrorAndIsLeftAlone) {
  const std::string text(20'000, 'x');
  std::ofstream(path_) << text;
  const absl::Status damaged = Store::Open(path_, kKey).status();
  EXPECT_EQ(damaged.code(), absl::StatusCode::kDataLoss) << damaged;
  EXPECT_THAT(std::string(damaged.message()), HasSubstr(path_));
  EXPECT_EQ(Slurp(path_), text);
}

TEST_F(StoreTest, EveryDamagedPageOrCutIsAnErrorOrHarmless) {
  {
    auto store = Open();
    for (int i = 0; i < 50; ++i) ASSERT_EQ(Write(*store, Opened("ref-" + std::to_string(i))), absl::OkStatus());
  }
  const std::string good = Slurp(path_);
  ASSERT_GT(good.size(), 8192u);
  int errors = 0;
  for (size_t at = 0; at + 512 <= good.size(); at += 512) {
    for (const bool cut : {false, true}) {
      std::string bad = cut ? good.substr(0, at) : good;
      for (size_t i = 0; !cut && i < 64; ++i) bad[at + i] = static_cast<char>(bad[at + i] ^ 0x5A);
      std::ofstream(path_, std::ios::binary | std::ios::trunc) << bad;
      auto store = Store::Open(path_, kKey);
      if (!store.ok() || !(*store)->Conversations().ok() || !(*store)->Accounts().ok()) ++errors;
    }
  }
  EXPECT_GT(errors, 20);
}

TEST_F(StoreTest, ASecondOwnerIsRefused) {
  auto store = Open();
  const absl::Status second = Store::Open(path_, kKey).status();
  EXPECT_EQ(second.code(), absl::StatusCode::kAlreadyExists) << second;
  EXPECT_THAT(std::string(second.message()), HasSubstr(path_));
  store.reset();
  Open();
}

TEST_F(StoreTest, AStoreOfANewerVersionIsRefused) {
  Open();
  {
    // Bytes 60 to 63 of an SQLite file are its user version, big-endian. Source: SQLite file format, section 1.3.
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(63);
    file.put(99);
  }
  EXPECT_EQ(Store::Open(path_, kKey).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(StoreTest, AStoreOfTheFirstVersionIsTakenOver) {
  auto store = Open();
  StoredAccount account{"kimi", "kimi", "f", 1, 0, Secret("old"), 3, "{}"};
  ASSERT_TRUE(Write(*store, Store::PutAccount{account}).ok());
  store.reset();
  // As the first version had it.
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  const char* back =
      "ALTER TABLE accounts DROP COLUMN credential; ALTER TABLE accounts DROP COLUMN previous; "
      "ALTER TABLE accounts DROP COLUMN expires_ms; PRAGMA user_version=1";
  EXPECT_EQ(sqlite3_exec(db, back, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
  store = Open();
  ASSERT_EQ(store->Accounts()->size(), 1u);
  account.credential = Secret("newer");
  EXPECT_TRUE(Write(*store, Store::PutAccount{account}).ok());
  EXPECT_TRUE(Write(*store, Store::PutToken{"kimi", Secret("t"), 4, 5000}).ok());
  EXPECT_TRUE(Write(*store, Store::PutState{"kimi", 4, 7000}).ok());
  EXPECT_FALSE(Write(*store, Store::PutToken{"nobody", Secret("t"), 4, 5000}).ok());
  store.reset();
  store = Open();
  const auto accounts = store->Accounts();
  ASSERT_TRUE(accounts.ok() && accounts->size() == 1) << accounts.status();
  const StoredAccount& found = accounts->front();
  EXPECT_EQ(found.credential.Reveal(), "newer");
  EXPECT_EQ(found.token.Reveal(), "t");
  EXPECT_EQ(found.token_version, 4);
  EXPECT_EQ(found.expires_ms, 5000);
  EXPECT_EQ(found.state, 4);
  EXPECT_EQ(found.until_ms, 7000);
}

TEST_F(StoreTest, ManyWritersShareCommitsAndKeepTheirOrder) {
  auto store = Open();
  std::atomic<int> done{0};
  std::promise<void> all;
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string ref = std::to_string(t) + "/" + std::to_string(i);
        store->Write(Opened(ref), nullptr);
        const auto count = [&](const absl::Status& status) {
          EXPECT_EQ(status, absl::OkStatus());
          if (++done == kThreads * kEach) all.set_value();
        };
        // Every second one is struck out again: the order of a writer's changes matters.
        if (i % 2 == 0) {
          store->Write(Store::DropConversation{"deepseek", ref}, count);
        } else {
          store->Write(Opened(ref), count);
        }
      }
    });
  }
  for (auto& writer : writers) writer.join();
  all.get_future().wait();
  EXPECT_EQ(RefsOf(*store).size(), static_cast<size_t>(kThreads * kEach / 2));
}

TEST_F(StoreTest, WhatWasAcknowledgedSurvivesKillNine) {
  for (const int acknowledgements : {1, 7, 60}) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto store = Store::Open(path_, kKey);
      if (!store.ok()) _exit(1);
      for (int i = 0;; ++i) {
        const std::string ref = std::to_string(acknowledgements) + "-" + std::to_string(i);
        if (!Write(**store, Opened(ref)).ok()) _exit(2);
        const char byte = 'x';
        if (write(pipe_ends[1], &byte, 1) != 1) _exit(3);
      }
    }
    close(pipe_ends[1]);
    int seen = 0;
    char byte;
    while (seen < acknowledgements && read(pipe_ends[0], &byte, 1) == 1) ++seen;
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int ended = 0;
    ASSERT_EQ(waitpid(child, &ended, 0), child);
    ASSERT_TRUE(WIFSIGNALED(ended)) << "the child failed by itself: " << ended;
    close(pipe_ends[0]);

    ASSERT_EQ(seen, acknowledgements);
    std::vector<std::string> expected;
    for (int i = 0; i < acknowledgements; ++i)
      expected.push_back(std::to_string(acknowledgements) + "-" + std::to_string(i));
    EXPECT_THAT(RefsOf(*Open()), IsSupersetOf(expected));
  }
}

TEST_F(StoreTest, AWriteThatTheDiskRefusesFailsAloneAndLaterOnesSucceed) {
  auto store = Open();
  ASSERT_EQ(Write(*store, Opened("before")), absl::OkStatus());
  // Files of this process may not grow: as on a full disk, every write fails until the limit is lifted.
  struct rlimit old;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  struct rlimit tight = old;
  tight.rlim_cur = 1;
  signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  const absl::Status first = Write(*store, Opened("refused-1"));
  const absl::Status second = Write(*store, Opened("refused-2"));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_EQ(first.code(), absl::StatusCode::kUnavailable) << first;
  EXPECT_EQ(second.code(), absl::StatusCode::kUnavailable) << second;

  EXPECT_EQ(Write(*store, Opened("after")), absl::OkStatus());
  store.reset();
  EXPECT_THAT(RefsOf(*Open()), IsSupersetOf({"before", "after"}));
}

TEST_F(StoreTest, WhatIsQueuedAtTheEndIsStillWritten) {
  {
    auto store = Open();
    for (int i = 0; i < 200; ++i) store->Write(Opened(std::to_string(i)), nullptr);
  }
  EXPECT_EQ(RefsOf(*Open()).size(), 200u);
}

}  // namespace
}  // namespace switchyard
