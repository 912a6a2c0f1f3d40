// One request as the tree of spans that the programs report to a collector.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/serialize.hpp"
#include "tests/support/collector.h"
#include "tests/support/programs.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kParent[] = "00f067aa0ba902b7";

std::string Traceparent(const std::string& flags) { return absl::StrCat("00-", kTrace, "-", kParent, "-", flags); }

std::vector<CollectedSpan> Of(const Collector& collector, const std::string& trace) {
  std::vector<CollectedSpan> spans;
  for (const CollectedSpan& span : collector.spans()) {
    if (span.trace_id == trace) spans.push_back(span);
  }
  return spans;
}

bool Has(const std::vector<CollectedSpan>& spans, const std::string& service, const std::string& name) {
  for (const CollectedSpan& span : spans) {
    if (span.service == service && span.name == name) return true;
  }
  return false;
}

/// What every whole tree of a DeepSeek turn holds, and that it is one tree.
void ExpectTree(const std::vector<CollectedSpan>& spans) {
  std::map<std::string, const CollectedSpan*> by_id;
  for (const CollectedSpan& span : spans) EXPECT_TRUE(by_id.emplace(span.span_id, &span).second) << span.name;
  for (const CollectedSpan& span : spans) {
    if (span.parent_id == kParent) {
      EXPECT_EQ(span.name, "POST /v1/chat/completions");
      continue;
    }
    ASSERT_EQ(by_id.count(span.parent_id), 1u) << span.service << " " << span.name << " hangs in the air";
    const CollectedSpan& parent = *by_id.at(span.parent_id);
    EXPECT_GE(span.start_ns, parent.start_ns) << span.name << " in " << parent.name;
    EXPECT_FALSE(span.failed) << span.service << " " << span.name;
  }
}

TEST(Trace, OneChatThroughSeparatePrograms) {
  Collector collector;
  SimulatedPlatforms platforms;
  Programs programs(platforms, {{"SWITCHYARD_TRACING__OTLP_URL", collector.url()}});
  const HttpReply reply =
      Fetch(programs.port(), "POST", "/v1/chat/completions", ChatBody("[[sim: text=Red]] canary-prompt"),
            {{"traceparent", Traceparent("01")}, {"tracestate", "vendor=1"}});
  EXPECT_EQ(reply.status, 200) << reply.body;
  const auto whole = [&] {
    const auto spans = Of(collector, kTrace);
    return Has(spans, "switchyard-edge", "POST /v1/chat/completions") &&
           Has(spans, "switchyard-deepseek", "chat deepseek-chat") && Has(spans, "switchyard-deepseek", "lease") &&
           Has(spans, "switchyard-deepseek", "POST") && Has(spans, "switchyard-session", "Lease") &&
           Has(spans, "switchyard-signing", "sign deepseek_pow");
  };
  EXPECT_TRUE(Eventually(whole)) << collector.bodies();
  const auto spans = Of(collector, kTrace);
  ExpectTree(spans);
  std::map<std::string, const CollectedSpan*> named;
  for (const CollectedSpan& span : spans) named[absl::StrCat(span.service, " ", span.name)] = &span;
  const CollectedSpan& request = *named.at("switchyard-edge POST /v1/chat/completions");
  EXPECT_EQ(request.tracestate, "vendor=1");
  EXPECT_EQ(request.attributes.at("http.response.status_code"), "200");
  EXPECT_EQ(request.attributes.at("gen_ai.request.model"), "deepseek-chat");
  const CollectedSpan& turn = *named.at("switchyard-deepseek chat deepseek-chat");
  EXPECT_EQ(turn.parent_id, request.span_id);
  EXPECT_EQ(turn.attributes.at("rpc.grpc.status_code"), "0");
  EXPECT_EQ(named.at("switchyard-deepseek lease")->parent_id, turn.span_id);
  EXPECT_EQ(named.at("switchyard-session Lease")->parent_id, named.at("switchyard-deepseek lease")->span_id);
  EXPECT_EQ(named.at("switchyard-signing sign deepseek_pow")->parent_id, turn.span_id);
  EXPECT_EQ(named.at("switchyard-deepseek POST")->parent_id, turn.span_id);
  // The log names the trace.
  EXPECT_TRUE(programs.edge().WaitForOutput(absl::StrCat("\"trace_id\":\"", kTrace, "\"")));
  // Neither the prompt, nor the account's token, nor a query is in any span; and the platform hears nothing of it.
  EXPECT_THAT(collector.bodies(), Not(HasSubstr("canary")));
  EXPECT_EQ(platforms.Violations(), "");
  EXPECT_THAT(boost::json::serialize(platforms.State()), Not(HasSubstr(kTrace)));
}

// gRPC ends the process over metadata that is not printable ASCII, or too long, so no words of a caller's get there.
TEST(Trace, WhatACallerSaysOfTracesEndsNoProgram) {
  SimulatedPlatforms platforms;
  Programs programs(platforms);
  const std::string later = absl::StrCat("01-", kTrace, "-", kParent, "-00-");
  const std::string long_words(20000, 'a');
  for (const std::string& more : {std::string("\xff"), std::string("a\tb"), std::string("a b"), long_words}) {
    for (const char* name : {"traceparent", "tracestate", "x-request-id"}) {
      std::map<std::string, std::string> headers = {{"traceparent", later + "what-comes"}};
      headers[name] = absl::string_view(name) == "traceparent" ? later + more : "a=" + more;
      EXPECT_EQ(Fetch(programs.port(), "GET", "/readyz", "", headers).status, 200) << name;
      EXPECT_EQ(Fetch(programs.port(), "GET", "/v1/models", "", headers).status, 200) << name;
      const HttpReply chat =
          Fetch(programs.port(), "POST", "/v1/chat/completions", ChatBody("[[sim: text=Red]]"), headers);
      EXPECT_EQ(chat.status, 200) << name << " " << chat.body;
    }
  }
}

TEST(Trace, TheCallersWordAndTheRatioDecide) {
  Collector collector;
  SimulatedPlatforms platforms;
  Relay relay(platforms,
              {{"SWITCHYARD_TRACING__OTLP_URL", collector.url()}, {"SWITCHYARD_TRACING__SAMPLE_RATIO", "0"}});
  EXPECT_EQ(Fetch(relay.port(), "POST", "/v1/chat/completions", ChatBody("[[sim: text=Red]]"),
                  {{"traceparent", Traceparent("00")}})
                .status,
            200);
  EXPECT_EQ(Chat(relay.port(), "[[sim: text=Red]]").status, 200);
  EXPECT_EQ(Fetch(relay.port(), "POST", "/v1/chat/completions", ChatBody("[[sim: text=Red]]"),
                  {{"traceparent", Traceparent("01")}})
                .status,
            200);
  EXPECT_TRUE(Eventually([&] { return Has(Of(collector, kTrace), "switchyard", "POST /v1/chat/completions"); }));
  relay.process().Signal(SIGTERM);
  EXPECT_EQ(relay.process().WaitExit(absl::Seconds(20)), 0);
  const auto spans = collector.spans();
  EXPECT_EQ(Of(collector, kTrace).size(), spans.size()) << "only the sampled request is there";
  int requests = 0;
  for (const CollectedSpan& span : spans) requests += span.name == "POST /v1/chat/completions";
  EXPECT_EQ(requests, 1);
  ExpectTree(spans);
}

TEST(Trace, ACollectorThatIsAwayCostsNobodyAnything) {
  SimulatedPlatforms platforms;
  Relay relay(platforms, {{"SWITCHYARD_TRACING__OTLP_URL", "http://127.0.0.1:1/v1/traces"}});
  EXPECT_EQ(Chat(relay.port(), "[[sim: text=Red]]").text(), "Red");
  EXPECT_TRUE(relay.process().WaitForOutput("\"event\":\"spans_not_exported\""));
  EXPECT_EQ(Chat(relay.port(), "[[sim: text=Red]]").text(), "Red");
  relay.process().Signal(SIGTERM);
  EXPECT_EQ(relay.process().WaitExit(absl::Seconds(20)), 0);
}

}  // namespace
}  // namespace switchyard
