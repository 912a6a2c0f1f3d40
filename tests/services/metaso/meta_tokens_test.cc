#include "services/metaso/meta_tokens.h"

#include <gtest/gtest.h>

namespace switchyard::metaso {
namespace {

class StillClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::UnixEpoch(); }
  Monotonic MonotonicNow() const override { return now; }
  Monotonic now = Monotonic(std::chrono::hours(1));
};

TEST(MetaTokens, AreKeptTenMinutesAnAccount) {
  StillClock clock;
  MetaTokens tokens(clock);
  const Secret one("one"), two("two");
  EXPECT_FALSE(tokens.Find(one));
  tokens.Keep(one, Secret("t1"));
  tokens.Keep(two, Secret("t2"));
  clock.now += std::chrono::seconds(599);
  ASSERT_TRUE(tokens.Find(one));
  EXPECT_EQ(tokens.Find(one)->Reveal(), "t1");
  tokens.Drop(one);
  EXPECT_FALSE(tokens.Find(one));
  EXPECT_TRUE(tokens.Find(two));
  clock.now += std::chrono::seconds(1);
  EXPECT_FALSE(tokens.Find(two));
  tokens.Keep(two, Secret("t3"));
  EXPECT_EQ(tokens.Find(two)->Reveal(), "t3");
}

}  // namespace
}  // namespace switchyard::metaso
