#include "services/common/provider/answer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

using chat::v1::ChatEvent;
using chat::v1::FinishReason;
using chat::v1::ReasoningFormat;
using Events = AnswerFilter::Events;

ChatEvent Text(const std::string& text) {
  ChatEvent event;
  event.mutable_text()->set_text(text);
  return event;
}
ChatEvent Reasoning(const std::string& text) {
  ChatEvent event;
  event.mutable_reasoning()->set_text(text);
  return event;
}

/// All that came out, as one line: text plain, reasoning in (), refusal in !!, citations in [], the end in {}.
std::string Show(const Events& events) {
  std::string out;
  for (const ChatEvent& event : events) {
    out += event.text().text();
    if (event.has_text()) {
      EXPECT_FALSE(event.text().text().empty());
    }
    if (event.has_reasoning()) absl::StrAppend(&out, "(", event.reasoning().text(), ")");
    if (event.has_refusal()) absl::StrAppend(&out, "!", event.refusal().text(), "!");
    if (event.has_citation()) absl::StrAppend(&out, "[", event.citation().start(), "-", event.citation().end(), "]");
    if (event.has_tool_call())
      absl::StrAppend(&out, "<", event.tool_call().index(), event.tool_call().name(), event.tool_call().arguments(),
                      ">");
    if (event.has_finished()) absl::StrAppend(&out, "{", static_cast<int>(event.finished().reason()), "}");
  }
  return out;
}

std::string Filtered(AnswerFilter::Options options, std::vector<ChatEvent> in,
                     FinishReason reason = FinishReason::FINISH_REASON_STOP) {
  AnswerFilter filter(std::move(options));
  Events out;
  for (ChatEvent& event : in) filter.Feed(std::move(event), out);
  EXPECT_TRUE(filter.Finish(reason, 10, out).ok());
  return Show(out);
}

TEST(AnswerFilter, TheEndNamesTheStopSequence) {
  const auto stopped_by = [](AnswerFilter::Options options, const std::string& text) {
    AnswerFilter filter(std::move(options));
    Events out;
    filter.Feed(Text(text), out);
    EXPECT_TRUE(filter.Finish(FinishReason::FINISH_REASON_STOP, 10, out).ok());
    return out.back().finished().stop_sequence();
  };
  EXPECT_EQ(stopped_by({.stop = {"x", "b", "ab"}}, "zab"), "ab") << "of those that end together, the longest";
  EXPECT_EQ(stopped_by({.stop = {"abcd", "c"}}, "abcd"), "c") << "the one that is complete first";
  EXPECT_EQ(stopped_by({.stop = {"x"}}, "abc"), "");
  EXPECT_EQ(stopped_by({.stop = {"x"}, .max_output_tokens = 1}, "a long text that is cut before x"), "");
}

TEST(AnswerFilter, FourReasoningFormats) {
  const std::vector<ChatEvent> in = {Reasoning("a"), Reasoning("b"),    Text("x"),
                                     Text("y"),      Reasoning("late"), Text("z")};
  EXPECT_EQ(Filtered({.format = ReasoningFormat::REASONING_FORMAT_THINK}, in), "<think:ab>xyz{1}");
  EXPECT_EQ(Filtered({.format = ReasoningFormat::REASONING_FORMAT_TAGS}, in), "<think>ab</think>xyz{1}");
  EXPECT_EQ(Filtered({.format = ReasoningFormat::REASONING_FORMAT_SEPARATE}, in), "(a)(b)xy(late)z{1}");
  EXPECT_EQ(Filtered({.format = ReasoningFormat::REASONING_FORMAT_HIDDEN}, in), "xyz{1}");
}

TEST(AnswerFilter, TheMarkIsClosedAlsoWithoutText) {
  EXPECT_EQ(Filtered({.format = ReasoningFormat::REASONING_FORMAT_THINK}, {Reasoning("a")},
                     FinishReason::FINISH_REASON_LENGTH),
            "<think:a>{2}");
  EXPECT_EQ(Filtered({.format = ReasoningFormat::REASONING_FORMAT_THINK}, {Text("x")}), "x{1}");
}

TEST(AnswerFilter, StopSequencesInAnyPieces) {
  const std::string text = "one STOP two";
  for (size_t a = 0; a <= text.size(); ++a) {
    for (size_t b = a; b <= text.size(); ++b) {
      const std::vector<ChatEvent> in = {Text(text.substr(0, a)), Text(text.substr(a, b - a)), Text(text.substr(b))};
      ASSERT_EQ(Filtered({.stop = {"STOP"}}, in), "one {1}") << a << " " << b;
      ASSERT_EQ(Filtered({.stop = {"STOPPED", "ST two"}}, in), text + "{1}") << a << " " << b;
    }
  }
  EXPECT_EQ(Filtered({.stop = {"b", "a"}}, {Text("xab")}), "x{1}");
  EXPECT_EQ(Filtered({.stop = {"x"}}, {Text("x")}), "{1}");
  EXPECT_EQ(Filtered({.stop = {"中"}}, {Text("a"), Text("中b")}), "a{1}");
}

TEST(AnswerFilter, AStopSequenceIsNotLookedForInReasoning) {
  EXPECT_EQ(
      Filtered({.format = ReasoningFormat::REASONING_FORMAT_TAGS, .stop = {"b"}}, {Reasoning("abc"), Text("xbz")}),
      "<think>abc</think>x{1}");
}

TEST(AnswerFilter, TheTokenLimitEndsTheAnswer) {
  AnswerFilter filter({.max_output_tokens = 2});
  Events out;
  filter.Feed(Text("one two three four"), out);
  EXPECT_EQ(filter.over(), FinishReason::FINISH_REASON_LENGTH);
  filter.Feed(Text("more"), out);
  EXPECT_TRUE(filter.Finish(FinishReason::FINISH_REASON_STOP, 1, out).ok());
  EXPECT_EQ(Show(out), "one two {2}");
}

TEST(AnswerFilter, ARefusalIsTheLastWord) {
  ChatEvent refusal;
  refusal.mutable_refusal()->set_text("no");
  EXPECT_EQ(Filtered({}, {Text("Let me"), refusal}, FinishReason::FINISH_REASON_CONTENT_FILTER), "Let me!no!{4}");
  EXPECT_EQ(Filtered({}, {Text("Let me"), refusal}), "Let me!no!{4}");
  AnswerFilter filter({});
  Events out;
  filter.Feed(refusal, out);
  EXPECT_FALSE(filter.has_answer());
  EXPECT_EQ(filter.refusal(), "no");
  EXPECT_TRUE(out.empty());
}

TEST(AnswerFilter, CitationsMoveWithInjectedReasoning) {
  ChatEvent citation;
  citation.mutable_citation()->set_start(1);
  citation.mutable_citation()->set_end(1);
  EXPECT_EQ(Filtered({.format = ReasoningFormat::REASONING_FORMAT_THINK}, {Reasoning("né"), Text("x"), citation}),
            "<think:né>x[11-11]{1}");
  EXPECT_EQ(Filtered({.format = ReasoningFormat::REASONING_FORMAT_SEPARATE}, {Reasoning("né"), Text("x"), citation}),
            "(né)x[1-1]{1}");
}

/// One answer in pieces: what came out, and the usage.
std::pair<std::string, std::string> InPieces(const AnswerFilter::Options& options, const std::string& reasoning,
                                             const std::vector<std::string>& pieces) {
  AnswerFilter filter(options);
  Events out;
  if (!reasoning.empty()) filter.Feed(Reasoning(reasoning), out);
  for (const std::string& piece : pieces) filter.Feed(Text(piece), out);
  EXPECT_TRUE(filter.Finish(FinishReason::FINISH_REASON_STOP, 10, out).ok());
  std::string usage;
  for (const ChatEvent& event : out) {
    if (event.has_usage()) usage = event.usage().ShortDebugString();
  }
  return {Show(out), usage};
}

/// Random texts of few characters of one to four bytes, so that stop sequences overlap each other and themselves.
class RandomTexts {
 public:
  std::vector<std::string> CodePoints(size_t most) {
    static const std::vector<std::string> kAlphabet = {"a", "中", "😀"};
    std::vector<std::string> text(1 + random_() % most);
    for (std::string& c : text) c = kAlphabet[random_() % kAlphabet.size()];
    return text;
  }
  static std::string Join(const std::vector<std::string>& code_points, size_t from, size_t to) {
    std::string text;
    for (size_t i = from; i < to; ++i) text += code_points[i];
    return text;
  }
  std::string Text(size_t most) {
    const auto text = CodePoints(most);
    return Join(text, 0, text.size());
  }
  size_t Below(size_t n) { return random_() % n; }

 private:
  std::mt19937 random_{20260101};
};

/// Looks for stop sequences the slow way: a code point at a time.
std::string Stopped(const std::vector<std::string>& code_points, const std::vector<std::string>& stops) {
  std::string seen;
  for (const std::string& c : code_points) {
    seen += c;
    size_t longest = 0;
    for (const std::string& stop : stops) {
      if (absl::EndsWith(seen, stop)) longest = std::max(longest, stop.size());
    }
    if (longest > 0) return seen.substr(0, seen.size() - longest);
  }
  return seen;
}

TEST(AnswerFilter, StopSequencesDoNotDependOnThePieces) {
  RandomTexts random;
  int stopped = 0;
  for (int round = 0; round < 2000; ++round) {
    const auto text = random.CodePoints(16);
    AnswerFilter::Options options;
    for (size_t n = 1 + random.Below(4); n > 0; --n) options.stop.push_back(random.Text(4));
    const std::string expected = Stopped(text, options.stop);
    stopped += expected.size() < RandomTexts::Join(text, 0, text.size()).size();
    const auto whole = InPieces(options, "", {RandomTexts::Join(text, 0, text.size())});
    ASSERT_EQ(whole.first, expected + "{1}");
    for (size_t at = 0; at <= text.size(); ++at) {
      const auto pieces =
          InPieces(options, "", {RandomTexts::Join(text, 0, at), RandomTexts::Join(text, at, text.size())});
      ASSERT_EQ(pieces, whole) << at << " of " << RandomTexts::Join(text, 0, text.size());
    }
    ASSERT_EQ(InPieces(options, "", text), whole);
  }
  EXPECT_GT(stopped, 500);
}

TEST(AnswerFilter, TokenLimitsDoNotDependOnThePieces) {
  RandomTexts random;
  for (int round = 0; round < 2000; ++round) {
    const auto text = random.CodePoints(24);
    AnswerFilter::Options options{.format = ReasoningFormat::REASONING_FORMAT_SEPARATE};
    options.max_output_tokens = 1 + random.Below(8);
    if (random.Below(2) == 0) options.stop.push_back(random.Text(3));
    const std::string reasoning = random.Below(2) == 0 ? "" : "thought about at some length";
    const auto whole = InPieces(options, reasoning, {RandomTexts::Join(text, 0, text.size())});
    ASSERT_EQ(InPieces(options, reasoning, text), whole);
    const std::string wanted = Stopped(text, options.stop);
    TokenEstimate none;
    const size_t fits = none.BytesWithin(wanted, *options.max_output_tokens);
    const std::string shown = reasoning.empty() ? "" : "(" + reasoning + ")";
    ASSERT_EQ(whole.first, absl::StrCat(shown, wanted.substr(0, fits), fits < wanted.size() ? "{2}" : "{1}"));
  }
}

TEST(AnswerFilter, WhatTheLimitLetsThroughIsWhatUsageCounts) {
  for (const int64_t limit : {1, 3, 10, 40}) {
    AnswerFilter filter({.format = ReasoningFormat::REASONING_FORMAT_THINK, .max_output_tokens = limit});
    Events out;
    filter.Feed(Reasoning("Let me think about the colours."), out);
    for (int i = 0; i < 30; ++i) filter.Feed(Text("红色 and green, "), out);
    EXPECT_TRUE(filter.Finish(FinishReason::FINISH_REASON_STOP, 10, out).ok());
    for (const ChatEvent& event : out) {
      if (!event.has_usage()) continue;
      EXPECT_EQ(event.usage().reasoning_tokens(), EstimateTokens("Let me think about the colours."));
      const int64_t text = event.usage().completion_tokens() - event.usage().reasoning_tokens();
      EXPECT_LE(text, limit);
      EXPECT_GE(text, limit - 1);
    }
    EXPECT_EQ(filter.over(), FinishReason::FINISH_REASON_LENGTH);
  }
}

TEST(AnswerFilter, TheMarksOfReasoningNeverStopAnAnswer) {
  for (const auto format : {ReasoningFormat::REASONING_FORMAT_THINK, ReasoningFormat::REASONING_FORMAT_TAGS}) {
    const std::string open = format == ReasoningFormat::REASONING_FORMAT_TAGS ? "<think>" : "<think:";
    const std::string close = format == ReasoningFormat::REASONING_FORMAT_TAGS ? "</think>" : ">";
    for (const std::string& stop : {open, close, std::string("think"), std::string("<"), std::string(">x")}) {
      const AnswerFilter::Options options{.format = format, .stop = {stop}};
      EXPECT_EQ(InPieces(options, "Hmm.", {"xy", "z"}).first, open + "Hmm." + close + "xyz{1}") << stop;
      EXPECT_EQ(InPieces(options, "Hmm.", {"xy" + stop + "z"}).first, open + "Hmm." + close + "xy{1}") << stop;
    }
  }
}

TEST(AnswerFilter, AnotherAnswerInPlaceOfTheFirst) {
  AnswerFilter filter({.format = ReasoningFormat::REASONING_FORMAT_SEPARATE, .stop = {"."}});
  Events first;
  ChatEvent measured;
  measured.mutable_usage()->set_total_tokens(1000);
  filter.Feed(Reasoning("one two"), first);
  filter.Feed(Text("wrong."), first);
  filter.Feed(measured, first);
  filter.StartOver();
  EXPECT_FALSE(filter.over());
  EXPECT_FALSE(filter.has_answer());
  Events out;
  filter.Feed(measured, out);
  filter.Feed(Text("right. And more"), out);
  EXPECT_TRUE(filter.Finish(FinishReason::FINISH_REASON_STOP, 10, out).ok());
  EXPECT_EQ(Show(out), "right{1}");
  for (const ChatEvent& event : out) {
    if (!event.has_usage()) continue;
    EXPECT_EQ(event.usage().source(), chat::v1::Usage::SOURCE_ESTIMATED);
    EXPECT_EQ(event.usage().reasoning_tokens(), 2);
    EXPECT_EQ(event.usage().completion_tokens(), 3);
  }
}

chat::v1::Usage UsageOf(std::vector<ChatEvent> in, std::vector<std::string> stop = {}) {
  AnswerFilter filter({.format = ReasoningFormat::REASONING_FORMAT_SEPARATE, .stop = std::move(stop)});
  Events out;
  for (ChatEvent& event : in) filter.Feed(std::move(event), out);
  EXPECT_TRUE(filter.Finish(FinishReason::FINISH_REASON_STOP, 10, out).ok());
  for (const ChatEvent& event : out) {
    if (event.has_usage()) return event.usage();
  }
  return {};
}

TEST(AnswerFilter, UsageIsMeasuredWhereItCanBe) {
  ChatEvent measured;
  measured.mutable_usage()->set_total_tokens(37);
  const auto usage = UsageOf({Text("some words"), measured});
  EXPECT_EQ(usage.source(), chat::v1::Usage::SOURCE_MEASURED);
  EXPECT_EQ(usage.total_tokens(), 37);
  EXPECT_EQ(usage.prompt_tokens(), 10);
  EXPECT_EQ(usage.completion_tokens(), 27);
  const auto estimated = UsageOf({Reasoning("think"), Text("some words")});
  EXPECT_EQ(estimated.source(), chat::v1::Usage::SOURCE_ESTIMATED);
  EXPECT_EQ(estimated.total_tokens(), estimated.prompt_tokens() + estimated.completion_tokens());
  EXPECT_GT(estimated.reasoning_tokens(), 0);
  // The platform's count is of an answer that was not shown to its end.
  EXPECT_EQ(UsageOf({Text("some words"), measured}, {"words"}).source(), chat::v1::Usage::SOURCE_ESTIMATED);
}

std::shared_ptr<ToolSet> SearchTool(bool required = false) {
  chat::v1::ChatRequest request;
  auto& tool = *request.add_tools();
  tool.set_name("s");
  tool.set_parameters(R"({"type":"object","properties":{"q":{"type":"string"}}})");
  if (required) request.mutable_tool_choice()->set_mode(chat::v1::ToolChoice::MODE_REQUIRED);
  return ToolSet::Of(request, "qwen");
}
constexpr char kCall[] = R"(<tool_call>{"name":"s","arguments":{"q":"a b c"}}</tool_call>)";

AnswerFilter::Options WithTools(AnswerFilter::Options options, bool required = false) {
  options.tools = SearchTool(required);
  options.new_call_id = [] { return std::string("call_1"); };
  return options;
}

TEST(AnswerFilterTools, ACallIsPassedOnAndEndsTheAnswer) {
  EXPECT_EQ(Filtered(WithTools({}), {Reasoning("hm"), Text("Look. "), Text(kCall)}),
            R"(<think:hm>Look. <0s{"q":"a b c"}>{3})");
  EXPECT_EQ(Filtered(WithTools({}), {Text("Look.")}), "Look.{1}");
}

TEST(AnswerFilterTools, StopSequencesDoNotLookIntoCalls) {
  EXPECT_EQ(Filtered(WithTools({.stop = {"b"}}), {Text("x a"), Text(kCall)}), R"(x a<0s{"q":"a b c"}>{3})");
  // What was held back as the start of one is text before the call.
  EXPECT_EQ(Filtered(WithTools({.stop = {"x<"}}), {Text("x"), Text(kCall)}), R"(x<0s{"q":"a b c"}>{3})");
  EXPECT_EQ(Filtered(WithTools({.stop = {"b"}}), {Text("a b "), Text(kCall)}), "a {1}");
}

TEST(AnswerFilterTools, CallsCountAsTokens) {
  AnswerFilter filter(WithTools({}));
  Events out;
  filter.Feed(Text(kCall), out);
  ASSERT_TRUE(filter.Finish(FinishReason::FINISH_REASON_STOP, 10, out).ok());
  EXPECT_EQ(out[out.size() - 2].usage().completion_tokens(), EstimateTokens(R"(s{"q":"a b c"})"));
  // One that is cut off is told as an answer that was.
  const std::string cut = Filtered(WithTools({.max_output_tokens = 3}), {Text(kCall)});
  EXPECT_EQ(cut.substr(0, 4), "<0s{") << cut;
  EXPECT_EQ(cut.substr(cut.size() - 4), ">{2}") << cut;
}

TEST(AnswerFilterTools, ACallInReasoningIsNone) {
  EXPECT_EQ(Filtered(WithTools({.format = ReasoningFormat::REASONING_FORMAT_SEPARATE}), {Reasoning(kCall), Text("x")}),
            absl::StrCat("(", kCall, ")x{1}"));
}

TEST(AnswerFilterTools, WithoutTheCallThatIsDueThereIsNoAnswer) {
  AnswerFilter filter(WithTools({}, true));
  Events out;
  filter.Feed(Text("No."), out);
  const absl::Status status = filter.Finish(FinishReason::FINISH_REASON_STOP, 10, out);
  EXPECT_EQ(ReasonOf(status), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(DetailOf(status).cause(), "tool_call_missing");
  EXPECT_EQ(Show(out), "No.");
  // One that was cut short, or withdrawn, is told as that.
  EXPECT_EQ(Filtered(WithTools({}, true), {Text("No.")}, FinishReason::FINISH_REASON_LENGTH), "No.{2}");
  EXPECT_EQ(Filtered(WithTools({.stop = {"o"}}, true), {Text("No.")}), "N{1}");
}

TEST(AnswerFilterTools, AFaultNamesTheToolAndNotTheValue) {
  AnswerFilter filter(WithTools({}));
  Events out;
  filter.Feed(Text(R"(<tool_call>{"name":"s","arguments":{"q":"secret" oops)"), out);
  EXPECT_EQ(ReasonOf(filter.fault()), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(DetailOf(filter.fault()).cause(), "tool_call_invalid");
  EXPECT_NE(filter.fault().message().find("'s'"), absl::string_view::npos);
  EXPECT_EQ(filter.fault().message().find("secret"), absl::string_view::npos);
  filter.Feed(Text("more"), out);
  EXPECT_FALSE(filter.Finish(FinishReason::FINISH_REASON_STOP, 10, out).ok());
  EXPECT_EQ(Show(out), R"(<0s{"q":"secret">)");
}

}  // namespace
}  // namespace switchyard
