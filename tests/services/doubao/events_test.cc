#include "services/doubao/events.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/common/status/reason.h"
#include "tests/support/files.h"

namespace switchyard::doubao {
namespace {

/// All that came out of a stream, in a form that can be compared.
struct Outcome {
  std::string text = {};
  std::string reasoning = {};
  std::vector<std::string> citations = {};  // "url title@start"
  std::string point = "@@0";
  std::optional<Reason> error = {};
  std::string cause = {};

  bool operator==(const Outcome& other) const {
    return text == other.text && reasoning == other.reasoning && citations == other.citations && point == other.point &&
           error == other.error && cause == other.cause;
  }
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  out << "text [" << outcome.text << "] reasoning [" << outcome.reasoning << "] citations [";
  for (const std::string& citation : outcome.citations) out << citation << ", ";
  return out << "] point " << outcome.point << " error "
             << (outcome.error ? ReasonName(*outcome.error) : std::string("none")) << " cause " << outcome.cause;
}

using Pieces = std::vector<absl::string_view>;

Outcome Decode(const Pieces& pieces) {
  EventDecoder decoder;
  std::vector<ChatEvent> events;
  absl::Status status;
  for (const absl::string_view piece : pieces) {
    status = decoder.Feed(piece, events);
    if (!status.ok()) break;
  }
  if (status.ok()) status = decoder.End(events);
  Outcome outcome;
  for (const ChatEvent& event : events) {
    outcome.text += event.text().text();
    outcome.reasoning += event.reasoning().text();
    if (event.has_citation()) {
      outcome.citations.push_back(
          absl::StrCat(event.citation().url(), " ", event.citation().title(), "@", event.citation().start()));
    }
  }
  outcome.point = decoder.point().ToString();
  if (!status.ok()) {
    outcome.error = ReasonOf(status);
    outcome.cause = DetailOf(status).cause();
  }
  EXPECT_EQ(status.ok(), decoder.complete());
  return outcome;
}
Outcome Decode(const std::string& bytes) { return Decode(Pieces{bytes}); }

struct Case {
  const char* name;
  const char* file;
  Outcome expected;
};

std::vector<Case> Cases() {
  return {
      {"Plain", "a1_plain.sse", {.text = "你好，很高兴见到你！", .point = "41000000000000100@41000000000000200@2"}},
      {"ThinkingAndSearch",
       "a2_thinking_and_search.sse",
       {.text = "高度是 330 米。",
        .reasoning = "需要查一下资料。",
        .citations = {"https://example.com/tower 塔的数据@10", "https://example.org/t2 另一篇@10"},
        .point = "42000000000000100@42000000000000200@4"}},
      {"Verify", "a3_verify.sse", {.error = Reason::REASON_CAPTCHA_PENDING, .cause = "verify"}},
      {"InvalidLogin", "a4_invalid_login.sse", {.error = Reason::REASON_CREDENTIAL_EXPIRED, .cause = "session"}},
      {"ReplacedAndCut",
       "a5_replaced_and_cut.sse",
       {.text = "Hi there, friend",
        .point = "43000000000000100@43000000000000200@2",
        .error = Reason::REASON_UPSTREAM_BROKEN,
        .cause = "truncated"}},
  };
}

class TranscriptTest : public ::testing::TestWithParam<Case> {
 protected:
  std::string Bytes() const { return ReadTestFile(absl::StrCat("tests/transcripts/doubao/", GetParam().file)); }
  static std::string Crlf(const std::string& text) { return absl::StrReplaceAll(text, {{"\n", "\r\n"}}); }
};

TEST_P(TranscriptTest, Whole) { EXPECT_EQ(Decode(Bytes()), GetParam().expected); }

TEST_P(TranscriptTest, EverySplitPoint) {
  for (const std::string& bytes : {Bytes(), Crlf(Bytes())}) {
    for (size_t at = 0; at <= bytes.size(); ++at) {
      const absl::string_view all = bytes;
      ASSERT_EQ(Decode({all.substr(0, at), all.substr(at)}), GetParam().expected) << "split at " << at;
    }
  }
}

TEST_P(TranscriptTest, ByteByByte) {
  for (const std::string& bytes : {Bytes(), Crlf(Bytes())}) {
    Pieces pieces;
    for (size_t at = 0; at < bytes.size(); ++at) pieces.push_back(absl::string_view(bytes).substr(at, 1));
    EXPECT_EQ(Decode(pieces), GetParam().expected);
  }
}

TEST_P(TranscriptTest, OneLineAnEvent) {
  const std::string lines = absl::StrReplaceAll(Bytes(), {{"\nevent: ", " event: "}, {"\ndata: ", " data: "}});
  if (!absl::StartsWith(lines, "id:")) return;  // only with an id it can be told
  for (const std::string& bytes : {lines, Crlf(lines)}) {
    for (size_t at = 0; at <= bytes.size(); ++at) {
      const absl::string_view all = bytes;
      ASSERT_EQ(Decode({all.substr(0, at), all.substr(at)}), GetParam().expected) << "split at " << at;
    }
  }
}

TEST_P(TranscriptTest, CommentsAndUnknownEventsChangeNothing) {
  EXPECT_EQ(Decode(absl::StrReplaceAll(
                Bytes(), {{"\n\n", "\n\n: comment\n\nevent: SSE_HEARTBEAT\ndata: {}\n\nevent: NEW\ndata: x\n\n"},
                          {"data: ", "data:"}})),
            GetParam().expected);
}

// A stream that stops anywhere before the first SSE_REPLY_END is no answer.
TEST_P(TranscriptTest, CutAnywhereIsAnError) {
  const std::string bytes = Bytes();
  if (GetParam().expected.error) return;  // it is an error anyway
  const size_t end = bytes.find("\n\n", bytes.find("SSE_REPLY_END")) + 1;
  for (size_t at = 0; at < end; ++at) {
    const Outcome cut = Decode(bytes.substr(0, at));
    ASSERT_EQ(cut.error, Reason::REASON_UPSTREAM_BROKEN) << "cut at " << at << ": " << cut;
    ASSERT_TRUE(absl::StartsWith(GetParam().expected.text, cut.text)) << cut.text;
  }
  EXPECT_EQ(Decode(bytes.substr(0, end + 1)), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(Doubao, TranscriptTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- single events

std::string Event(const std::string& name, const std::string& data) {
  return absl::StrCat("event: ", name, "\ndata: ", data, "\n\n");
}
std::string Blocks(const std::string& blocks) {
  return Event("STREAM_CHUNK",
               absl::StrCat(R"({"patch_op":[{"patch_object":1,"patch_value":{"content_block":[)", blocks, "]}}]}"));
}
std::string Text(const std::string& id, const std::string& text, int patch = 1, const std::string& parent = "") {
  return absl::StrCat(R"({"block_type":10000,"block_id":")", id, R"(","parent_id":")", parent,
                      R"(","content":{"text_block":{"text":")", text, R"("}},"patch_type":)", patch, "}");
}
const std::string kEnd = Event("SSE_REPLY_END", R"({"end_type":1})");

TEST(EventDecoder, TextThatIsReplaced) {
  const auto after = [](const std::string& events) {
    return Decode(absl::StrCat(Blocks(Text("b", "Hi")), events, kEnd)).text;
  };
  EXPECT_EQ(after(Blocks(Text("b", "Hi you", 2))), "Hi you");
  EXPECT_EQ(after(Blocks(Text("b", "Bye", 2))), "Hi");
  // Shortened, and grown again.
  EXPECT_EQ(after(absl::StrCat(Blocks(Text("b", "H", 2)), Blocks(Text("b", "i all")))), "Hi all");
  EXPECT_EQ(after(Blocks(Text("b", "", 3))), "Hi");
  EXPECT_EQ(after(absl::StrCat(Blocks(Text("b", "", 3)), Blocks(Text("c", "!")))), "Hi!");
}

TEST(EventDecoder, ABlockThatOnlyClosesKeepsItsText) {
  for (const int patch : {1, 2, 3}) {
    const std::string closing = absl::StrCat(
        R"({"block_type":10000,"block_id":"b","content":{"text_block":{}},"is_finish":true,"patch_type":)", patch, "}");
    EXPECT_EQ(Decode(absl::StrCat(Blocks(Text("b", "Hi")), Blocks(closing), Blocks(Text("b", "!")), kEnd)).text, "Hi!");
  }
}

TEST(EventDecoder, APieceGoesOnWithWhatCameLast) {
  const std::string thinking = R"({"block_type":10040,"block_id":"t","content":{"thinking_block":{}}})";
  const Outcome outcome = Decode(absl::StrCat(Blocks(thinking), Event("CHUNK_DELTA", R"({"text":"a"})"),
                                              Blocks(Text("r", "b", 1, "t")), Event("CHUNK_DELTA", R"({"text":"c"})"),
                                              Blocks(Text("x", "d")), Event("CHUNK_DELTA", R"({"text":"e"})"), kEnd));
  EXPECT_EQ(outcome.reasoning, "abc");
  EXPECT_EQ(outcome.text, "de");
  EXPECT_EQ(Decode(absl::StrCat(Event("CHUNK_DELTA", R"({"text":"a"})"), kEnd)).text, "a");
}

TEST(EventDecoder, TheFirstPieceIsInTheMessage) {
  const auto message = [](int user) {
    return Event("STREAM_MSG_NOTIFY", absl::StrCat(R"({"content":{"content_block":[)", Text("b", "One"),
                                                   R"(]},"meta":{"user_type":)", user, "}}"));
  };
  EXPECT_EQ(Decode(absl::StrCat(message(2), kEnd)).text, "One");
  EXPECT_EQ(Decode(absl::StrCat(message(1), message(2), kEnd)).text, "One") << "the question's echo is no answer";
}

TEST(EventDecoder, TheSummaryCountsWhereNothingElseCame) {
  const std::string end = Event("SSE_REPLY_END", R"({"end_type":1,"msg_finish_attr":{"brief":"All"}})");
  EXPECT_EQ(Decode(end).text, "All");
  EXPECT_EQ(Decode(absl::StrCat(Blocks(Text("b", "Hi")), end)).text, "Hi");
}

TEST(EventDecoder, AnyOfTheThreeEndsIsOne) {
  for (const char* type : {"1", "2", "3", "\"1\""}) {
    const std::string end = Event("SSE_REPLY_END", absl::StrCat("{\"end_type\":", type, "}"));
    EXPECT_FALSE(Decode(absl::StrCat(Blocks(Text("b", "Hi")), end, "rubbish\n\n")).error) << type;
  }
  EXPECT_FALSE(Decode(absl::StrCat(Blocks(Text("b", "Hi")), Event("STREAM_END", "{}"))).error);
  EXPECT_EQ(Decode(Event("STREAM_END", "{}")).error, Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(Decode(Event("SSE_REPLY_END", R"({"end_type":9})")).error, Reason::REASON_UPSTREAM_BROKEN);
}

TEST(EventDecoder, TheOldestFormOfText) {
  const auto old = [](const std::string& content) {
    return Event("STREAM_CHUNK",
                 absl::StrCat(R"({"patch_op":[{"patch_object":102,"patch_value":{"content":)", content, "}}]}"));
  };
  EXPECT_EQ(Decode(absl::StrCat(old(R"({"text":"a"})"), old(R"("{\"text\":\"b\"}")"), old(R"("c")"), kEnd)).text,
            "abc");
  EXPECT_EQ(Decode(absl::StrCat(Blocks(Text("b", "Hi")), old(R"("Hi")"), kEnd)).text, "Hi");
}

TEST(EventDecoder, SpeechIsNotText) {
  EXPECT_EQ(Decode(absl::StrCat(Blocks(Text("b", "Hi")),
                                Event("STREAM_CHUNK",
                                      R"({"patch_op":[{"patch_object":111,"patch_value":{"tts_content":"Hi"}}]})"),
                                kEnd))
                .text,
            "Hi");
}

TEST(EventDecoder, IdsAreExactInBothForms) {
  for (const std::string quote : {"", "\""}) {
    const std::string conversation = absl::StrCat(quote, "9223372036854775809", quote);
    const std::string section = absl::StrCat(quote, "7412345678901234567", quote);
    EXPECT_EQ(
        Decode(absl::StrCat(
                   Event("SSE_ACK",
                         absl::StrCat(R"({"query_list":[{"message_index":7}],"ack_client_meta":{"conversation_id":)",
                                      conversation, R"(,"section_id":)", section, "}}")),
                   kEnd))
            .point,
        "9223372036854775809@7412345678901234567@7");
  }
}

TEST(EventDecoder, PicturesAreAppendedOnce) {
  const auto image = [](const std::string& key, const std::string& kinds) {
    return Blocks(
        absl::StrCat(R"({"block_type":2074,"block_id":"i","content":{"creation_block":{"creations":[{"image":{"key":")",
                     key, "\",", kinds, "}}]}}}"));
  };
  const std::string first = R"("image_thumb":{"url":"https://i.example/t"},"image_ori":{"url":"https://i.example/o"})";
  EXPECT_EQ(Decode(absl::StrCat(Blocks(Text("b", "Hi")), image("k", first), image("k", first),
                                image("l", R"("image_preview":{"url":"https://i.example/p"})"), kEnd))
                .text,
            "Hi\n\n![image](https://i.example/o)\n\n![image](https://i.example/p)");
}

TEST(EventDecoder, WhatCannotBeParsedIsAChange) {
  for (const std::string garbage : {"{\"text\":", "hello", "[1]", "3", "{\"text\":\"a\"} x", ""}) {
    const Outcome outcome = Decode(absl::StrCat(Blocks(Text("b", "Hi")), Event("CHUNK_DELTA", garbage), kEnd));
    EXPECT_EQ(outcome.error, Reason::REASON_UPSTREAM_CHANGED) << garbage;
    EXPECT_EQ(outcome.text, "Hi");
  }
}

TEST(EventDecoder, InvalidUtf8IsReplaced) {
  EXPECT_EQ(Decode(absl::StrCat(Event("CHUNK_DELTA", "{\"text\":\"a\xff z\"}"), kEnd)).text, "a\xEF\xBF\xBD z");
}

TEST(EventDecoder, AHeartbeatShowsThatATakenRequestIsWorkedOn) {
  EventDecoder decoder;
  std::vector<ChatEvent> events;
  const auto progress = [&](const std::string& bytes) {
    EXPECT_TRUE(decoder.Feed(bytes, events).ok());
    return decoder.progress();
  };
  const std::string heartbeat = Event("SSE_HEARTBEAT", "{}");
  EXPECT_EQ(progress(heartbeat), 0);
  const int64_t taken = progress(Event("SSE_ACK", R"({"ack_client_meta":{"conversation_id":"7"}})"));
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(progress(heartbeat), taken + 1);
  EXPECT_EQ(progress(": a comment\n\n"), taken + 1);
  EXPECT_TRUE(events.empty());
}

TEST(EventDecoder, ErrorsInsideAnAnswer) {
  const Outcome broken =
      Decode(absl::StrCat(Blocks(Text("b", "Hi")), Event("STREAM_MSG_ERROR", R"({"error_code":710020702})")));
  EXPECT_EQ(broken.error, Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(broken.text, "Hi");
  EXPECT_FALSE(
      Decode(absl::StrCat(Blocks(Text("b", "Hi")), kEnd, Event("STREAM_ERROR", R"({"error_code":710020702})"))).error);
}

}  // namespace
}  // namespace switchyard::doubao
