#include "services/metaso/events.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/common/status/reason.h"
#include "tests/support/files.h"

namespace switchyard::metaso {
namespace {

/// All that came out of a stream, in a form that can be compared.
struct Outcome {
  std::string text = {};
  std::string reasoning = {};
  std::vector<std::string> citations = {};  // "url title@start-end"
  std::string conversation = {};
  std::string message = {};
  Reason reason = Reason::REASON_UNSPECIFIED;
  std::string cause = {};

  bool operator==(const Outcome& other) const {
    return text == other.text && reasoning == other.reasoning && citations == other.citations &&
           conversation == other.conversation && message == other.message && reason == other.reason &&
           cause == other.cause;
  }
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  out << "text [" << outcome.text << "] reasoning [" << outcome.reasoning << "] citations [";
  for (const std::string& citation : outcome.citations) out << citation << " ";
  return out << "] conversation " << outcome.conversation << " message " << outcome.message << " "
             << ReasonName(outcome.reason) << " " << outcome.cause;
}

using Pieces = std::vector<absl::string_view>;

Outcome Decode(const Pieces& pieces, EventDecoder::Options options = {}) {
  EventDecoder decoder(std::move(options));
  Outcome outcome;
  std::vector<ChatEvent> events;
  absl::Status status;
  for (const absl::string_view piece : pieces) {
    status = decoder.Feed(piece, events);
    if (!status.ok()) break;
  }
  if (status.ok()) status = decoder.End(events);
  if (status.ok()) decoder.Finish(events);
  for (const ChatEvent& event : events) {
    outcome.text += event.text().text();
    outcome.reasoning += event.reasoning().text();
    if (event.has_citation())
      outcome.citations.push_back(absl::StrCat(event.citation().url(), " ", event.citation().title(), "@",
                                               event.citation().start(), "-", event.citation().end()));
  }
  outcome.conversation = decoder.conversation_id();
  outcome.message = decoder.message_id();
  if (!status.ok()) {
    outcome.reason = ReasonOf(status);
    outcome.cause = DetailOf(status).cause();
  }
  return outcome;
}

struct Case {
  const char* name;
  const char* file;
  bool label;
  Outcome expected;
};

std::vector<Case> Cases() {
  return {
      {"Answer",
       "a1_answer_with_references.sse",
       true,
       {.text = "铁塔高 330 米[1]，建于 1889 年[2]。",
        .citations = {"https://example.com/tower 铁塔资料@9-12", "https://example.org/guide 旅行指南@22-25"}}},
      {"AnswerWithoutLabels",
       "a1_answer_with_references.sse",
       false,
       {.text = "铁塔高 330 米，建于 1889 年。",
        .citations = {"https://example.com/tower 铁塔资料@9-9", "https://example.org/guide 旅行指南@19-19"}}},
      {"RateLimit", "a2_rate_limit.sse", true, {.reason = Reason::REASON_RATE_LIMITED, .cause = "too_many_requests"}},
      {"ErrorAfterText",
       "a3_error_after_text.sse",
       true,
       {.text = "初步结果", .reason = Reason::REASON_UPSTREAM_BROKEN, .cause = "error_event"}},
      {"Cut", "a4_cut.sse", true, {.text = "未完[[", .reason = Reason::REASON_UPSTREAM_BROKEN, .cause = "truncated"}},
      {"Chat",
       "b1_chat.sse",
       true,
       {.text = "高 330 米[1]。",
        .reasoning = "先检索。",
        .citations = {"https://example.com/tower 铁塔资料@7-10"},
        .conversation = "8700000000000000001",
        .message = "8700000000000000003"}},
      {"ChatRateLimit",
       "b2_chat_rate_limit.sse",
       true,
       {.conversation = "8700000000000000011",
        .message = "8700000000000000013",
        .reason = Reason::REASON_RATE_LIMITED,
        .cause = "code_429"}},
  };
}

class Transcript : public testing::TestWithParam<Case> {
 protected:
  static std::string Bytes() { return ReadTestFile(absl::StrCat("tests/transcripts/metaso/", GetParam().file)); }
  static void ExpectEverywhere(const std::string& bytes) {
    const EventDecoder::Options options{.label_citations = GetParam().label};
    ASSERT_FALSE(bytes.empty());
    EXPECT_EQ(Decode({bytes}, options), GetParam().expected);
    for (size_t at = 1; at < bytes.size(); ++at) {
      const absl::string_view view = bytes;
      ASSERT_EQ(Decode({view.substr(0, at), view.substr(at)}, options), GetParam().expected) << "split at " << at;
    }
    Pieces single;
    for (size_t at = 0; at < bytes.size(); ++at) single.push_back(absl::string_view(bytes).substr(at, 1));
    EXPECT_EQ(Decode(single, options), GetParam().expected) << "one byte at a time";
  }
};

TEST_P(Transcript, GivesTheSameAtEverySplit) { ExpectEverywhere(Bytes()); }
TEST_P(Transcript, GivesTheSameWithCarriageReturns) {
  ExpectEverywhere(absl::StrReplaceAll(Bytes(), {{"\n", "\r\n"}}));
}
TEST_P(Transcript, GivesTheSameWithABlankAfterTheColon) {
  ExpectEverywhere(absl::StrReplaceAll(Bytes(), {{"data:{", "data: {"}, {"data:[", "data: ["}}));
}

INSTANTIATE_TEST_SUITE_P(ProtocolPage, Transcript, testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

const std::string kText = "data:{\"type\":\"append-text\",\"text\":\"Yes[[1]]\"}\n\n";
const std::string kDone = "data:[DONE]\n\n";

TEST(Ends, TheLastLineMayLackTheEmptyOne) {
  EXPECT_EQ(Decode({kText, "data:[DONE]"}).reason, Reason::REASON_UNSPECIFIED);
  EXPECT_EQ(Decode({kText, "data: [DONE]\n"}).reason, Reason::REASON_UNSPECIFIED);
  EXPECT_EQ(Decode({kText, "data:[DON"}).reason, Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(Decode({""}).reason, Reason::REASON_UPSTREAM_BROKEN);
}

TEST(Ends, NothingThatFollowsTheEndCounts) {
  EXPECT_EQ(Decode({kText, kDone, "data:{garbage\n\n"}), Decode({kText, kDone}));
}

TEST(References, ComeInEverySpelling) {
  const std::vector<std::string> spellings = {
      R"({"type":"set-reference","list":[{"title":"T","link":"https://a.example"}]})",
      R"({"type":"update-reference","list":[{"index":1,"title":"T","url":"https://a.example"}]})",
      R"({"type":"source","title":"T","link":"https://a.example","snippet":"s"})",
      R"({"id":"1","choices":[{"delta":{"citations":[{"title":"T","link":"https://a.example"}]}}]})"};
  for (const std::string& spelling : spellings) {
    const std::string frame = absl::StrCat("data:", spelling, "\n\n");
    const std::vector<std::string> expected = {"https://a.example T@3-6"};
    EXPECT_EQ(Decode({frame, kText, kDone}).citations, expected) << spelling;
    EXPECT_EQ(Decode({kText, frame, kDone}).citations, expected) << "behind the text: " << spelling;
  }
}

TEST(References, ACompleteListReplacesAndOneWithoutAddressKeepsItsNumber) {
  const std::string old = R"(data:{"type":"set-reference","list":[{"link":"https://old.example"}]})";
  const std::string now = R"(data:{"type":"set-reference","list":[{"title":"none"},{"link":"https://two.example"}]})";
  const std::string two = R"(data:{"type":"append-text","text":"[[2]][[1]][[9]]"})";
  const Outcome outcome = Decode({old, "\n\n", now, "\n\n", two, "\n\n", kDone});
  EXPECT_EQ(outcome.text, "[2][1][9]");
  EXPECT_EQ(outcome.citations, std::vector<std::string>{"https://two.example @0-3"});
}

TEST(References, OnlyWhatABrowserMayOpenIsShown) {
  EXPECT_TRUE(
      Decode({R"-(data:{"type":"source","link":"javascript:alert(1)"})-", "\n\n", kText, kDone}).citations.empty());
}

TEST(Errors, ByCodeAndWord) {
  struct Row {
    const char* payload;
    Reason silent;  // before any text
    Reason late;    // after some
  };
  using enum common::v1::Reason;
  const std::vector<Row> rows = {
      {"[TOO_MANY_REQUESTS]", REASON_RATE_LIMITED, REASON_RATE_LIMITED},
      {"[SERVICE_BUSY]", REASON_UPSTREAM_CHANGED, REASON_UPSTREAM_CHANGED},
      {R"({"type":"error","code":"SEARCH_FAILED","msg":"x"})", REASON_UPSTREAM_UNAVAILABLE, REASON_UPSTREAM_BROKEN},
      {R"({"type":"error","code":"NEVER_SEEN","msg":"x"})", REASON_UPSTREAM_CHANGED, REASON_UPSTREAM_CHANGED},
      {R"({"type":"error","code":429,"msg":"x"})", REASON_RATE_LIMITED, REASON_RATE_LIMITED},
      {R"({"type":"error","code":"429","msg":"x"})", REASON_RATE_LIMITED, REASON_RATE_LIMITED},
      {R"({"type":"error","code":4001,"msg":"x"})", REASON_QUOTA_SPENT, REASON_QUOTA_SPENT},
      {R"({"type":"error","code":-500,"msg":"x"})", REASON_UPSTREAM_UNAVAILABLE, REASON_UPSTREAM_BROKEN},
      {R"({"type":"error"})", REASON_UPSTREAM_UNAVAILABLE, REASON_UPSTREAM_BROKEN},
      {R"({"msg":"x","code":4001})", REASON_QUOTA_SPENT, REASON_QUOTA_SPENT},
      {R"({"errCode":401,"errMsg":"x"})", REASON_CREDENTIAL_EXPIRED, REASON_CREDENTIAL_EXPIRED},
      {R"({"errCode":7,"errMsg":"x"})", REASON_UPSTREAM_CHANGED, REASON_UPSTREAM_CHANGED},
      {"{\"type\":", REASON_UPSTREAM_CHANGED, REASON_UPSTREAM_CHANGED},
      {"hello", REASON_UPSTREAM_CHANGED, REASON_UPSTREAM_CHANGED},
      {"[1,2]", REASON_UPSTREAM_CHANGED, REASON_UPSTREAM_CHANGED},
      {R"({"type":"append-text","text":7})", REASON_UPSTREAM_CHANGED, REASON_UPSTREAM_CHANGED},
      {R"({"type":"heartbeat"})", REASON_UNSPECIFIED, REASON_UNSPECIFIED},
      {R"({"type":"never-seen","code":7,"choices":[]})", REASON_UNSPECIFIED, REASON_UNSPECIFIED},
      {R"({"code":200,"msg":"ok"})", REASON_UNSPECIFIED, REASON_UNSPECIFIED},
      {R"({"errCode":0})", REASON_UNSPECIFIED, REASON_UNSPECIFIED},
  };
  for (const Row& row : rows) {
    const std::string frame = absl::StrCat("data:", row.payload, "\n\n");
    EXPECT_EQ(Decode({frame, kDone}).reason, row.silent) << row.payload;
    const Outcome late = Decode({kText, frame, kDone});
    EXPECT_EQ(late.reason, row.late) << row.payload;
    EXPECT_EQ(late.text, "Yes[1]") << row.payload;
  }
}

TEST(Errors, TooLargeAnEventEndsTheAnswer) {
  const std::string large =
      absl::StrCat("data:{\"type\":\"append-text\",\"text\":\"", std::string(2 << 20, 'x'), "\"}\n\n");
  EXPECT_EQ(Decode({kText, large}).cause, "too_large");
}

TEST(Chat, AnotherConversationThanTheContinuedOneIsIgnored) {
  const std::string init = "data:{\"type\":\"conversation_init\",\"data\":{\"id\":\"9\"}}\n\n";
  EXPECT_EQ(Decode({init, kText, kDone}, {.conversation = "5"}).conversation, "5");
  EXPECT_EQ(Decode({init, kText, kDone}).conversation, "9");
}

TEST(Text, BrokenCharactersAreReplaced) {
  EXPECT_EQ(Decode({"data:{\"type\":\"append-text\",\"text\":\"a\xFF\"}\n\n", kDone}).text, "a\xEF\xBF\xBD");
}

}  // namespace
}  // namespace switchyard::metaso
