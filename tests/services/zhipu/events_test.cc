#include "services/zhipu/events.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/common/status/reason.h"
#include "services/zhipu/paragraphs.h"
#include "tests/support/files.h"

namespace switchyard::zhipu {
namespace {

/// All that came out of a stream, in one line that can be compared.
std::string Decode(const std::vector<absl::string_view>& pieces) {
  EventDecoder decoder(/*continued=*/false);
  std::vector<ChatEvent> events;
  absl::Status status;
  for (const absl::string_view piece : pieces) {
    status = decoder.Feed(piece, events);
    if (!status.ok()) break;
  }
  if (status.ok()) status = decoder.End(events);
  if (status.ok()) decoder.Finish(events);
  std::string text, reasoning, refusal, citations;
  for (const ChatEvent& event : events) {
    text += event.text().text();
    reasoning += event.reasoning().text();
    refusal += event.refusal().text();
    if (event.has_citation())
      absl::StrAppend(&citations, event.citation().title(), "@", event.citation().start(), "-", event.citation().end(),
                      ";");
  }
  return absl::StrCat(text, "|", reasoning, "|", refusal, "|", citations, "|",
                      status.ok() ? "ok" : ReasonName(ReasonOf(status)));
}

struct Case {
  const char* file;
  const char* expected;
};

class TranscriptTest : public testing::TestWithParam<Case> {};

TEST_P(TranscriptTest, AnyChunking) {
  const std::string lf = ReadTestFile(absl::StrCat("tests/transcripts/zhipu/", GetParam().file));
  for (const std::string& bytes : {lf, absl::StrReplaceAll(lf, {{"\n", "\r\n"}})}) {
    const absl::string_view all = bytes;
    ASSERT_EQ(Decode({all}), GetParam().expected);
    std::vector<absl::string_view> single;
    for (size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(Decode({all.substr(0, i), all.substr(i)}), GetParam().expected) << "split at " << i;
      single.push_back(all.substr(i, 1));
    }
    EXPECT_EQ(Decode(single), GetParam().expected);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Transcripts, TranscriptTest,
    testing::Values(
        Case{"t1_plain.sse", "你好，我是助手。||||ok"},
        Case{"t2_thinking_delta.sse", "The answer is 51.|User asks 17*3. That is 51.|||ok"},
        Case{"t3_search.sse",
             "It is sunny [1](https://weather.example.invalid/a) and windy [2](https://news.example.invalid/b).|||"
             "Weather A@12-50;News B@61-96;|ok"},
        Case{"t4_content_filter.sse", "Let me||Let us talk about something else.||ok"},
        Case{"t5_error.sse", "Partial ans||||upstream_broken"},
        Case{"t7_drawing.sse",
             "![image](https://files.example.invalid/66cc_0_0.jpg)\n"
             "![image](https://files.example.invalid/66cc_1_0.jpg)||||ok"}));

TEST(EventDecoder, NothingAtAllIsAStaleLogin) { EXPECT_EQ(Decode({}), "||||credential_expired"); }
TEST(EventDecoder, ACutIsNoEnd) {
  EXPECT_EQ(Decode({"data: {\"conversation_id\":\"c\",\"parts\":[],\"status\":\"init\"}\n\n"}), "||||upstream_broken");
  EXPECT_EQ(Decode({"data: {\"parts\":[\n\n"}), "||||upstream_changed");
}
TEST(EventDecoder, AnErrorOfAnUnknownCodeIsNotUnderstood) {
  const auto failed = [](const std::string& error) {
    return Decode({absl::StrCat("data: {\"parts\":[],\"status\":\"error\",\"error\":", error, "}\n\n")});
  };
  EXPECT_EQ(failed(R"({"error_code":10024,"err_msg":"generator exit"})"), "||||upstream_broken");
  EXPECT_EQ(failed(R"({"err_msg":"no code"})"), "||||upstream_broken");
  EXPECT_EQ(failed(R"({"error_code":19999,"err_msg":"something new"})"), "||||upstream_changed");
  EXPECT_EQ(failed(R"({"error_code":429,"err_msg":"slow down"})"), "||||rate_limited");
}
TEST(EventDecoder, AnEnvelopeInPlaceOfAFrame) {
  EXPECT_EQ(Decode({"data: {\"status\":40103,\"message\":\"user needs login\"}\n\n"}), "||||credential_expired");
}

TEST(Paragraphs, EveryRule) {
  Paragraphs snapshot;
  EXPECT_EQ(snapshot.Take("k", "Hel", false), "Hel");
  EXPECT_EQ(snapshot.Take("k", "Hel", false), "");
  EXPECT_EQ(snapshot.Take("k", "Hello", false), "lo");
  EXPECT_EQ(snapshot.mode(), Paragraphs::Mode::kSnapshot);
  EXPECT_EQ(snapshot.Take("k", "Hällo!", false), "!");
  EXPECT_EQ(snapshot.Take("k", "Hällo!?", true), "?");
  EXPECT_EQ(snapshot.mismatches(), 1);
  Paragraphs delta;
  EXPECT_EQ(delta.Take("k", "Hel", false), "Hel");
  EXPECT_EQ(delta.Take("k", "lo", false), "lo");
  EXPECT_EQ(delta.mode(), Paragraphs::Mode::kDelta);
  EXPECT_EQ(delta.Take("k", "lo", false), "lo");
  EXPECT_EQ(delta.Take("k", "Hellolo!", true), "!");
  EXPECT_EQ(delta.Take("other", "x", false), "x");
}

}  // namespace
}  // namespace switchyard::zhipu
