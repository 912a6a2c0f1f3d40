#include "services/common/trace/otlp_exporter.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/async/runtime.h"
#include "tests/support/collector.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

SpanData Make(const std::string& name) {
  SpanData span;
  span.context = {"4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", true};
  span.name = name;
  span.kind = SpanKind::kServer;
  span.start = absl::FromUnixNanos(1'793'000'000'123'456'789);
  span.end = span.start + absl::Milliseconds(1);
  return span;
}

class OtlpExporterTest : public ::testing::Test {
 protected:
  void Start(OtlpExporter::Options options) {
    auto http = MakeHttpClient({});
    ASSERT_TRUE(http.ok());
    http_ = *std::move(http);
    if (options.url.empty()) options.url = collector_.url();
    options.resource = {"switchyard-test", "1.2.3", "instance"};
    exporter_ =
        std::make_unique<OtlpExporter>(std::move(options), runtime_.Next(), *http_, metrics_, SystemRandom::Get());
  }
  void Finish(absl::Duration limit = absl::Seconds(5)) { exporter_->Finish(limit); }
  ~OtlpExporterTest() override {
    runtime_.Stop();
    http_->CloseIdle();
    exporter_.reset();
  }
  double Exported() { return metrics_.SpansExported().Value(); }
  double Failed() { return metrics_.SpansDropped(Metrics::SpanLoss::kExportFailed).Value(); }
  double Full() { return metrics_.SpansDropped(Metrics::SpanLoss::kQueueFull).Value(); }

  Collector collector_;
  Metrics metrics_;
  Runtime runtime_{Runtime::Options{1}};
  std::unique_ptr<HttpClient> http_;
  std::unique_ptr<OtlpExporter> exporter_;
};

TEST_F(OtlpExporterTest, ASpanArrivesWhole) {
  Start({.url = "", .resource = {}, .pause = absl::Milliseconds(10)});
  SpanData span = Make("chat \"x\"\n\xff");
  span.parent_id = "aaaaaaaaaaaaaaaa";
  span.tracestate = "vendor=1";
  span.attributes = {{"text", std::string("a\"b")}, {"whole", int64_t{1} << 60}, {"real", 0.5}, {"truth", true}};
  span.error = "account_busy";
  exporter_->Take(std::move(span));
  EXPECT_TRUE(Eventually([&] { return collector_.spans().size() == 1; }));
  const CollectedSpan got = collector_.spans().front();
  EXPECT_EQ(got.service, "switchyard-test");
  EXPECT_EQ(got.name, "chat \"x\"\n\xEF\xBF\xBD");
  EXPECT_EQ(got.parent_id, "aaaaaaaaaaaaaaaa");
  EXPECT_EQ(got.tracestate, "vendor=1");
  EXPECT_EQ(got.kind, 2);
  EXPECT_EQ(got.start_ns, 1'793'000'000'123'456'789);
  EXPECT_EQ(got.end_ns - got.start_ns, 1'000'000);
  EXPECT_TRUE(got.failed);
  EXPECT_EQ(got.attributes.at("text"), "a\"b");
  EXPECT_EQ(got.attributes.at("whole"), "1152921504606846976");
  EXPECT_EQ(got.attributes.at("real"), "0.5");
  EXPECT_EQ(got.attributes.at("truth"), "true");
  EXPECT_EQ(got.attributes.at("error.type"), "account_busy");
  EXPECT_TRUE(Eventually([&] { return Exported() == 1; }));
  Finish();
}

TEST_F(OtlpExporterTest, WhatIsQueuedAtTheEndIsSentInBatches) {
  Start({.url = "", .resource = {}, .batch_spans = 10, .pause = absl::Hours(1)});
  for (int i = 0; i < 25; ++i) exporter_->Take(Make(absl::StrCat("span ", i)));
  Finish();
  EXPECT_EQ(collector_.spans().size(), 25u);
  EXPECT_GE(collector_.requests(), 3);
  EXPECT_EQ(Exported(), 25);
}

TEST_F(OtlpExporterTest, AFullBatchDoesNotWaitForThePause) {
  Start({.url = "", .resource = {}, .batch_spans = 3, .pause = absl::Hours(1)});
  for (int i = 0; i < 3; ++i) exporter_->Take(Make("x"));
  EXPECT_TRUE(Eventually([&] { return collector_.spans().size() == 3; }));
  Finish();
}

TEST_F(OtlpExporterTest, WhatCanBeTakenLaterIsSentAgain) {
  collector_.AnswerWith({503});
  Start({.url = "", .resource = {}, .pause = absl::Milliseconds(10)});
  exporter_->Take(Make("x"));
  EXPECT_TRUE(Eventually([&] { return collector_.spans().size() == 1; }));
  EXPECT_EQ(collector_.requests(), 2);
  EXPECT_EQ(Failed(), 0);
  Finish();
}

TEST_F(OtlpExporterTest, WhatTheCollectorRefusesIsDroppedAndCounted) {
  collector_.AnswerWith({400});
  Start({.url = "", .resource = {}, .pause = absl::Milliseconds(10)});
  exporter_->Take(Make("x"));
  EXPECT_TRUE(Eventually([&] { return Failed() == 1; }));
  EXPECT_EQ(collector_.requests(), 1);
  Finish();
}

TEST_F(OtlpExporterTest, AFullQueueDropsAndCounts) {
  Start({.url = "", .resource = {}, .queue_spans = 5, .batch_spans = 100, .pause = absl::Hours(1)});
  for (int i = 0; i < 8; ++i) exporter_->Take(Make("x"));
  EXPECT_EQ(Full(), 3);
  Finish();
  EXPECT_EQ(collector_.spans().size(), 5u);
}

TEST_F(OtlpExporterTest, NobodyWaitsLongForACollectorThatIsNotThere) {
  Start({.url = "http://127.0.0.1:1/v1/traces", .resource = {}, .pause = absl::Hours(1)});
  exporter_->Take(Make("x"));
  Finish(absl::Seconds(5));
  EXPECT_EQ(Failed(), 1);
  EXPECT_EQ(Exported(), 0);
}

}  // namespace
}  // namespace switchyard
