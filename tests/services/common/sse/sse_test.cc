#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/common/sse/sse_decoder.h"
#include "services/common/sse/sse_encoder.h"

namespace switchyard {
namespace {

std::string Decode(const std::vector<absl::string_view>& pieces) {
  SseDecoder decoder;
  std::vector<SseEvent> events;
  for (const absl::string_view piece : pieces) EXPECT_TRUE(decoder.Feed(piece, events).ok());
  std::string out;
  for (const SseEvent& event : events) absl::StrAppend(&out, "<", event.name, "|", event.data, ">");
  if (decoder.HasPartial()) out += "...";
  return out;
}

constexpr char kStream[] =
    "\xEF\xBB\xBF: comment\nevent: a\ndata: one\n\ndata:two\ndata:  three\n\nid: 7\nretry: 1\ndata: "
    "x\n\ndata\n\n:\n\nunknown: y\n\ndata: 末\n\n";
constexpr char kEvents[] = "<a|one><|two\n three><|x><|><|末>";

TEST(SseDecoder, EverySplitAndEveryLineEnd) {
  for (const char* end : {"\n", "\r\n", "\r"}) {
    const std::string stream = absl::StrReplaceAll(kStream, {{"\n", end}});
    for (size_t at = 0; at <= stream.size(); ++at) {
      const absl::string_view all = stream;
      ASSERT_EQ(Decode({all.substr(0, at), all.substr(at)}), kEvents) << at;
    }
  }
}

TEST(SseDecoder, AnEventWithoutItsEmptyLineIsNone) {
  EXPECT_EQ(Decode({"data: x\n"}), "...");
  EXPECT_EQ(Decode({"data: x"}), "...");
  EXPECT_EQ(Decode({"data: x\n\n"}), "<|x>");
}

TEST(SseDecoder, OversizedEventsAreRefused) {
  std::vector<SseEvent> events;
  SseDecoder line(100);
  EXPECT_FALSE(line.Feed(absl::StrCat("data: ", std::string(200, 'x')), events).ok());
  SseDecoder lines(100);
  absl::Status status;
  for (int i = 0; i < 50 && status.ok(); ++i) status = lines.Feed("data: xxxxxxxxxx\n", events);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(events.empty());
}

TEST(SseEncoder, WritesWhatTheDecoderReads) {
  std::string out;
  AppendSseComment(out, "waiting");
  AppendSseEvent(out, "{\"a\":1}");
  AppendSseEvent(out, "name", "two\nlines");
  EXPECT_EQ(out, ": waiting\n\ndata: {\"a\":1}\n\nevent: name\ndata: two\ndata: lines\n\n");
  EXPECT_EQ(Decode({out}), "<|{\"a\":1}><name|two\nlines>");
}

}  // namespace
}  // namespace switchyard
