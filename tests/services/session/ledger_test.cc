#include "services/session/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace switchyard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'793'000'000);

TEST(Ledger, WhatIsOpenIsNotPending) {
  Ledger ledger;
  ledger.Open("a", "r1", kNow);
  EXPECT_FALSE(ledger.HasPending("a", kNow));
  EXPECT_THAT(ledger.TakePending("a", 20, kNow), IsEmpty());
  EXPECT_EQ(ledger.Count("a"), 1);
  EXPECT_EQ(ledger.CountPending("a"), 0);
}

TEST(Ledger, WhatALeaseLeftIsPendingAtOnce) {
  Ledger ledger;
  ledger.Open("a", "r1", kNow);
  ledger.Open("a", "r2", kNow);
  ledger.Open("a", "r3", kNow);
  EXPECT_TRUE(ledger.Drop("a", "r2"));
  ledger.Settle("a", {"r1", "r2"}, kNow, true);
  EXPECT_THAT(ledger.TakePending("a", 20, kNow), ElementsAre("r1"));
}

TEST(Ledger, AnEarlierProcessLeftItPending) {
  Ledger ledger;
  ledger.Restore("a", "r1", kNow - absl::Hours(1), 0);
  EXPECT_TRUE(ledger.HasPending("a", kNow));
  EXPECT_FALSE(ledger.HasPending("b", kNow));
}

TEST(Ledger, ItIsHandedOutOnceAndInBatches) {
  Ledger ledger;
  for (int i = 0; i < 25; ++i) ledger.Restore("a", "r" + std::to_string(i), kNow, 0);
  const auto first = ledger.TakePending("a", 20, kNow);
  EXPECT_THAT(first, SizeIs(20));
  EXPECT_THAT(ledger.TakePending("a", 20, kNow), SizeIs(5));
  EXPECT_FALSE(ledger.HasPending("a", kNow));
  EXPECT_EQ(ledger.CountPending("a"), 25);
}

TEST(Ledger, AFailedCleanUpWaitsLongerEachTimeAndIsGivenUpAfterFive) {
  Ledger ledger;
  ledger.Restore("a", "r", kNow, 0);
  absl::Time now = kNow;
  absl::Duration last = absl::ZeroDuration();
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(ledger.TakeHopeless(now), IsEmpty());
    ASSERT_THAT(ledger.TakePending("a", 20, now), SizeIs(1)) << i;
    ledger.Settle("a", {"r"}, now, true);
    EXPECT_FALSE(ledger.HasPending("a", now));
    const absl::Duration wait = ledger.Find("a", "r")->not_before - now;
    EXPECT_GT(wait, last);
    last = wait;
    now += wait;
  }
  EXPECT_GE(now - kNow, absl::Hours(1)) << "a platform that is down for a while is no reason to forget anything";
  EXPECT_THAT(ledger.TakeHopeless(now), ElementsAre(Pair("a", "r")));
  EXPECT_EQ(ledger.Count("a"), 0);
}

TEST(Ledger, AnAccountThatFellIllDoesNotCountAsAFailure) {
  Ledger ledger;
  ledger.Restore("a", "r", kNow, 4);
  ASSERT_THAT(ledger.TakePending("a", 20, kNow), SizeIs(1));
  ledger.Settle("a", {"r"}, kNow, false);
  EXPECT_EQ(ledger.Find("a", "r")->failures, 4);
  EXPECT_TRUE(ledger.HasPending("a", kNow));
}

TEST(Ledger, WhatIsOlderThanAMonthIsGivenUpUnlessInUse) {
  Ledger ledger;
  ledger.Restore("a", "old", kNow - absl::Hours(24 * 30 + 1), 0);
  ledger.Restore("a", "young", kNow - absl::Hours(24 * 30 - 1), 0);
  ledger.Open("a", "open", kNow - absl::Hours(24 * 40));
  EXPECT_THAT(ledger.TakeHopeless(kNow), ElementsAre(Pair("a", "old")));
}

TEST(Ledger, DroppingTwiceIsHarmless) {
  Ledger ledger;
  ledger.Open("a", "r", kNow);
  EXPECT_TRUE(ledger.Drop("a", "r"));
  EXPECT_FALSE(ledger.Drop("a", "r"));
  EXPECT_FALSE(ledger.Drop("b", "r"));
  ledger.Settle("a", {"r"}, kNow, true);
  EXPECT_EQ(ledger.Find("a", "r"), nullptr);
}

TEST(Ledger, WhatAnotherHoldsIsNotPendingUntilItsSlotEnds) {
  Ledger ledger;
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  ledger.Seen("a", "held", now, 0, "slot", true, now);
  ledger.Seen("a", "left", now, 0, "", false, now);
  EXPECT_EQ(ledger.TakePending("a", 10, now), std::vector<std::string>{"left"});
  ledger.SlotEnded("a", "another");
  EXPECT_FALSE(ledger.HasPending("a", now));
  ledger.SlotEnded("a", "slot");
  EXPECT_EQ(ledger.TakePending("a", 10, now), std::vector<std::string>{"held"});
}

TEST(Ledger, WhatGoesOnElsewhereIsNeitherInUseNorPending) {
  Ledger ledger;
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  ledger.Open("a", "moved", now, "slot-1");
  ledger.Open("a", "over", now, "slot-2");
  ledger.SlotEnded("a", "slot-2");
  EXPECT_FALSE(ledger.HasPending("a", now)) << "its lease is still here";
  ledger.Yield("a", {"moved", "over", "unknown"});
  EXPECT_EQ(ledger.TakePending("a", 10, now), std::vector<std::string>{"over"});
  ledger.SlotEnded("a", "slot-1");
  EXPECT_TRUE(ledger.HasPending("a", now));
}

TEST(Ledger, AnothersFailedCleanUpIsNotRepeatedAtOnce) {
  Ledger ledger;
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  ledger.Seen("a", "ref", now, 0, "", false, now);
  ledger.Seen("a", "ref", now, 1, "", false, now);
  EXPECT_FALSE(ledger.HasPending("a", now));
  EXPECT_TRUE(ledger.HasPending("a", now + absl::Minutes(5)));
}

}  // namespace
}  // namespace switchyard
