// The client against real members: transactions, leases, the watch; members that die.
#include "services/session/etcd/etcd_client.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/async/sleep.h"
#include "services/common/async/task_group.h"
#include "tests/support/etcd.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using etcdserverpb::TxnRequest;

TEST(EtcdPrefixEnd, IsTheNextKeyThatDoesNotBeginSo) {
  EXPECT_EQ(EtcdPrefixEnd("/a/"), "/a0");
  EXPECT_EQ(EtcdPrefixEnd("a\xFF"), "b");
  EXPECT_EQ(EtcdPrefixEnd("\xFF"), std::string(1, '\0'));
}

class EtcdClientTest : public ::testing::Test {
 protected:
  ~EtcdClientTest() override {
    if (life_) asio::post(executor_, [this] { life_->Cancel(absl::CancelledError("over")); });
    tasks_.WaitIdle(absl::Seconds(5));
    runtime_.Stop();
  }
  void Start(int members) {
    etcd_ = std::make_unique<EtcdCluster>(members);
    EtcdOptions options;
    options.endpoints = etcd_->endpoints();
    client_ = std::make_unique<EtcdClient>(options);
    life_ = std::make_unique<Scope>(executor_);
  }
  void Run(std::function<asio::awaitable<void>(Scope&)> body, absl::Duration limit = absl::Seconds(15)) {
    auto task = [&]() -> asio::awaitable<void> {
      Scope scope(executor_, std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(limit));
      co_await body(scope);
    };
    asio::co_spawn(executor_, task, asio::use_future).get();
  }
  static TxnRequest PutIfAbsent(const std::string& key, const std::string& value, int64_t lease = 0) {
    TxnRequest request;
    auto* compare = request.add_compare();
    compare->set_key(key);
    compare->set_target(etcdserverpb::Compare::CREATE);
    compare->set_create_revision(0);
    auto* put = request.add_success()->mutable_request_put();
    put->set_key(key);
    put->set_value(value);
    put->set_lease(lease);
    request.add_failure()->mutable_request_range()->set_key(key);
    return request;
  }
  /// Watches from `from` on, again and again, as the store does.
  void WatchFrom(int64_t from) {
    watch_ = [this, from]() -> asio::awaitable<void> {
      int64_t seen = from - 1;
      const EtcdClient::Take take = [this, &seen](const etcdserverpb::WatchResponse& response) {
        absl::MutexLock lock(&mutex_);
        for (const auto& event : response.events()) {
          seen = std::max(seen, event.kv().mod_revision());
          seen_.push_back(event.kv().key());
        }
      };
      while (!life_->ended()) {
        const absl::Status why = co_await client_->Watch(*life_, "/w/", seen + 1, take);
        {
          absl::MutexLock lock(&mutex_);
          why_ = why;
        }
        if (why.code() == absl::StatusCode::kOutOfRange) co_return;
        co_await Sleep(*life_, absl::Milliseconds(50));
      }
    };
    tasks_.Spawn(executor_, watch_());
  }
  std::vector<std::string> Seen() {
    absl::MutexLock lock(&mutex_);
    return seen_;
  }

  Runtime runtime_{Runtime::Options{.threads = 1}};
  Executor executor_ = runtime_.Next();
  std::unique_ptr<EtcdCluster> etcd_;
  std::unique_ptr<EtcdClient> client_;
  std::unique_ptr<Scope> life_;
  TaskGroup tasks_;
  std::function<asio::awaitable<void>()> watch_;  // outlives its coroutine
  absl::Mutex mutex_;
  std::vector<std::string> seen_;
  absl::Status why_;
};

TEST_F(EtcdClientTest, ATransactionSaysWhoWasFirst) {
  Start(1);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto first = co_await client_->Txn(scope, PutIfAbsent("/k", "one"));
    EXPECT_TRUE(first.ok() && first->succeeded()) << first.status();
    auto second = co_await client_->Txn(scope, PutIfAbsent("/k", "two"));
    EXPECT_TRUE(second.ok() && !second->succeeded()) << second.status();
    if (!second.ok()) co_return;
    const auto& found = second->responses(0).response_range();
    EXPECT_EQ(found.kvs_size(), 1);
    EXPECT_EQ(found.kvs_size() == 1 ? found.kvs(0).value() : "", "one");
    auto all = co_await client_->Range(scope, "/", EtcdPrefixEnd("/"));
    EXPECT_TRUE(all.ok() && all->kvs_size() == 1) << all.status();
  });
}

TEST_F(EtcdClientTest, ALeaseIsRenewedUntilItIsGone) {
  Start(1);
  Run([&](Scope& scope) -> asio::awaitable<void> {
    auto lease = co_await client_->GrantLease(scope, absl::Seconds(5));
    EXPECT_TRUE(lease.ok()) << lease.status();
    if (!lease.ok()) co_return;
    auto put = co_await client_->Txn(scope, PutIfAbsent("/k", "v", *lease));
    EXPECT_TRUE(put.ok()) << put.status();
    const absl::Status renewed = co_await client_->RenewLease(scope, *lease);
    EXPECT_TRUE(renewed.ok()) << renewed;
    const absl::Status revoked = co_await client_->RevokeLease(scope, *lease);
    EXPECT_TRUE(revoked.ok()) << revoked;
    const absl::Status gone = co_await client_->RenewLease(scope, *lease);
    EXPECT_EQ(gone.code(), absl::StatusCode::kNotFound) << gone;
    auto all = co_await client_->Range(scope, "/k", "");
    EXPECT_TRUE(all.ok() && all->kvs().empty()) << "what was held with it is still there";
    auto late = co_await client_->Txn(scope, PutIfAbsent("/k", "v", *lease));
    EXPECT_EQ(late.status().code(), absl::StatusCode::kNotFound) << late.status();
  });
}

TEST_F(EtcdClientTest, EachMemberInTurnMayDie) {
  Start(3);
  for (int i = 0; i < 3; ++i) {
    etcd_->Kill(i);
    Run([&](Scope& scope) -> asio::awaitable<void> {
      auto put = co_await client_->Txn(scope, PutIfAbsent(absl::StrCat("/k", i), "v"));
      EXPECT_TRUE(put.ok()) << i << put.status();
    });
    etcd_->Start(i);
    etcd_->WaitReady(i);
  }
}

TEST_F(EtcdClientTest, WithoutAnyMemberACallEndsWithItsScope) {
  Start(1);
  etcd_->Kill(0);
  const auto begun = std::chrono::steady_clock::now();
  Run(
      [&](Scope& scope) -> asio::awaitable<void> {
        auto put = co_await client_->Txn(scope, PutIfAbsent("/k", "v"));
        EXPECT_FALSE(put.ok());
      },
      absl::Seconds(1));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
}

TEST_F(EtcdClientTest, TheWatchGoesOnAtAnotherMemberAndMissesNothing) {
  Start(3);
  WatchFrom(1);
  const auto put = [this](const std::string& key) {
    Run([&](Scope& scope) -> asio::awaitable<void> {
      auto answer = co_await client_->Txn(scope, PutIfAbsent(key, "v"));
      EXPECT_TRUE(answer.ok()) << answer.status();
    });
  };
  put("/w/1");
  put("/elsewhere");
  ASSERT_TRUE(Eventually([&] { return Seen().size() == 1; }));
  for (int i = 0; i < 3; ++i) {
    etcd_->Kill(i);
    put(absl::StrCat("/w/", i + 2));
    EXPECT_TRUE(Eventually([&] { return Seen().size() == static_cast<size_t>(i + 2); })) << i;
    etcd_->Start(i);
    etcd_->WaitReady(i);
  }
  EXPECT_EQ(Seen(), (std::vector<std::string>{"/w/1", "/w/2", "/w/3", "/w/4"}));
}

TEST_F(EtcdClientTest, ARevisionThatIsNoLongerKeptIsSaid) {
  Start(1);
  int64_t revision = 0;
  Run([&](Scope& scope) -> asio::awaitable<void> {
    for (int i = 0; i < 5; ++i) {
      auto answer = co_await client_->Txn(scope, PutIfAbsent(absl::StrCat("/w/", i), "v"));
      EXPECT_TRUE(answer.ok()) << answer.status();
      if (answer.ok()) revision = answer->header().revision();
    }
  });
  etcd_->Compact(revision);
  WatchFrom(2);
  EXPECT_TRUE(Eventually([&] {
    absl::MutexLock lock(&mutex_);
    return why_.code() == absl::StatusCode::kOutOfRange;
  }));
}

}  // namespace
}  // namespace switchyard
