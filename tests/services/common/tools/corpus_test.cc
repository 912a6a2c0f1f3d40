// Every row of the corpus, in any chunking, from the platform's text to what the caller gets.
#include <gtest/gtest.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "services/common/provider/answer.h"
#include "services/common/status/reason.h"
#include "services/common/tools/tool_set.h"
#include "tests/support/tool_corpus.h"

namespace switchyard {
namespace {

using chat::v1::ChatEvent;
using chat::v1::FinishReason;

ChatEvent TextEvent(absl::string_view text) {
  ChatEvent event;
  event.mutable_text()->set_text(std::string(text));
  return event;
}

std::string EndOf(FinishReason reason) {
  switch (reason) {
    case FinishReason::FINISH_REASON_TOOL_CALLS:
      return "tool_calls";
    case FinishReason::FINISH_REASON_LENGTH:
      return "length";
    default:
      return "stop";
  }
}

// The row's answer in pieces that end at `cuts`.
ToolOutcome Play(const ToolRow& row, const std::vector<size_t>& cuts) {
  const chat::v1::ChatRequest request = RequestOf(row);
  int ids = 0;
  AnswerFilter filter(
      {.tools = ToolSet::Of(request, row.platform), .new_call_id = [&ids] { return absl::StrCat("call_", ++ids); }});
  std::vector<ChatEvent> events;
  size_t from = 0;
  for (const size_t to : cuts) {
    filter.Feed(TextEvent(absl::string_view(row.answer).substr(from, to - from)), events);
    from = to;
  }
  filter.Feed(TextEvent(absl::string_view(row.answer).substr(from)), events);
  const absl::Status status =
      filter.Finish(row.cut ? FinishReason::FINISH_REASON_LENGTH : FinishReason::FINISH_REASON_STOP, 10, events);
  ToolOutcome outcome;
  if (!status.ok()) outcome.end = absl::StrCat("error ", DetailOf(status).cause());
  for (const ChatEvent& event : events) {
    if (event.has_text()) outcome.text += event.text().text();
    if (event.has_tool_call()) {
      const auto& call = event.tool_call();
      if (!call.id().empty()) {
        EXPECT_EQ(call.id(), absl::StrCat("call_", outcome.calls.size() + 1));
        outcome.calls.emplace_back(call.name(), "");
      }
      EXPECT_EQ(call.index() + 1, static_cast<int>(outcome.calls.size()));
      outcome.calls.back().second += call.arguments();
    }
    if (event.has_finished()) outcome.end = EndOf(event.finished().reason());
  }
  return outcome;
}

// The row as expected, whole and cut at every place. Says where it is not.
bool AsExpected(const ToolRow& row) {
  const ToolOutcome whole = Play(row, {});
  EXPECT_EQ(whole.ToString(), row.expected.ToString()) << row.name;
  if (!(whole == row.expected)) return false;
  std::vector<size_t> bytes;
  for (size_t cut = 1; cut < row.answer.size(); ++cut) {
    bytes.push_back(cut);
    const ToolOutcome split = Play(row, {cut});
    EXPECT_EQ(split.ToString(), whole.ToString()) << row.name << ", cut at " << cut;
    if (!(split == whole)) return false;
  }
  const ToolOutcome split = Play(row, bytes);
  EXPECT_EQ(split.ToString(), whole.ToString()) << row.name << ", byte by byte";
  return split == whole;
}

TEST(ToolCorpus, EveryRowInAnyChunking) {
  const std::vector<ToolRow> behaving = ReadToolRows("behaving");
  const std::vector<ToolRow> misbehaving = ReadToolRows("misbehaving");
  EXPECT_GE(behaving.size(), 10u);
  EXPECT_GE(misbehaving.size(), 20u);
  size_t behaved = 0;
  for (const ToolRow& row : behaving) behaved += AsExpected(row);
  size_t expected = behaved;
  for (const ToolRow& row : misbehaving) expected += AsExpected(row);
  std::cout << "tool corpus: " << expected << " of " << behaving.size() + misbehaving.size()
            << " as expected, behaving models: " << 100 * behaved / behaving.size() << " %" << std::endl;
}

}  // namespace
}  // namespace switchyard
