#include "services/minimax/events.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "tests/support/files.h"

namespace switchyard::minimax {
namespace {

/// Events as "t:…" and "r:…", one an event.
std::vector<std::string> Feed(PollDecoder& decoder, const std::string& body, absl::Status* status = nullptr) {
  auto detail = ParseJson(body);
  EXPECT_TRUE(detail.ok()) << body;
  std::vector<ChatEvent> events;
  const absl::Status fed = decoder.Feed(*detail, events);
  if (status != nullptr) *status = fed;
  std::vector<std::string> out;
  for (const ChatEvent& event : events)
    out.push_back(event.has_text() ? "t:" + event.text().text() : "r:" + event.reasoning().text());
  return out;
}

std::vector<std::string> Polls(const std::string& file) {
  return absl::StrSplit(ReadTestFile("tests/transcripts/minimax/" + file), '\n', absl::SkipEmpty());
}

PollDecoder After(const std::string& message) {
  PollDecoder::Options options;
  options.message.digits = message;
  return PollDecoder(std::move(options));
}

/// A detail whose agent messages are (id, text), the oldest first.
std::string Detail(int status, const std::vector<std::pair<int, std::string>>& messages) {
  std::string list;
  for (const auto& [id, text] : messages)
    absl::StrAppend(&list, list.empty() ? "" : ",", R"({"msg_id":)", id,
                    R"(,"msg_type":2,"timestamp":1,"msg_content":")", text, "\"}");
  return absl::StrCat(R"({"chat":{"chat_status":)", status, R"(},"messages":[)", list, "]}");
}

using Events = std::vector<std::string>;

TEST(PollDecoder, PlainTranscript) {
  const std::vector<std::string> polls = Polls("m1_plain.jsonl");
  ASSERT_EQ(polls.size(), 3u);
  PollDecoder decoder = After("360000000000201");
  EXPECT_EQ(Feed(decoder, polls[0]), Events());
  EXPECT_EQ(Feed(decoder, polls[1]), Events({"t:你好！我是"}));
  EXPECT_FALSE(decoder.complete());
  EXPECT_EQ(Feed(decoder, polls[2]), Events({"t:助手。"}));
  EXPECT_TRUE(decoder.complete());
}

TEST(PollDecoder, ThinkingAndTwoMessagesTranscript) {
  const std::vector<std::string> polls = Polls("m2_thinking_two_messages.jsonl");
  ASSERT_EQ(polls.size(), 3u);
  PollDecoder decoder = After("360000000000301");
  EXPECT_EQ(Feed(decoder, polls[0]), Events({"r:Multiply"}));
  EXPECT_EQ(Feed(decoder, polls[1]), Events({"r: 17 by 3.", "t:Working on it."}));
  EXPECT_EQ(Feed(decoder, polls[2]), Events({"t:\n\nThe answer is 51."}));
  EXPECT_TRUE(decoder.complete());
}

TEST(PollDecoder, AnySubsetOfThePollsGivesTheSameText) {
  for (const auto& [file, message, expected] :
       {std::tuple("m1_plain.jsonl", "360000000000201", "你好！我是助手。"),
        std::tuple("m2_thinking_two_messages.jsonl", "360000000000301", "Working on it.\n\nThe answer is 51.")}) {
    const std::vector<std::string> polls = Polls(file);
    for (unsigned mask = 0; mask < 4; ++mask) {
      PollDecoder decoder = After(message);
      std::string text;
      for (size_t i = 0; i < polls.size(); ++i) {
        if (i + 1 < polls.size() && (mask >> i & 1) == 0) continue;
        for (const std::string& event : Feed(decoder, polls[i])) text += event[0] == 't' ? event.substr(2) : "";
      }
      EXPECT_EQ(text, expected);
      EXPECT_TRUE(decoder.complete());
    }
  }
}

TEST(PollDecoder, TextThatIsPutDifferentlyGoesOnBehindWhatIsOut) {
  PollDecoder decoder = After("1");
  EXPECT_EQ(Feed(decoder, Detail(1, {{2, "Grün is"}})), Events({"t:Grün is"}));
  EXPECT_EQ(Feed(decoder, Detail(1, {{2, "Blau is it"}})), Events({"t: it"}));
  EXPECT_EQ(Feed(decoder, Detail(1, {{2, "Blau"}})), Events());
  EXPECT_EQ(Feed(decoder, Detail(2, {{2, "Blau is it."}})), Events({"t:."}));
  EXPECT_TRUE(decoder.complete());
}

TEST(PollDecoder, ACharacterThatAPollCutComesWhole) {
  PollDecoder decoder = After("1");
  EXPECT_EQ(Feed(decoder, Detail(1, {{2, "\xE7\xBA\xA2\xEF\xBF\xBD"}})), Events({"t:\xE7\xBA\xA2"}));
  EXPECT_EQ(Feed(decoder, Detail(2, {{2, "\xE7\xBA\xA2\xE8\x89\xB2"}})), Events({"t:\xE8\x89\xB2"}));
}

TEST(PollDecoder, MessagesOfEarlierTurnsAreNoAnswer) {
  PollDecoder::Options options;
  options.message.digits = "10";
  options.before = {"12"};
  PollDecoder decoder(std::move(options));
  EXPECT_EQ(Feed(decoder, Detail(1, {{8, "old"}, {12, "also old"}})), Events());
  EXPECT_EQ(Feed(decoder, Detail(2, {{8, "old"}, {11, "new"}, {12, "also old"}})), Events({"t:new"}));
}

TEST(PollDecoder, WithoutAStatusThreeUnchangedPollsAreTheEnd) {
  PollDecoder decoder = After("1");
  Feed(decoder, Detail(0, {{2, "One"}}));
  Feed(decoder, Detail(0, {{2, "One"}}));
  Feed(decoder, Detail(0, {{2, "One two"}}));
  for (int i = 0; i < 2; ++i) {
    Feed(decoder, Detail(0, {{2, "One two"}}));
    EXPECT_FALSE(decoder.complete());
  }
  Feed(decoder, Detail(0, {{2, "One two"}}));
  EXPECT_TRUE(decoder.complete());
}

TEST(PollDecoder, FinishedThreeTimesWithoutATextIsEmpty) {
  PollDecoder decoder = After("1");
  absl::Status status;
  for (int i = 0; i < 2; ++i) {
    Feed(decoder, Detail(2, {}), &status);
    EXPECT_TRUE(status.ok());
  }
  Feed(decoder, Detail(2, {}), &status);
  EXPECT_EQ(ReasonOf(status), Reason::REASON_UPSTREAM_EMPTY);
}

TEST(PollDecoder, WhatIsNoDetailIsAChange) {
  for (const char* body : {R"({"messages":{}})", R"({"messages":[{"msg_id":2,"msg_type":2,"msg_content":5}]})"}) {
    PollDecoder decoder = After("1");
    absl::Status status;
    Feed(decoder, body, &status);
    EXPECT_EQ(ReasonOf(status), Reason::REASON_UPSTREAM_CHANGED) << body;
  }
}

TEST(PollDecoder, IdsAsTextAndAWrappedDetail) {
  PollDecoder decoder = After("1");
  EXPECT_EQ(Feed(decoder, R"({"data":{"chat":{"chat_status":2},"messages":[{"msg_id":"2","msg_type":10,)"
                          R"("msg_content":"ok","timestamp":1}]}})"),
            Events({"t:ok"}));
  EXPECT_TRUE(decoder.complete());
}

}  // namespace
}  // namespace switchyard::minimax
