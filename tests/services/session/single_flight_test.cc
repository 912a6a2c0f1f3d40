#include "services/session/single_flight.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "boost/asio/co_spawn.hpp"
#include "boost/asio/post.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/async/sleep.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using Flight = SingleFlight<int>;

class SingleFlightTest : public ::testing::Test {
 protected:
  ~SingleFlightTest() override { runtime_.Stop(); }

  static asio::awaitable<absl::StatusOr<int>> Ask(Flight& flight, std::string key, Flight::Work work,
                                                  absl::Duration limit) {
    Scope scope(co_await asio::this_coro::executor,
                std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(limit));
    co_return co_await flight.Run(scope, std::move(key), std::move(work));
  }
  std::future<absl::StatusOr<int>> Start(const std::string& key, Flight::Work work,
                                         absl::Duration limit = absl::Seconds(20)) {
    return asio::co_spawn(runtime_.Next(), Ask(flight_, key, std::move(work), limit), asio::use_future);
  }

  // Counts its runs and answers when the gate opens.
  asio::awaitable<absl::StatusOr<int>> Gated(absl::StatusOr<int> answer) {
    ++runs_;
    Scope scope(co_await asio::this_coro::executor);
    while (!open_) co_await Sleep(scope, absl::Milliseconds(1));
    co_return answer;
  }

  Runtime runtime_{{.threads = 2}};
  Flight flight_;
  std::atomic<int> runs_{0};
  std::atomic<bool> open_{false};
};

TEST_F(SingleFlightTest, AThousandAskersShareOneRun) {
  std::vector<std::future<absl::StatusOr<int>>> answers;
  for (int i = 0; i < 1000; ++i) answers.push_back(Start("k", [this] { return Gated(42); }));
  // A loop takes its work in order: once this ran on all of them, everybody has asked.
  for (const Executor& loop : runtime_.All()) asio::post(loop, asio::use_future([] {})).get();
  open_ = true;
  int right = 0;
  for (auto& answer : answers) right += *answer.get() == 42;
  EXPECT_EQ(right, 1000);
  EXPECT_EQ(runs_, 1);
}

TEST_F(SingleFlightTest, OneRunAtATimeForAKeyAndNoneSharedAcrossKeys) {
  auto first = Start("a", [this] { return Gated(1); });
  while (runs_ < 1) std::this_thread::yield();
  auto same = Start("a", [this] { return Gated(2); });
  auto other = Start("b", [this] { return Gated(3); });
  while (runs_ < 2) std::this_thread::yield();
  // Whoever asked for "a" has asked before "b" was served on the same loops; let the gate show who ran.
  open_ = true;
  EXPECT_EQ(*first.get(), 1);
  EXPECT_EQ(*other.get(), 3);
  const int answer = *same.get();
  EXPECT_TRUE(answer == 1 || answer == 2);
}

TEST_F(SingleFlightTest, AnErrorReachesEveryWaiterAndIsNotKept) {
  auto first = Start("k", [this] { return Gated(absl::UnavailableError("no")); });
  open_ = true;
  EXPECT_EQ(first.get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(*Start("k", [this] { return Gated(5); }).get(), 5);
}

TEST_F(SingleFlightTest, TheWorkGoesOnWhenTheFirstAskerLeaves) {
  auto leaves = Start(
      "k", [this] { return Gated(7); }, absl::Milliseconds(20));
  EXPECT_EQ(leaves.get().status().code(), absl::StatusCode::kDeadlineExceeded);
  auto stays = Start("k", [this] { return Gated(8); });
  open_ = true;
  const int answer = *stays.get();
  EXPECT_TRUE(answer == 7 || answer == 8);
  EXPECT_LE(runs_, 2);
}

TEST_F(SingleFlightTest, AnExceptionIsAnErrorOfItsWaiters) {
  auto answer = Start("k", []() -> asio::awaitable<absl::StatusOr<int>> {
    throw std::runtime_error("bug");
    co_return 1;
  });
  EXPECT_EQ(answer.get().status().code(), absl::StatusCode::kInternal);
  open_ = true;
  EXPECT_EQ(*Start("k", [this] { return Gated(5); }).get(), 5);
}

}  // namespace
}  // namespace switchyard
