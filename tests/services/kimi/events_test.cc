#include "services/kimi/events.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"
#include "tests/support/files.h"

namespace switchyard::kimi {
namespace {

struct Outcome {
  std::string text = {};
  std::string reasoning = {};
  std::string refusal = {};
  std::string citations = {};
  std::string chat = {};
  std::string message = {};
  Reason reason = Reason::REASON_UNSPECIFIED;

  auto Tie() const { return std::tie(text, reasoning, refusal, citations, chat, message, reason); }
  bool operator==(const Outcome& other) const { return Tie() == other.Tie(); }
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << "[" << outcome.text << "] [" << outcome.reasoning << "] [" << outcome.refusal << "] ["
             << outcome.citations << "] " << outcome.chat << " " << outcome.message << " "
             << ReasonName(outcome.reason);
}

Outcome Decode(const std::vector<absl::string_view>& pieces, absl::string_view encoding = "") {
  EventDecoder decoder;
  decoder.set_encoding(encoding);
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
    outcome.refusal += event.refusal().text();
    if (event.has_citation()) absl::StrAppend(&outcome.citations, event.citation().url(), " ");
  }
  outcome.chat = decoder.chat_id();
  outcome.message = decoder.message_id();
  if (!status.ok()) outcome.reason = ReasonOf(status);
  return outcome;
}

std::string Events(const std::vector<std::string>& payloads, const std::string& end = "{}") {
  std::string bytes =
      EncodeFrame(R"({"op":"set","mask":"message","message":{"id":"a","role":"assistant","blocks":[]}})");
  for (const std::string& payload : payloads) bytes += EncodeFrame(payload);
  bytes += EncodeFrame(R"({"done":{}})");
  std::string last = EncodeFrame(end);
  last[0] = 2;
  return bytes + last;
}

constexpr char kChat[] = "1a2b3c4d-0102-8abc-8000-0a0b0c0d0e0f";
constexpr char kAnswer[] = "1a2b3c4d-0102-8abe-8000-0a0b0c0d0e11";

TEST(Events, EveryTranscriptAtEverySplit) {
  const std::vector<std::pair<const char*, Outcome>> cases = {
      {"t1_plain", {"Ok ✓", "", "", "", kChat, kAnswer}},
      {"t2_thinking", {"It is 4.", "Add them.", "", "", kChat, kAnswer}},
      {"t3_search", {"At 04:10.", "", "", "https://tides.example/lisbon ", kChat, kAnswer}},
      {"t4_overloaded", {"", "", "", "", "", "", Reason::REASON_RATE_LIMITED}},
      {"t5_error_after_done", {"Par", "", "", "", kChat, kAnswer, Reason::REASON_UPSTREAM_BROKEN}},
      {"t6_bare_json", {"", "", "", "", "", "", Reason::REASON_UPSTREAM_CHANGED}},
      {"t7_heartbeat", {}},
  };
  for (const auto& [name, expected] : cases) {
    SCOPED_TRACE(name);
    const std::string bytes = ReadTestFile(absl::StrCat("tests/transcripts/kimi/", name, ".bin"));
    const absl::string_view all = bytes;
    EXPECT_EQ(Decode({all}), expected);
    std::vector<absl::string_view> single;
    for (size_t at = 0; at < all.size(); ++at) {
      single.push_back(all.substr(at, 1));
      ASSERT_EQ(Decode({all.substr(0, at), all.substr(at)}), expected) << "split at " << at;
    }
    EXPECT_EQ(Decode(single), expected) << "one byte at a time";
  }
}

TEST(Events, ACutAnswerIsBroken) {
  const std::string bytes = ReadTestFile("tests/transcripts/kimi/t1_plain.bin");
  const size_t completed = bytes.find("MESSAGE_STATUS_COMPLETED\"}}\x00");
  for (size_t at = 0; at < completed; at += 7)
    EXPECT_EQ(Decode({absl::string_view(bytes).substr(0, at)}).reason, Reason::REASON_UPSTREAM_BROKEN) << at;
}

TEST(Events, AnEndFrameMayBeMissingBehindDone) {
  const std::string bytes = ReadTestFile("tests/transcripts/kimi/t1_plain.bin");
  EXPECT_EQ(Decode({absl::string_view(bytes).substr(0, bytes.size() - 7)}).reason, Reason::REASON_UNSPECIFIED);
}

TEST(Events, TextBySetAndAppend) {
  const std::vector<std::pair<std::vector<std::string>, Outcome>> cases = {
      // A snapshot that grows, one that shrinks, one that differs.
      {{R"({"op":"set","block":{"id":"1","text":{"content":"Re"}}})",
        R"({"op":"set","block":{"id":"1","text":{"content":"Red"}}})",
        R"({"op":"set","block":{"id":"1","text":{"content":"R"}}})",
        R"({"op":"set","block":{"id":"1","text":{"content":"Blue"}}})",
        R"({"op":"append","block":{"id":"1","text":{"content":"."}}})"},
       {.text = "Red.", .message = "a"}},
      // The user's block is told by its message, or by its block.
      {{R"({"message":{"id":"u","role":"user","blocks":[{"id":"0","text":{"content":"unauthenticated"}}]}})",
        R"({"op":"append","block":{"id":"0","text":{"content":"more"}}})",
        R"({"op":"set","block":{"id":"7","messageId":"u","text":{"content":"more"}}})",
        R"({"op":"set","block":{"id":"1","messageId":"a","text":{"content":"Hi"}}})"},
       {.text = "Hi", .message = "a"}},
      // The older ways to mark reasoning.
      {{R"({"op":"set","block":{"id":"1","text":{"content":"Hm","flags":"thinking"}}})",
        R"({"op":"append","block":{"id":"1","text":{"content":"."}}})",
        R"({"op":"append","block":{"id":"1","text":{"content":"Hi","flags":"answer"}}})"},
       {.text = "Hi", .reasoning = "Hm.", .message = "a"}},
      {{R"({"op":"set","block":{"id":"s","multiStage":{"stages":[{"name":"STAGE_NAME_THINKING","status":"STAGE_STATUS_START"}]}}})",
        R"({"op":"set","block":{"id":"1","parentId":"s","text":{"content":"Hm"}}})", R"({"delta":{"content":"."}})",
        R"({"op":"set","block":{"id":"s","multiStage":{"stages":[{"name":"STAGE_NAME_THINKING","status":"completed"}]}}})",
        R"({"delta":{"content":"Hi"}})"},
       {.text = "Hi", .reasoning = "Hm.", .message = "a"}},
      // Sources in their other places.
      {{R"({"op":"set","block":{"id":"1","tool":{"contents":[{"searchResult":{"base":{"url":"u1","title":"t"}}}]}}})",
        R"({"ref":{"search":{"base":{"url":"u2"}}}})",
        R"({"message":{"id":"a","references":[{"items":[{"search":{"url":"u1"}},{"search":{"url":"u3"}}]}]}})"},
       {.citations = "u1 u2 u3 ", .message = "a"}},
      {{R"({"op":"set","block":{"id":"1","text":{"content":"Hi"}}})",
        R"({"block":{"id":"2","exception":{"error":{"reason":"REASON_SAFETY","localizedMessage":{"message":"No."}}}}})"},
       {.text = "Hi", .refusal = "No.", .message = "a"}},
      {{R"({"block":{"id":"2","exception":{"error":{"reason":"REASON_CONTENT"}}}})"},
       {.message = "a", .reason = Reason::REASON_CONTENT_REFUSED}},
      {{R"({"block":{"id":"2","exception":{"error":{"reason":"REASON_ODD"}}}})"},
       {.message = "a", .reason = Reason::REASON_UPSTREAM_UNAVAILABLE}},
  };
  for (const auto& [payloads, expected] : cases) EXPECT_EQ(Decode({Events(payloads)}), expected) << payloads[0];
}

std::string Gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(Frames, CompressedOnesAreReadWhereTheHeaderSaysHow) {
  std::string bytes = EncodeFrame(Gzip(R"({"op":"set","block":{"id":"1","text":{"content":"Hi"}}})"));
  bytes[0] = 1;
  bytes += Events({});
  EXPECT_EQ(Decode({bytes}, "gzip").text, "Hi");
  EXPECT_EQ(Decode({bytes}).reason, Reason::REASON_UPSTREAM_CHANGED);
  std::string bomb = EncodeFrame(Gzip(std::string(kMaxFrame + 1, ' ')));
  bomb[0] = 1;
  EXPECT_EQ(Decode({bomb}, "gzip").reason, Reason::REASON_UPSTREAM_CHANGED);
  std::string damaged = EncodeFrame("no gzip");
  damaged[0] = 1;
  EXPECT_EQ(Decode({damaged}, "gzip").reason, Reason::REASON_UPSTREAM_CHANGED);
}

TEST(Frames, WhatIsNoEnvelopeIsRefused) {
  for (const std::string& bytes : {std::string("<html>"), std::string("{\"code\":1}"),
                                   std::string("\x00\x00\x80\x00\x01", 5), std::string("\x00\xFF\xFF\xFF\xFF", 5),
                                   EncodeFrame("[]"), EncodeFrame("{"), EncodeFrame("{\"a\":\"\xC3\x28\"}")}) {
    EXPECT_EQ(Decode({bytes}).reason, Reason::REASON_UPSTREAM_CHANGED) << bytes;
  }
}

}  // namespace
}  // namespace switchyard::kimi
