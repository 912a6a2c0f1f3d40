#include "services/common/provider/structured_answer.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "services/common/text/utf8.h"

namespace switchyard {
namespace {

using chat::v1::ChatEvent;
using chat::v1::FinishReason;
using chat::v1::ResponseFormat;
using Events = StructuredAnswer::Events;

StructuredAnswer AnyObject() {
  ResponseFormat format;
  format.set_kind(ResponseFormat::KIND_JSON_OBJECT);
  return StructuredAnswer(**StructuredOutput::From(format));
}

ChatEvent Text(const std::string& text) {
  ChatEvent event;
  event.mutable_text()->set_text(text);
  return event;
}
ChatEvent Citation(int64_t at) {
  ChatEvent event;
  event.mutable_citation()->set_start(at);
  event.mutable_citation()->set_end(at);
  return event;
}
ChatEvent Finished(FinishReason reason) {
  ChatEvent event;
  event.mutable_finished()->set_reason(reason);
  return event;
}

std::string Show(const Events& events) {
  std::string out;
  for (const ChatEvent& event : events) {
    out += event.text().text();
    if (event.has_reasoning()) absl::StrAppend(&out, "(", event.reasoning().text(), ")");
    if (event.has_citation()) absl::StrAppend(&out, "[", event.citation().start(), "-", event.citation().end(), "]");
    if (event.has_tool_call()) absl::StrAppend(&out, "<", event.tool_call().name(), ">");
    if (event.has_refusal()) absl::StrAppend(&out, "!", event.refusal().text(), "!");
    if (event.has_finished()) absl::StrAppend(&out, "{", static_cast<int>(event.finished().reason()), "}");
  }
  return out;
}

TEST(StructuredAnswer, TheTextComesAtTheEndAndIsTheValueAlone) {
  StructuredAnswer answer = AnyObject();
  Events events = {Text("Here: {\"a\""), Citation(3)};
  events.emplace_back().mutable_reasoning()->set_text("Hm");
  EXPECT_TRUE(answer.Withhold(events));
  EXPECT_EQ(Show(events), "(Hm)");
  Events end = {Text(": \"é\"} Bye"), Finished(FinishReason::FINISH_REASON_STOP)};
  ASSERT_TRUE(answer.Release(false, end).ok());
  EXPECT_EQ(Show(end), "{\"a\": \"é\"}[10-10]{1}");
}

TEST(StructuredAnswer, WhatDoesNotConformIsAFaultUnlessItWasCut) {
  struct Row {
    const char* text;
    bool cut;
    FinishReason end;
    const char* shown;  // null: a fault
  };
  for (const Row& row : {
           Row{"no", false, FinishReason::FINISH_REASON_STOP, nullptr},
           Row{"", false, FinishReason::FINISH_REASON_STOP, nullptr},
           Row{"{\"a\":", false, FinishReason::FINISH_REASON_LENGTH, "{\"a\":{2}"},
           Row{"{\"a\":", true, FinishReason::FINISH_REASON_STOP, "{\"a\":{1}"},
           Row{"```json\n{\"a\":", true, FinishReason::FINISH_REASON_LENGTH, "{\"a\":{2}"},
           Row{"```json\n{\"a\":1}\n``", true, FinishReason::FINISH_REASON_LENGTH, "{\"a\":1}{2}"},
           Row{"{\"a\":", false, FinishReason::FINISH_REASON_CONTENT_FILTER, "{4}"},
       }) {
    StructuredAnswer answer = AnyObject();
    Events end = {Text(row.text), Finished(row.end)};
    const absl::Status fault = answer.Release(row.cut, end);
    EXPECT_EQ(fault.ok(), row.shown != nullptr) << row.text;
    if (fault.ok() && row.shown != nullptr) {
      EXPECT_EQ(Show(end), row.shown);
    }
  }
}

TEST(StructuredAnswer, ToolCallsComeBeforeTheFormat) {
  StructuredAnswer answer = AnyObject();
  Events events = {Text("Let me look.")};
  events.emplace_back().mutable_tool_call()->set_name("f");
  answer.Withhold(events);
  EXPECT_EQ(Show(events), "<f>");
  Events end = {Finished(FinishReason::FINISH_REASON_TOOL_CALLS)};
  ASSERT_TRUE(answer.Release(false, end).ok());
  EXPECT_EQ(Show(end), "Let me look.{3}");
}

TEST(StructuredAnswer, AnotherAnswerTakesThePlaceOfTheFirst) {
  StructuredAnswer answer = AnyObject();
  Events first = {Text("no"), Citation(1), Finished(FinishReason::FINISH_REASON_STOP)};
  EXPECT_FALSE(answer.Release(false, first).ok());
  answer.StartOver();
  Events second = {Text("{}"), Finished(FinishReason::FINISH_REASON_STOP)};
  ASSERT_TRUE(answer.Release(false, second).ok());
  EXPECT_EQ(Show(second), "{}[2-2]{1}");
}

TEST(StructuredAnswer, ALargeOneComesInDeltasAndOneThatDoesNotEndIsEnded) {
  StructuredAnswer answer = AnyObject();
  std::string text = "{\"a\":\"";
  for (int i = 0; i < 40'000; ++i) text += "中";
  text += "\"}";
  Events end = {Text(text), Finished(FinishReason::FINISH_REASON_STOP)};
  ASSERT_TRUE(answer.Release(false, end).ok());
  EXPECT_GT(end.size(), 3u);
  for (const ChatEvent& event : end) EXPECT_TRUE(IsValidUtf8(event.text().text()));
  EXPECT_EQ(Show(end), text + "{1}");

  StructuredAnswer endless = AnyObject();
  bool wanted = true;
  int rounds = 0;
  while (wanted && rounds < 1000) {
    Events more = {Text(std::string(64 * 1024, 'x'))};
    wanted = endless.Withhold(more);
    ++rounds;
  }
  EXPECT_TRUE(endless.too_long());
  EXPECT_LT(rounds, 1000);
}

}  // namespace
}  // namespace switchyard
