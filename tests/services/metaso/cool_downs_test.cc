#include "services/metaso/cool_downs.h"

#include <gtest/gtest.h>

namespace switchyard::metaso {
namespace {

class StillClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::UnixEpoch(); }
  Monotonic MonotonicNow() const override { return now; }
  Monotonic now = Monotonic(std::chrono::hours(1));
};

TEST(CoolDowns, DoubleUpToAnHourUntilASearchSucceeds) {
  StillClock clock;
  CoolDowns rests(clock);
  const Secret one("one"), two("two");
  for (const int64_t seconds : {120, 240, 480, 960, 1920, 3600, 3600}) {
    EXPECT_EQ(rests.Limited(one), absl::Seconds(seconds));
    EXPECT_EQ(rests.Limited(one), absl::Seconds(seconds)) << "limited together";
    clock.now += std::chrono::seconds(seconds);
  }
  EXPECT_EQ(rests.Limited(two), absl::Seconds(120));
  rests.Succeeded(one);
  EXPECT_EQ(rests.Limited(one), absl::Seconds(120));
}

}  // namespace
}  // namespace switchyard::metaso
