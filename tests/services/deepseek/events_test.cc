#include "services/deepseek/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/common/status/reason.h"
#include "tests/support/files.h"

namespace switchyard::deepseek {
namespace {

/// All that came out of a stream, in a form that can be compared.
struct Outcome {
  std::string text = {};
  std::string reasoning = {};
  std::string refusal = {};
  std::vector<std::string> citations = {};  // "url@start-end"
  int64_t usage = 0;
  Ending ending = Ending::kOpen;
  int64_t message_id = 0;
  absl::Status status = {};

  bool operator==(const Outcome& other) const {
    return text == other.text && reasoning == other.reasoning && refusal == other.refusal &&
           citations == other.citations && usage == other.usage && ending == other.ending &&
           message_id == other.message_id && status == other.status;
  }
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  out << "text [" << outcome.text << "] reasoning [" << outcome.reasoning << "] refusal [" << outcome.refusal
      << "] citations [";
  for (const std::string& citation : outcome.citations) out << citation << " ";
  return out << "] usage " << outcome.usage << " ending " << static_cast<int>(outcome.ending) << " id "
             << outcome.message_id << " " << outcome.status;
}

void Collect(const std::vector<ChatEvent>& events, Outcome& outcome) {
  for (const ChatEvent& event : events) {
    outcome.text += event.text().text();
    outcome.reasoning += event.reasoning().text();
    outcome.refusal += event.refusal().text();
    if (event.has_usage()) outcome.usage = event.usage().total_tokens();
    if (event.has_citation())
      outcome.citations.push_back(
          absl::StrCat(event.citation().url(), "@", event.citation().start(), "-", event.citation().end()));
  }
}

using Pieces = std::vector<absl::string_view>;

Outcome Decode(const Pieces& pieces, EventDecoder::Options options = {}) {
  EventDecoder decoder(options);
  Outcome outcome;
  std::vector<ChatEvent> events;
  for (const absl::string_view piece : pieces) {
    outcome.status = decoder.Feed(piece, events);
    if (!outcome.status.ok()) break;
  }
  if (outcome.status.ok()) outcome.status = decoder.End(events);
  if (outcome.status.ok()) decoder.Finish(events);
  Collect(events, outcome);
  outcome.ending = decoder.ending();
  outcome.message_id = decoder.response_message_id().value_or(0);
  return outcome;
}

struct Case {
  const char* name;
  const char* file;
  EventDecoder::Options options;
  Outcome expected;
};

std::vector<Case> Cases() {
  const auto limited =
      MakeError(Reason::REASON_RATE_LIMITED, "deepseek limits the account's rate of requests", {.cause = "hint"});
  return {
      {"Plain",
       "t1_plain.sse",
       {},
       {.text = "Sea water is salty.\n\n- because of rivers", .usage = 37, .ending = Ending::kStop, .message_id = 2}},
      {"Thinking",
       "t2_thinking.sse",
       {},
       {.text = "It is 42.", .reasoning = "Need 6×7.", .usage = 52, .ending = Ending::kStop, .message_id = 2}},
      {"Search",
       "t3_thinking_and_search.sse",
       {.search = true},
       {.text = "High water is at 04:10.",
        .reasoning = "Look it up.\nPage says 04:10.",
        .citations = {"https://tides.example/lisbon@22-22", "https://port.example/t@22-22"},
        .usage = 391,
        .ending = Ending::kStop,
        .message_id = 6}},
      {"SearchKeepingMarks",
       "t3_thinking_and_search.sse",
       {.search = true, .keep_markers = true},
       {.text = "High water is at 04:10[reference:0][reference:1].",
        .reasoning = "Look it up.\nPage says 04:10.",
        .citations = {"https://tides.example/lisbon@22-35", "https://port.example/t@22-35",
                      "https://tides.example/lisbon@35-48"},
        .usage = 391,
        .ending = Ending::kStop,
        .message_id = 6}},
      {"ContentFilter",
       "t4_content_filter.sse",
       {},
       {.text = "Let me explain",
        .refusal = "<refusal sentence chosen by the service>",
        .usage = 61,
        .ending = Ending::kContentFilter,
        .message_id = 2}},
      {"Throttled", "t5_throttled.sse", {}, {.message_id = 2, .status = limited}},
      {"CutAnswer",
       "t6_cut_answer.sse",
       {},
       {.text = "One, two", .usage = 44, .ending = Ending::kIncomplete, .message_id = 2}},
      {"Dialect202511",
       "t8_dialect_2025_11.sse",
       {},
       {.text = "Red, green, blue", .usage = 29, .ending = Ending::kStop, .message_id = 2}},
      {"Dialect2025Mid",
       "t9_dialect_2025_mid.sse",
       {.search = true},
       {.text = "Yes ",
        .reasoning = "Hmm.",
        .citations = {"https://a.example/1@4-4"},
        .ending = Ending::kStop,
        .message_id = 2}},
      {"Dialect2025MidKeepingMarks",
       "t9_dialect_2025_mid.sse",
       {.search = true, .keep_markers = true},
       {.text = "Yes [citation:1]",
        .reasoning = "Hmm.",
        .citations = {"https://a.example/1@4-16"},
        .ending = Ending::kStop,
        .message_id = 2}},
  };
}

class TranscriptTest : public ::testing::TestWithParam<Case> {
 protected:
  std::string Bytes() const { return ReadTestFile(absl::StrCat("tests/transcripts/deepseek/", GetParam().file)); }
  static std::string Crlf(const std::string& text) { return absl::StrReplaceAll(text, {{"\n", "\r\n"}}); }
};

TEST_P(TranscriptTest, Whole) { EXPECT_EQ(Decode({Bytes()}, GetParam().options), GetParam().expected); }

TEST_P(TranscriptTest, EverySplitPoint) {
  for (const std::string& bytes : {Bytes(), Crlf(Bytes())}) {
    for (size_t at = 0; at <= bytes.size(); ++at) {
      const absl::string_view all = bytes;
      ASSERT_EQ(Decode({all.substr(0, at), all.substr(at)}, GetParam().options), GetParam().expected)
          << "split at " << at;
    }
  }
}

TEST_P(TranscriptTest, ByteByByte) {
  for (const std::string& bytes : {Bytes(), Crlf(Bytes())}) {
    Pieces pieces;
    for (size_t at = 0; at < bytes.size(); ++at) pieces.push_back(absl::string_view(bytes).substr(at, 1));
    EXPECT_EQ(Decode(pieces, GetParam().options), GetParam().expected);
  }
}

TEST_P(TranscriptTest, CommentsAndEmptyEventsChangeNothing) {
  const std::string bytes =
      absl::StrReplaceAll(Bytes(), {{"\n\n", "\n\n: heartbeat\n\nevent: message\ndata: \n\ndata:\n\n"}});
  EXPECT_EQ(Decode({bytes}, GetParam().options), GetParam().expected);
}

// A stream that stops anywhere before its terminal status is no answer.
TEST_P(TranscriptTest, CutAnywhereIsAnError) {
  const std::string bytes = Bytes();
  if (GetParam().expected.ending == Ending::kOpen) return;  // it is an error anyway
  // The end of the event that holds the terminal status.
  size_t terminal = bytes.find("data: {\"p\":\"response/status\"");
  if (terminal == std::string::npos) terminal = bytes.find("data: {\"v\": [{\"v\": \"blue\"");
  if (terminal == std::string::npos) terminal = bytes.find("{\"p\":\"ban_regenerate\"");
  const size_t end = bytes.find("\n\n", terminal) + 1;
  for (size_t at = 0; at < end; ++at) {
    const Outcome cut = Decode({absl::string_view(bytes).substr(0, at)}, GetParam().options);
    ASSERT_EQ(ReasonOf(cut.status), Reason::REASON_UPSTREAM_BROKEN) << "cut at " << at << ": " << cut;
    // What did come out is the beginning of the answer.
    ASSERT_TRUE(absl::StartsWith(GetParam().expected.text, cut.text)) << cut.text;
  }
}

INSTANTIATE_TEST_SUITE_P(DeepSeek, TranscriptTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- single events

constexpr char kStart[] =
    "event: ready\ndata: {\"request_message_id\":1,\"response_message_id\":2}\n\n"
    "data: "
    "{\"v\":{\"response\":{\"message_id\":2,\"status\":\"WIP\",\"fragments\":[{\"id\":2,\"type\":\"RESPONSE\","
    "\"content\":\"Hi\",\"references\":[]}]}}}\n\n";
constexpr char kEnd[] = "data: {\"p\":\"response/status\",\"o\":\"SET\",\"v\":\"FINISHED\"}\n\n";

std::string Status(const std::string& word) {
  return "data: {\"p\":\"response/status\",\"o\":\"SET\",\"v\":\"" + word + "\"}\n\n";
}

TEST(EventDecoder, WordsOfStatusAreNeverText) {
  const Outcome outcome = Decode(
      {absl::StrCat(kStart, "data: {\"p\":\"response/fragments/-1/content\",\"o\":\"APPEND\",\"v\":\" FINISHED\"}\n\n",
                    "data: {\"p\":\"response/search_status\",\"v\":\"FINISHED\"}\n\n", kEnd)});
  EXPECT_EQ(outcome.text, "Hi FINISHED");
}

TEST(EventDecoder, GarbageIsNotUnderstood) {
  for (const std::string garbage : {"{\"v\":", "hello", "{\"v\":NaN}", "[1]", "3", "{\"v\":\"a\"} x"}) {
    const Outcome outcome = Decode({absl::StrCat(kStart, "data: ", garbage, "\n\n", kEnd)});
    EXPECT_EQ(ReasonOf(outcome.status), Reason::REASON_UPSTREAM_CHANGED) << garbage;
    EXPECT_EQ(DetailOf(outcome.status).cause(), "protocol") << garbage;
    EXPECT_EQ(outcome.text, "Hi");
  }
}

TEST(EventDecoder, InvalidUtf8IsReplaced) {
  const Outcome outcome = Decode({absl::StrCat(
      kStart, "data: {\"p\":\"response/fragments/-1/content\",\"o\":\"APPEND\",\"v\":\"a\xff z\"}\n\n", kEnd)});
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.text, "Hia\xEF\xBF\xBD z");
}

TEST(EventDecoder, UnknownEventsAndMembersAreIgnored) {
  const Outcome outcome = Decode(
      {absl::StrCat("event: updateFile\ndata: {\"v\":\"x\"}\n\n", kStart, "event: toast\ndata: {\"type\":\"info\"}\n\n",
                    "data: {\"p\":\"response/new_thing\",\"o\":\"SET\",\"v\":{\"a\":[1]}}\n\n",
                    "event: hint\ndata: {\"type\":\"info\",\"content\":\"x\"}\n\n", "data: {\"something\":1}\n\n", kEnd,
                    "data: rubbish after the end\n\n")});
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.text, "Hi");
  EXPECT_EQ(outcome.ending, Ending::kStop);
}

TEST(EventDecoder, StatusWords) {
  struct Row {
    const char* word;
    bool with_text;
    Ending ending;
    std::optional<Reason> error;
  };
  const std::string empty = absl::StrReplaceAll(kStart, {{"\"content\":\"Hi\"", "\"content\":\"\""}});
  for (const Row& row :
       {Row{"FINISHED", true, Ending::kStop, {}}, Row{"INCOMPLETE", true, Ending::kIncomplete, {}},
        Row{"CONTENT_FILTER", true, Ending::kContentFilter, {}},
        Row{"CONTEXT_LENGTH_EXCEEDED", true, Ending::kLength, {}}, Row{"CONTENT_TOO_LONG", true, Ending::kLength, {}},
        Row{"TIMEOUT", true, Ending::kStop, {}}, Row{"CANCELLED", true, Ending::kStop, {}},
        Row{"TIMEOUT", false, Ending::kOpen, Reason::REASON_UPSTREAM_BROKEN},
        Row{"CONTENT_EMPTY", false, Ending::kOpen, Reason::REASON_UPSTREAM_EMPTY},
        Row{"CONTENT_TOO_LONG", false, Ending::kOpen, Reason::REASON_CONTEXT_TOO_LONG},
        Row{"SOMETHING_NEW", true, Ending::kOpen, Reason::REASON_UPSTREAM_BROKEN}}) {
    const Outcome outcome = Decode({absl::StrCat(row.with_text ? std::string(kStart) : empty, Status(row.word))});
    EXPECT_EQ(outcome.ending, row.ending) << row.word;
    if (row.error) {
      EXPECT_EQ(ReasonOf(outcome.status), *row.error) << row.word;
    } else {
      EXPECT_TRUE(outcome.status.ok()) << row.word << outcome.status;
    }
  }
}

TEST(EventDecoder, HintsThatEndTheTurn) {
  const auto hint = [](const std::string& type, const std::string& finish) {
    return absl::StrCat("event: hint\ndata: {\"type\":\"", type, "\",\"content\":\"c\",\"finish_reason\":\"", finish,
                        "\"}\n\n");
  };
  EXPECT_EQ(ReasonOf(Decode({hint("error", "rate_limit_reached")}).status), Reason::REASON_RATE_LIMITED);
  EXPECT_EQ(ReasonOf(Decode({hint("warning", "rate_limit_reached")}).status), Reason::REASON_RATE_LIMITED);
  EXPECT_EQ(ReasonOf(Decode({hint("error", "input_exceeds_limit")}).status), Reason::REASON_CONTEXT_TOO_LONG);
  EXPECT_EQ(ReasonOf(Decode({hint("error", "")}).status), Reason::REASON_UPSTREAM_UNAVAILABLE);
  EXPECT_EQ(ReasonOf(Decode({absl::StrCat(kStart, hint("error", ""))}).status), Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(ReasonOf(Decode({hint("error", "other")}).status), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(ReasonOf(Decode({absl::StrCat(kStart, hint("error", "other"))}).status), Reason::REASON_UPSTREAM_CHANGED);
}

TEST(EventDecoder, ErrorsAsData) {
  EXPECT_EQ(ReasonOf(Decode({"data: {\"code\":40003,\"msg\":\"x\"}\n\n"}).status), Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(ReasonOf(Decode({"data: {\"code\":1001,\"msg\":\"x\"}\n\n"}).status), Reason::REASON_RATE_LIMITED);
  EXPECT_EQ(ReasonOf(Decode({"data: {\"error\":{\"message\":\"x\"}}\n\n"}).status), Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(ReasonOf(Decode({absl::StrCat(kStart, "data: {\"code\":50000,\"msg\":\"x\"}\n\n")}).status),
            Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(ReasonOf(Decode({"data: {\"error\":\"x\"}\n\n"}).status), Reason::REASON_UPSTREAM_BROKEN);
}

TEST(EventDecoder, WithoutAnyOperationContentIsAppended) {
  const Outcome outcome =
      Decode({"data: {\"v\":{\"response\":{\"status\":\"WIP\",\"content\":\"\"}}}\n\n"
              "data: {\"p\":\"response/content\",\"v\":\"a\"}\n\ndata: {\"v\":\"b\"}\n\n"
              "data: {\"p\":\"response/status\",\"v\":\"FINISHED\"}\n\n"});
  EXPECT_EQ(outcome.text, "ab");
  EXPECT_EQ(outcome.ending, Ending::kStop);
}

TEST(EventDecoder, SetTextGoesOnFromWhatIsKnown) {
  const auto set = [](const std::string& text) {
    return absl::StrCat("data: {\"p\":\"response/fragments/-1/content\",\"o\":\"SET\",\"v\":\"", text, "\"}\n\n");
  };
  EXPECT_EQ(Decode({absl::StrCat(kStart, set("Hi there"), kEnd)}).text, "Hi there");
  EXPECT_EQ(Decode({absl::StrCat(kStart, set("H"), kEnd)}).text, "Hi");
  EXPECT_EQ(Decode({absl::StrCat(kStart, set("Bye"), kEnd)}).text, "Hi");
}

TEST(EventDecoder, MarksAreTextWhereNobodySearched) {
  const Outcome outcome = Decode({absl::StrCat(
      kStart,
      "data: {\"p\":\"response/fragments/-1/content\",\"o\":\"APPEND\",\"v\":\" [citation:1] [reference:0]\"}\n\n",
      kEnd)});
  EXPECT_EQ(outcome.text, "Hi [citation:1] [reference:0]");
}

TEST(EventDecoder, HalfAMarkIsText) {
  const Outcome outcome =
      Decode({absl::StrCat(
                 kStart, "data: {\"p\":\"response/fragments/-1/content\",\"o\":\"APPEND\",\"v\":\" [ref\"}\n\n", kEnd)},
             {.search = true});
  EXPECT_EQ(outcome.text, "Hi [ref");
}

TEST(EventDecoder, ACloseAfterTheLastWordButOneIsAnEnd) {
  const std::string quasi =
      "data: {\"p\":\"response\",\"o\":\"BATCH\",\"v\":[{\"p\":\"quasi_status\",\"v\":\"FINISHED\"}]}\n\n";
  const std::string close = "event: close\ndata: {\"click_behavior\":\"none\"}\n\n";
  EXPECT_EQ(Decode({absl::StrCat(kStart, quasi, close)}).ending, Ending::kStop);
  EXPECT_EQ(ReasonOf(Decode({absl::StrCat(kStart, quasi)}).status), Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(ReasonOf(Decode({absl::StrCat(kStart, close)}).status), Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(ReasonOf(Decode({absl::StrCat(kStart, "data: [DONE]\n\n")}).status), Reason::REASON_UPSTREAM_BROKEN);
}

// ---- continuation

Outcome Continued(const std::string& second) {
  EventDecoder decoder({});
  std::vector<ChatEvent> events;
  Outcome outcome;
  outcome.status = decoder.Feed(ReadTestFile("tests/transcripts/deepseek/t6_cut_answer.sse"), events);
  decoder.BeginContinuation();
  if (outcome.status.ok()) outcome.status = decoder.Feed(second, events);
  if (outcome.status.ok()) outcome.status = decoder.End(events);
  if (outcome.status.ok()) decoder.Finish(events);
  Collect(events, outcome);
  outcome.ending = decoder.ending();
  return outcome;
}

std::string Snapshot(const std::string& text, const std::string& status = "WIP") {
  return absl::StrCat("data: {\"v\":{\"response\":{\"status\":\"", status,
                      "\",\"fragments\":[{\"id\":2,\"type\":\"RESPONSE\",\"content\":\"", text, "\"}]}}}\n\n");
}
const char kMore[] = "data: {\"p\":\"response/fragments/-1/content\",\"o\":\"APPEND\",\"v\":\", three\"}\n\n";

TEST(Continuation, ASnapshotOfTheTextSoFar) {
  EXPECT_EQ(Continued(absl::StrCat(Snapshot("One, two"), kMore, kEnd)).text, "One, two, three");
}
TEST(Continuation, ASnapshotThatStillSaysHowItWasCut) {
  const Outcome outcome = Continued(absl::StrCat(Snapshot("One, two", "INCOMPLETE"), kMore, kEnd));
  EXPECT_EQ(outcome.text, "One, two, three");
  EXPECT_EQ(outcome.ending, Ending::kStop);
}
TEST(Continuation, AnEmptySnapshotBringsTheRestAlone) {
  EXPECT_EQ(Continued(absl::StrCat(Snapshot(""), kMore, kEnd)).text, "One, two, three");
}
TEST(Continuation, ASnapshotOfTheRestAlone) {
  EXPECT_EQ(Continued(absl::StrCat(Snapshot(", three"), kEnd)).text, "One, two, three");
}
TEST(Continuation, NoSnapshotAtAll) { EXPECT_EQ(Continued(absl::StrCat(kMore, kEnd)).text, "One, two, three"); }
TEST(Continuation, AReplayFromTheBeginning) {
  EXPECT_EQ(Continued(absl::StrCat(Snapshot("One"),
                                   "data: {\"p\":\"response/fragments/-1/content\",\"o\":\"APPEND\",\"v\":\", two, "
                                   "th\"}\n\ndata: {\"v\":\"ree\"}\n\n",
                                   kEnd))
                .text,
            "One, two, three");
}
TEST(Continuation, CutOnceMore) {
  EXPECT_EQ(ReasonOf(Continued(absl::StrCat(Snapshot("One, two"), kMore)).status), Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(Continued(absl::StrCat(Snapshot("One, two"), kMore, Status("INCOMPLETE"))).ending, Ending::kIncomplete);
}

}  // namespace
}  // namespace switchyard::deepseek
