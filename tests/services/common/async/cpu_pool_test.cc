// The bounded pool: jobs run, a full queue refuses, the end waits for what runs and drops what waits.
#include "services/common/async/cpu_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <set>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"

namespace switchyard {
namespace {

TEST(CpuPoolTest, EveryJobRunsOnce) {
  constexpr int kJobs = 500;
  std::atomic<int> ran{0};
  absl::BlockingCounter left(kJobs);
  CpuPool pool({.threads = 4, .queue_depth = kJobs});
  for (int i = 0; i < kJobs; ++i) {
    ASSERT_TRUE(pool.Submit([&] {
                      ++ran;
                      left.DecrementCount();
                    })
                    .ok());
  }
  left.Wait();
  EXPECT_EQ(ran, kJobs);
}

TEST(CpuPoolTest, JobsRunSideBySide) {
  std::promise<void> first, second;
  CpuPool pool({.threads = 2});
  // Each waits for the other: one thread alone would never end.
  ASSERT_TRUE(pool.Submit([&] {
                    first.set_value();
                    second.get_future().wait();
                  })
                  .ok());
  std::promise<void> both;
  ASSERT_TRUE(pool.Submit([&] {
                    first.get_future().wait();
                    second.set_value();
                    both.set_value();
                  })
                  .ok());
  EXPECT_EQ(both.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

TEST(CpuPoolTest, AFullQueueRefusesAndTakesAgainLater) {
  absl::Notification started, go_on, last_ran;
  CpuPool pool({.threads = 1, .queue_depth = 2});
  ASSERT_TRUE(pool.Submit([&] {
                    started.Notify();
                    go_on.WaitForNotification();
                  })
                  .ok());
  started.WaitForNotification();
  absl::Notification queue_empty;
  ASSERT_TRUE(pool.Submit([] {}).ok());
  ASSERT_TRUE(pool.Submit([&] { queue_empty.Notify(); }).ok());
  EXPECT_EQ(pool.load(), 3);
  bool ran = false;
  const absl::Status refused = pool.Submit([&] { ran = true; });
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  go_on.Notify();
  queue_empty.WaitForNotification();
  ASSERT_TRUE(pool.Submit([&] { last_ran.Notify(); }).ok());
  last_ran.WaitForNotification();
  EXPECT_FALSE(ran);
}

TEST(CpuPoolTest, TheEndWaitsForWhatRunsAndDropsWhatWaits) {
  auto owned = std::make_shared<int>(1);
  std::atomic<bool> finished{false};
  std::atomic<bool> waiting_ran{false};
  absl::Notification started, go_on;
  std::optional<CpuPool> pool;
  pool.emplace(CpuPool::Options{.threads = 1, .queue_depth = 8});
  ASSERT_TRUE(pool->Submit([&] {
                    started.Notify();
                    go_on.WaitForNotification();
                    finished = true;
                  })
                  .ok());
  started.WaitForNotification();
  ASSERT_TRUE(pool->Submit([&waiting_ran, owned] { waiting_ran = true; }).ok());
  std::thread ender([&] { pool.reset(); });
  // The queue is dropped before the running job is waited for.
  while (owned.use_count() > 1) std::this_thread::yield();
  EXPECT_FALSE(finished);
  go_on.Notify();
  ender.join();
  EXPECT_TRUE(finished);
  EXPECT_FALSE(waiting_ran);
}

TEST(CpuPoolTest, WhatAJobOwnsIsGoneOnceItNoLongerCounts) {
  auto owned = std::make_shared<int>(1);
  CpuPool pool({.threads = 1});
  ASSERT_TRUE(pool.Submit([owned] {}).ok());
  while (pool.load() > 0) std::this_thread::yield();
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(CpuPoolTest, ItsThreadsGiveWayToOthers) {
  std::promise<int> nice;
  CpuPool pool({.threads = 1});
  ASSERT_TRUE(
      pool.Submit([&] { nice.set_value(getpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)))); }).ok());
  const int own = getpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)));
  EXPECT_GT(nice.get_future().get(), own);
}

}  // namespace
}  // namespace switchyard
