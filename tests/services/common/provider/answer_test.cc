#include "services/common/provider/answer.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

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
    if (event.has_finished()) absl::StrAppend(&out, "{", static_cast<int>(event.finished().reason()), "}");
  }
  return out;
}

std::string Filtered(AnswerFilter::Options options, std::vector<ChatEvent> in,
                     FinishReason reason = FinishReason::FINISH_REASON_STOP) {
  AnswerFilter filter(std::move(options));
  Events out;
  for (ChatEvent& event : in) filter.Feed(std::move(event), out);
  filter.Finish(reason, 10, out);
  return Show(out);
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
  filter.Finish(FinishReason::FINISH_REASON_STOP, 1, out);
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

chat::v1::Usage UsageOf(std::vector<ChatEvent> in, std::vector<std::string> stop = {}) {
  AnswerFilter filter({.format = ReasoningFormat::REASONING_FORMAT_SEPARATE, .stop = std::move(stop)});
  Events out;
  for (ChatEvent& event : in) filter.Feed(std::move(event), out);
  filter.Finish(FinishReason::FINISH_REASON_STOP, 10, out);
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

}  // namespace
}  // namespace switchyard
