#include "services/qwen/events.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/common/status/reason.h"
#include "services/qwen/responses.h"
#include "tests/support/files.h"

namespace switchyard::qwen {
namespace {

/// All that came out of a stream, in a form that can be compared.
struct Outcome {
  std::vector<std::string> deltas = {};
  std::string reasoning = {};
  Ending ending = Ending::kOpen;
  std::string session = {};
  std::string message = {};
  std::string cause = {};  // of the error

  bool operator==(const Outcome& other) const {
    return deltas == other.deltas && reasoning == other.reasoning && ending == other.ending &&
           session == other.session && message == other.message && cause == other.cause;
  }
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  for (const std::string& delta : outcome.deltas) out << "[" << delta << "] ";
  return out << "reasoning [" << outcome.reasoning << "] ending " << static_cast<int>(outcome.ending) << " session "
             << outcome.session << " message " << outcome.message << " cause " << outcome.cause;
}

Outcome Decode(const std::vector<absl::string_view>& pieces) {
  EventDecoder decoder;
  Outcome outcome;
  std::vector<ChatEvent> events;
  absl::Status status;
  for (const absl::string_view piece : pieces) {
    status = decoder.Feed(piece, events);
    if (!status.ok()) break;
  }
  if (status.ok()) status = decoder.End(events);
  for (const ChatEvent& event : events) {
    if (event.has_text()) outcome.deltas.push_back(event.text().text());
    outcome.reasoning += event.reasoning().text();
  }
  outcome.ending = decoder.ending();
  outcome.session = decoder.session();
  outcome.message = decoder.message();
  if (!status.ok()) outcome.cause = DetailOf(status).cause();
  return outcome;
}

std::string Frame(const std::string& status, const std::string& contents, const std::string& more = "") {
  return absl::StrCat(R"(data: {"msgStatus":")", status, R"(","contentType":"text","contents":[)", contents, "]", more,
                      "}\n\n");
}
std::string Item(const std::string& text, const std::string& type = "text") {
  return absl::StrCat(R"({"contentType":")", type, R"(","content":")", text, R"(","role":"assistant"})");
}
std::string Running(const std::string& text) { return Frame("generating", Item(text)); }
std::string Last(const std::string& text) { return Frame("finished", Item(text)); }

struct Case {
  const char* file;
  Outcome expected;
};

std::vector<Case> Cases() {
  const auto id = [](const std::string& front, const std::string& rest) { return front + rest; };
  const std::string session = "f3c5a7e9b1d2f4860718293a4b5c6d7", message = "1b2c3d4e5f60718293a4b5c6d7e8f90";
  return {
      {"a1_answer.sse",
       {{"秋天的", "银杏", "叶是金色的", "。"}, "", Ending::kStop, id("0", session), id("a", message), ""}},
      {"a2_content_review.sse", {{"关于这个"}, "", Ending::kContentFilter, id("1", session), id("b", message), ""}},
      {"a3_error_in_the_middle.sse",
       {{"第一步"}, "", Ending::kOpen, id("2", session), id("c", message), "unknown_code"}},
      {"a4_expired.sse", {{}, "", Ending::kOpen, "", "", "token"}},
      {"a5_cut.sse", {{"半句"}, "", Ending::kOpen, id("3", session), id("d", message), "truncated"}},
  };
}

TEST(QwenEvents, EveryTranscriptAtEverySplitPoint) {
  for (const Case& one : Cases()) {
    SCOPED_TRACE(one.file);
    const std::string lf = ReadTestFile(absl::StrCat("tests/transcripts/qwen/", one.file));
    for (const std::string& text : {lf, absl::StrReplaceAll(lf, {{"\n", "\r\n"}})}) {
      ASSERT_EQ(Decode({text}), one.expected);
      for (size_t at = 0; at <= text.size(); ++at) {
        const absl::string_view whole(text);
        ASSERT_EQ(Decode({whole.substr(0, at), whole.substr(at)}), one.expected) << "split at " << at;
      }
      std::vector<absl::string_view> bytes;
      for (size_t i = 0; i < text.size(); ++i) bytes.push_back(absl::string_view(text).substr(i, 1));
      EXPECT_EQ(Decode(bytes), one.expected) << "byte by byte";
    }
  }
}

TEST(QwenEvents, ASnapshotThatShrinksOrChangesGoesOnByLength) {
  const std::string text = Running("红色") + Running("") + Running("红") + Running("蓝色的") + Last("蓝色的花");
  EXPECT_EQ(Decode({text}).deltas, (std::vector<std::string>{"红色", "的", "花"}));
  const std::string emptied = Running("One") + Frame("finished", "");
  const Outcome outcome = Decode({emptied});
  EXPECT_EQ(outcome.deltas, std::vector<std::string>{"One"});
  EXPECT_EQ(outcome.ending, Ending::kStop);
}

TEST(QwenEvents, BothWordsEndAndTheLastFrameStillCarriesText) {
  for (const char* word : {"finished", "finish"}) {
    const Outcome outcome = Decode({Running("One") + Frame(word, Item("One two"))});
    EXPECT_EQ(outcome.deltas, (std::vector<std::string>{"One", " two"}));
    EXPECT_EQ(outcome.ending, Ending::kStop);
  }
}

TEST(QwenEvents, ThinkingComesBeforeTheAnswerOnly) {
  const std::string text = Frame("generating", Item("Hm", "think") + "," + Item("Thinking")) +
                           Frame("generating", Item("Hmm.", "think") + "," + Item("Red")) +
                           Frame("finished", Item("Hmm. Late", "think") + "," + Item("Red."));
  const Outcome outcome = Decode({text});
  EXPECT_EQ(outcome.reasoning, "Hmm.");
  EXPECT_EQ(outcome.deltas, (std::vector<std::string>{"Red", "."}));
}

TEST(QwenEvents, OtherItemsAndFramesAreNoText) {
  const std::string text = Frame("generating", Item("x", "plugin") + R"(,{"contentType":"text","content":7})") +
                           R"(data: {"msgStatus":"generating","contentType":"plugin","contents":[)" + Item("y") +
                           "]}\n\n" + Frame("generating", R"({"contentType":"text","content":"u","role":"user"})") +
                           Last("Red");
  EXPECT_EQ(Decode({text}).deltas, std::vector<std::string>{"Red"});
}

TEST(QwenEvents, IncrementalFramesAreAddedUp) {
  const std::string more = R"(,"incremental":true)";
  const std::string text =
      Frame("generating", Item("Red"), more) + Frame("generating", Item(" and"), more) + Last("Red and blue");
  EXPECT_EQ(Decode({text}).deltas, (std::vector<std::string>{"Red", " and", " blue"}));
}

TEST(QwenEvents, TheCallToUpgradeIsAnErrorAndItsBeginningIsNot) {
  const std::string whole(kRetiredSentence);
  const Outcome retired = Decode({Running(whole.substr(0, 30)) + Last(whole)});
  EXPECT_TRUE(retired.deltas.empty());
  EXPECT_EQ(retired.cause, "retired");
  const Outcome other = Decode({Running("你正在") + Running("你正在看海") + Last("你正在看海。")});
  EXPECT_EQ(other.deltas, (std::vector<std::string>{"你正在看海", "。"}));
  const Outcome brief = Decode({Running("你") + Last("你正在")});
  EXPECT_EQ(brief.deltas, std::vector<std::string>{"你正在"});
  EXPECT_EQ(brief.ending, Ending::kStop);
  const Outcome cut = Decode({Running("你正在")});
  EXPECT_EQ(cut.deltas, std::vector<std::string>{"你正在"});
  EXPECT_EQ(cut.cause, "truncated");
}

TEST(QwenEvents, OneFrameThatIsNoneIsPassedOverTwoInARowAreNot) {
  const std::string bad = "data: {\"x\":\n\n";
  EXPECT_EQ(Decode({Running("One") + bad + Running("One two") + bad + Last("One two")}).ending, Ending::kStop);
  const Outcome outcome = Decode({Running("One") + bad + "data: nothing\n\n" + Last("One two")});
  EXPECT_EQ(outcome.deltas, std::vector<std::string>{"One"});
  EXPECT_EQ(outcome.cause, "protocol");
}

TEST(QwenEvents, AStreamThatSaysItIsOverWithoutItsEndIsBroken) {
  const Outcome outcome = Decode({Running("One") + "data: [DONE]\n\n"});
  EXPECT_EQ(outcome.cause, "truncated");
  EXPECT_EQ(outcome.deltas, std::vector<std::string>{"One"});
}

}  // namespace
}  // namespace switchyard::qwen
