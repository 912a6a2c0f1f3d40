#include "edge/rate_limit.h"

#include <gtest/gtest.h>

namespace switchyard {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RequestWindow, NoMinuteHoldsMoreThanTheLimit) {
  RequestWindow window;
  Clock::Monotonic now{seconds(1000)};
  EXPECT_TRUE(window.Take(2, now));
  now += seconds(20);
  EXPECT_TRUE(window.Take(2, now));
  EXPECT_FALSE(window.Take(2, now));
  EXPECT_EQ(window.Look(2, now).remaining, 0);
  EXPECT_EQ(window.Look(2, now).retry_after, absl::Seconds(40));
  EXPECT_EQ(window.Look(2, now).reset, absl::Seconds(60));
  now += seconds(40) - milliseconds(1);
  EXPECT_FALSE(window.Take(2, now)) << "a minute after the first, less a millisecond";
  now += milliseconds(1);
  EXPECT_TRUE(window.Take(2, now)) << "what was refused does not count";
  EXPECT_FALSE(window.Take(2, now));
  EXPECT_EQ(window.Look(2, now).retry_after, absl::Seconds(20));
  now += seconds(60);
  EXPECT_EQ(window.Look(2, now).remaining, 2);
  EXPECT_EQ(window.Look(2, now).reset, absl::ZeroDuration());
}

TEST(RequestWindow, ALimitMayBeLowered) {
  RequestWindow window;
  Clock::Monotonic now{seconds(1000)};
  for (int i = 0; i < 5; ++i, now += seconds(1)) EXPECT_TRUE(window.Take(5, now));
  EXPECT_FALSE(window.Take(2, now));
  EXPECT_EQ(window.Look(2, now).remaining, 0);
  EXPECT_EQ(window.Look(2, now).retry_after, absl::Seconds(58)) << "when all but one of the five are a minute old";
}

TEST(ResetText, IsOpenAis) {
  struct Row {
    absl::Duration span;
    const char* text;
  };
  for (const Row& row :
       {Row{absl::ZeroDuration(), "0s"}, Row{absl::Milliseconds(20), "20ms"}, Row{absl::Microseconds(1), "1ms"},
        Row{absl::Seconds(1), "1s"}, Row{absl::Milliseconds(8640), "8.64s"}, Row{absl::Milliseconds(59999), "59.999s"},
        Row{absl::Minutes(6), "6m0s"}, Row{absl::Milliseconds(62500), "1m2.5s"}, Row{absl::Minutes(61), "1h1m0s"},
        Row{absl::Milliseconds(1001), "1.001s"}}) {
    EXPECT_EQ(ResetText(row.span), row.text);
  }
}

}  // namespace
}  // namespace switchyard
