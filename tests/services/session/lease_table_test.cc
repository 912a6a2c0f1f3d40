#include "services/session/lease_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/common/status/reason.h"

namespace switchyard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Times are seconds since an arbitrary start.
LeaseTable::Now At(double seconds) {
  return LeaseTable::Now(std::chrono::milliseconds(1'000'000 + static_cast<int64_t>(seconds * 1000)));
}

bool AllHealthy(const std::string&) { return true; }

LeaseTable Table(LeaseTable::Options options, const std::vector<std::string>& accounts) {
  LeaseTable table(options);
  for (const std::string& account : accounts) table.AddAccount(account);
  return table;
}

std::vector<std::string> AccountsOf(const std::vector<LeaseTable::Grant>& grants) {
  std::vector<std::string> accounts;
  for (const auto& grant : grants) accounts.push_back(grant.account);
  return accounts;
}

TEST(LeaseTable, AFreeAccountIsGrantedAtOnce) {
  LeaseTable table = Table({}, {"a"});
  auto id = table.Enqueue({.caller = "x"}, At(0));
  ASSERT_TRUE(id.ok());
  auto grants = table.GrantReady(At(0), AllHealthy);
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].id, *id);
  EXPECT_EQ(grants[0].account, "a");
  EXPECT_EQ(table.in_flight("a"), 1);
  EXPECT_EQ(table.queued(), 0);
}

TEST(LeaseTable, NoMoreThanTheLimitAreInFlight) {
  LeaseTable table = Table({.max_in_flight = 2}, {"a"});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(table.Enqueue({.caller = "x"}, At(0)).ok());
  EXPECT_EQ(table.GrantReady(At(0), AllHealthy).size(), 2u);
  EXPECT_EQ(table.queued(), 1);
  table.Release("a", At(5));
  EXPECT_EQ(table.GrantReady(At(5), AllHealthy).size(), 1u);
}

TEST(LeaseTable, SpacingRunsFromTheEndOfATurnToTheNextStart) {
  LeaseTable table = Table({.spacing = absl::Seconds(2)}, {"a"});
  ASSERT_TRUE(table.Enqueue({}, At(0)).ok());
  ASSERT_EQ(table.GrantReady(At(0), AllHealthy).size(), 1u);
  ASSERT_TRUE(table.Enqueue({}, At(1)).ok());
  table.Release("a", At(10));
  EXPECT_THAT(table.GrantReady(At(11.999), AllHealthy), IsEmpty());
  EXPECT_EQ(table.NextEvent(At(11.999)), At(12));
  EXPECT_EQ(table.GrantReady(At(12), AllHealthy).size(), 1u);
}

TEST(LeaseTable, TheAccountUnusedForLongestIsTaken) {
  LeaseTable table = Table({}, {"a", "b", "c"});
  const auto next = [&](double now) {
    EXPECT_TRUE(table.Enqueue({}, At(now)).ok());
    auto grants = table.GrantReady(At(now), AllHealthy);
    table.Release(grants.at(0).account, At(now));
    return grants.at(0).account;
  };
  const std::vector<std::string> first = {next(0), next(1), next(2)};
  EXPECT_THAT(first, ::testing::UnorderedElementsAre("a", "b", "c"));
  EXPECT_EQ(next(3), first[0]);
  EXPECT_EQ(next(4), first[1]);
}

TEST(LeaseTable, AnUnhealthyAccountIsNotGiven) {
  LeaseTable table = Table({}, {"a", "b"});
  ASSERT_TRUE(table.Enqueue({}, At(0)).ok());
  ASSERT_TRUE(table.Enqueue({}, At(0)).ok());
  const auto only_b = [](const std::string& account) { return account == "b"; };
  EXPECT_THAT(AccountsOf(table.GrantReady(At(0), only_b)), ElementsAre("b"));
  EXPECT_EQ(table.queued(), 1);
}

TEST(LeaseTable, PinsAndExclusionsAreKeptAndBlockNobodyElse) {
  LeaseTable table = Table({}, {"a", "b"});
  ASSERT_TRUE(table.Enqueue({.caller = "x", .account = "a"}, At(0)).ok());
  ASSERT_THAT(AccountsOf(table.GrantReady(At(0), AllHealthy)), ElementsAre("a"));
  ASSERT_TRUE(table.Enqueue({.caller = "x", .account = "a"}, At(1)).ok());    // has to wait for a
  ASSERT_TRUE(table.Enqueue({.caller = "x", .exclude = {"a"}}, At(2)).ok());  // behind it, can have b
  EXPECT_THAT(AccountsOf(table.GrantReady(At(2), AllHealthy)), ElementsAre("b"));
  table.Release("b", At(3));
  EXPECT_THAT(table.GrantReady(At(3), AllHealthy), IsEmpty());
  table.Release("a", At(4));
  EXPECT_THAT(AccountsOf(table.GrantReady(At(4), AllHealthy)), ElementsAre("a"));
}

TEST(LeaseTable, CallersTakeTurnsAndEachKeepsItsOrder) {
  LeaseTable table = Table({.queue_depth = 100}, {"a"});
  std::map<LeaseTable::Id, std::string> names;
  const auto ask = [&](const std::string& caller, int n) {
    names[*table.Enqueue({.caller = caller}, At(0))] = caller + std::to_string(n);
  };
  for (int i = 0; i < 5; ++i) ask("greedy", i);
  ask("modest", 0);
  ask("other", 0);
  ask("modest", 1);
  std::vector<std::string> served;
  for (int i = 0; i < 8; ++i) {
    auto grants = table.GrantReady(At(i), AllHealthy);
    ASSERT_EQ(grants.size(), 1u);
    served.push_back(names[grants[0].id]);
    table.Release("a", At(i));
  }
  EXPECT_THAT(served,
              ElementsAre("greedy0", "modest0", "other0", "greedy1", "modest1", "greedy2", "greedy3", "greedy4"));
}

TEST(LeaseTable, AFullQueueRefusesWithAnEstimateOfAtLeastASecond) {
  LeaseTable table = Table({.queue_depth = 2}, {"a", "b"});
  for (int i = 0; i < 2 + 4; ++i) {
    ASSERT_TRUE(table.Enqueue({}, At(0)).ok()) << i;
    table.GrantReady(At(0), AllHealthy);
  }
  const absl::Status refused = table.Enqueue({}, At(0)).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), Reason::REASON_ACCOUNT_BUSY);
  EXPECT_GE(DetailOf(refused).retry_after().seconds(), 1);
  EXPECT_EQ(table.queued(), 4);
}

TEST(LeaseTable, DepthZeroServesWhoNeedNotWait) {
  LeaseTable table = Table({.queue_depth = 0}, {"a"});
  ASSERT_TRUE(table.Enqueue({}, At(0)).ok());
  ASSERT_EQ(table.GrantReady(At(0), AllHealthy).size(), 1u);
  EXPECT_FALSE(table.Enqueue({}, At(0)).ok());
  table.Release("a", At(1));
  EXPECT_TRUE(table.Enqueue({}, At(1)).ok());
}

TEST(LeaseTable, AFullQueueForOneAccountDoesNotRefuseWhoCanHaveAnother) {
  LeaseTable table = Table({.queue_depth = 1}, {"a", "b"});
  ASSERT_TRUE(table.Enqueue({.account = "a"}, At(0)).ok());
  table.GrantReady(At(0), AllHealthy);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(table.Enqueue({.account = "a"}, At(0)).ok());
  EXPECT_FALSE(table.Enqueue({.account = "a"}, At(0)).ok());
  EXPECT_TRUE(table.Enqueue({.account = "b"}, At(0)).ok());
}

TEST(LeaseTable, WhoWaitsTooLongIsTakenOut) {
  LeaseTable table = Table({.queue_limit = absl::Seconds(60)}, {"a"});
  ASSERT_TRUE(table.Enqueue({}, At(0)).ok());
  table.GrantReady(At(0), AllHealthy);
  auto early = table.Enqueue({}, At(10));
  auto late = table.Enqueue({}, At(20));
  EXPECT_EQ(table.NextEvent(At(20)), At(70));
  EXPECT_THAT(table.TakeOverdue(At(69.9)), IsEmpty());
  EXPECT_THAT(table.TakeOverdue(At(70)), ElementsAre(*early));
  EXPECT_EQ(table.PositionOf(*late), 0);
}

TEST(LeaseTable, WhoLeavesTheQueueGetsNothing) {
  LeaseTable table = Table({}, {"a"});
  ASSERT_TRUE(table.Enqueue({}, At(0)).ok());
  table.GrantReady(At(0), AllHealthy);
  auto gone = table.Enqueue({.caller = "x"}, At(1));
  auto stays = table.Enqueue({.caller = "y"}, At(1));
  EXPECT_EQ(table.PositionOf(*stays), 1);
  table.Withdraw(*gone);
  EXPECT_EQ(table.PositionOf(*stays), 0);
  table.Release("a", At(2));
  auto grants = table.GrantReady(At(2), AllHealthy);
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].id, *stays);
}

TEST(LeaseTable, AnEndThatNobodyBeganIsIgnored) {
  LeaseTable table = Table({}, {"a"});
  table.Release("a", At(0));
  table.Release("unknown", At(0));
  EXPECT_EQ(table.in_flight("a"), 0);
}

TEST(LeaseTable, UsesElsewhereCountAndTheirEndStartsTheSpacing) {
  LeaseTable table({.max_in_flight = 1, .spacing = absl::Seconds(2)});
  table.AddAccount("a");
  table.SetElsewhere("a", 1, At(0));
  ASSERT_TRUE(table.Enqueue({}, At(0)).ok());
  EXPECT_TRUE(table.GrantReady(At(1), AllHealthy).empty());
  table.SetElsewhere("a", 0, At(3));
  EXPECT_TRUE(table.GrantReady(At(4), AllHealthy).empty()) << "too soon after the other's turn";
  EXPECT_EQ(table.NextEvent(At(4)), At(5));
  EXPECT_EQ(table.GrantReady(At(5), AllHealthy).size(), 1u);
  table.SetElsewhere("unknown", 1, At(5));
}

TEST(LeaseTable, AGrantThatCameToNothingStandsWhereItStood) {
  LeaseTable table({.max_in_flight = 1});
  table.AddAccount("a");
  const auto first = table.Enqueue({.caller = "one"}, At(0));
  auto grants = table.GrantReady(At(0), AllHealthy);
  ASSERT_EQ(grants.size(), 1u);
  const auto second = table.Enqueue({.caller = "two"}, At(1));
  table.SetElsewhere("a", 1, At(1));
  table.PutBack(std::move(grants[0]));
  EXPECT_EQ(table.in_flight("a"), 0);
  EXPECT_EQ(table.PositionOf(*first), 0);
  EXPECT_EQ(table.PositionOf(*second), 1);
  EXPECT_TRUE(table.GrantReady(At(2), AllHealthy).empty());
  table.SetElsewhere("a", 0, At(2));
  grants = table.GrantReady(At(2), AllHealthy);
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].id, *first) << "it lost its turn";
}

TEST(LeaseTable, AUseThatGoesOnHereCountsWhateverTheLimit) {
  LeaseTable table({.max_in_flight = 1});
  table.AddAccount("a");
  table.SetElsewhere("a", 1, At(0));
  table.Take("a");
  EXPECT_EQ(table.in_flight("a"), 1);
  table.SetElsewhere("a", 0, At(0));
  ASSERT_TRUE(table.Enqueue({}, At(0)).ok());
  EXPECT_TRUE(table.GrantReady(At(0), AllHealthy).empty());
  table.Release("a", At(1));
  EXPECT_EQ(table.GrantReady(At(1), AllHealthy).size(), 1u);
}

}  // namespace
}  // namespace switchyard
