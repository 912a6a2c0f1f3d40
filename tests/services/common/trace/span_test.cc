#include "services/common/trace/span.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/common/trace/trace_context.h"
#include "tests/support/fake_clock.h"

namespace switchyard {
namespace {

constexpr char kParent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr char kUnsampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

TEST(TraceContext, WhatTheRecommendationGives) {
  const auto context = ParseTraceparent(kParent);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(context->span_id, "00f067aa0ba902b7");
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(FormatTraceparent(*context), kParent);
  EXPECT_FALSE(ParseTraceparent(kUnsampled)->sampled);
  // Further flags are none of ours; a later version may say more.
  EXPECT_TRUE(ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03")->sampled);
  EXPECT_TRUE(ParseTraceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes")->sampled);
}

TEST(TraceContext, WhatIsMalformedIsNone) {
  for (const char* wrong : {
           "",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what",
           "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
           "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
           "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-\xff",
           "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-\t",
           "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-a b",
       })
    EXPECT_FALSE(ParseTraceparent(wrong)) << wrong;
  EXPECT_TRUE(IsTracestate("vendor=a,other=b c"));
  EXPECT_FALSE(IsTracestate("a=\xff"));
  EXPECT_FALSE(IsTracestate("a=\tb"));
  EXPECT_FALSE(IsTracestate(""));
  EXPECT_FALSE(IsTracestate("a=b\r\nx: y"));
  EXPECT_FALSE(IsTracestate(std::string(513, 'a')));
}

/// Counts up, so that no two ids are the same.
class Counting final : public Random {
 public:
  uint64_t Next() override { return next_ += 0x0123456789abcdef; }

 private:
  uint64_t next_ = 0;
};

class SpanTest : public ::testing::Test {
 protected:
  void Trace(double ratio = 1) {
    Tracer::Options options{.sample_ratio = ratio,
                            .take = [this](SpanData span) { spans_.push_back(std::move(span)); },
                            .clock = clock_,
                            .random = random_};
    Tracer::Set(std::make_shared<Tracer>(std::move(options)));
  }
  ~SpanTest() override { Tracer::Set(nullptr); }

  FakeClock clock_;
  Counting random_;
  std::vector<SpanData> spans_;
};

TEST_F(SpanTest, WithoutATracerTheContextIsPassedOn) {
  Span span = Span::Start("x", SpanKind::kServer, kParent);
  EXPECT_FALSE(span.recording());
  EXPECT_EQ(span.traceparent(), kParent);
  span.Set("a", "b");
  span.Fail("c");
  EXPECT_EQ(Span::Start("x", SpanKind::kServer, "").traceparent(), "");
}

TEST_F(SpanTest, ATreeOfSpans) {
  Trace();
  {
    Span request = Span::Start("request", SpanKind::kServer, kParent, "vendor=1");
    EXPECT_TRUE(request.recording());
    clock_.Advance(absl::Seconds(1));
    Span call = Span::Start("call", SpanKind::kClient, request.traceparent());
    call.Set("http.response.status_code", 503);
    call.Fail("503");
    Span moved = std::move(call);
    clock_.Advance(absl::Seconds(1));
  }
  ASSERT_EQ(spans_.size(), 2u);
  const SpanData &call = spans_[0], &request = spans_[1];
  EXPECT_EQ(request.context.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(request.parent_id, "00f067aa0ba902b7");
  EXPECT_EQ(request.tracestate, "vendor=1");
  EXPECT_EQ(call.context.trace_id, request.context.trace_id);
  EXPECT_EQ(call.parent_id, request.context.span_id);
  EXPECT_NE(call.context.span_id, request.context.span_id);
  EXPECT_EQ(call.error, "503");
  EXPECT_EQ(call.end - call.start, absl::Seconds(1));
  EXPECT_EQ(request.end - request.start, absl::Seconds(2));
}

TEST_F(SpanTest, TheCallersWordOnSamplingIsKept) {
  Trace(/*ratio=*/1);
  const Span unsampled = Span::Start("x", SpanKind::kServer, kUnsampled);
  EXPECT_FALSE(unsampled.recording());
  EXPECT_EQ(unsampled.traceparent(), kUnsampled);
  Trace(/*ratio=*/0);
  EXPECT_TRUE(Span::Start("x", SpanKind::kServer, kParent).recording());
}

TEST_F(SpanTest, WithoutACallersWordTheRatioDecidesForAllOfATrace) {
  Trace(/*ratio=*/0);
  const Span none = Span::Start("x", SpanKind::kServer, "");
  EXPECT_FALSE(none.recording());
  ASSERT_TRUE(ParseTraceparent(none.traceparent()));
  EXPECT_FALSE(ParseTraceparent(none.traceparent())->sampled);
  EXPECT_FALSE(Span::Start("y", SpanKind::kServer, none.traceparent()).recording());
  Trace(/*ratio=*/0.5);
  int sampled = 0;
  for (int i = 0; i < 1000; ++i) sampled += Span::Start("x", SpanKind::kServer, "").recording();
  EXPECT_GT(sampled, 400);
  EXPECT_LT(sampled, 600);
}

TEST_F(SpanTest, AnOpenSpanOutlivesTheTracersEnd) {
  Trace();
  Span span = Span::Start("x", SpanKind::kServer, "");
  Tracer::Set(nullptr);
  EXPECT_FALSE(Span::Start("y", SpanKind::kServer, span.traceparent()).recording());
  span.End();
  span.End();
  EXPECT_EQ(spans_.size(), 1u);
}

}  // namespace
}  // namespace switchyard
