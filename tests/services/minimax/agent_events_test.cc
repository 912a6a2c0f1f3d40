#include "services/minimax/agent_events.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "services/common/status/reason.h"
#include "tests/support/files.h"

namespace switchyard::minimax {
namespace {

struct Outcome {
  std::string text = {}, reasoning = {};
  int64_t usage = 0;
  bool complete = false, cut = false;
  absl::Status status = {};

  bool operator==(const Outcome& other) const {
    return text == other.text && reasoning == other.reasoning && usage == other.usage && complete == other.complete &&
           cut == other.cut && status == other.status;
  }
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << "[" << outcome.text << "] [" << outcome.reasoning << "] " << outcome.usage << " " << outcome.complete
             << outcome.cut << " " << outcome.status;
}

Outcome Decode(const std::vector<absl::string_view>& pieces) {
  AgentDecoder decoder;
  Outcome outcome;
  std::vector<ChatEvent> events;
  for (const absl::string_view piece : pieces) {
    outcome.status = decoder.Feed(piece, events);
    if (!outcome.status.ok()) break;
  }
  if (outcome.status.ok()) outcome.status = decoder.End(events);
  for (const ChatEvent& event : events) {
    outcome.text += event.text().text();
    outcome.reasoning += event.reasoning().text();
    if (event.has_usage()) outcome.usage = event.usage().total_tokens();
  }
  outcome.complete = decoder.complete();
  outcome.cut = decoder.cut();
  return outcome;
}

/// In one piece, cut at every point, and a byte at a time; with either end of line; with a space behind the colon.
void ExpectEveryWay(const std::string& stream, const Outcome& expected) {
  for (const bool crlf : {false, true}) {
    for (const bool space : {false, true}) {
      std::string bytes = crlf ? absl::StrReplaceAll(stream, {{"\n", "\r\n"}}) : stream;
      if (space) bytes = absl::StrReplaceAll(bytes, {{"data:{", "data: {"}});
      EXPECT_EQ(Decode({bytes}), expected);
      const absl::string_view all = bytes;
      for (size_t at = 1; at < all.size(); ++at) ASSERT_EQ(Decode({all.substr(0, at), all.substr(at)}), expected) << at;
      std::vector<absl::string_view> single;
      for (size_t at = 0; at < all.size(); ++at) single.push_back(all.substr(at, 1));
      EXPECT_EQ(Decode(single), expected);
    }
  }
}

std::string Transcript(const std::string& name) { return ReadTestFile("tests/transcripts/minimax/" + name); }

std::string Chunk(const std::string& text, const std::string& more = "") {
  return R"(data:{"type":6,"agent_message_chunk":{"msg_id":"m","msg_content":")" + text + "\"" + more + "}}\n\n";
}
std::string Whole(const std::string& text, const std::string& reason) {
  return R"(data:{"type":2,"agent_message":{"msg_id":"m","msg_content":")" + text + R"(","finish_reason":")" + reason +
         "\"}}\n\n";
}

TEST(AgentDecoder, ThinkingTranscript) {
  ExpectEveryWay(Transcript("a1_thinking.sse"),
                 {.text = "Hello there.", .reasoning = "Greeting.", .usage = 17, .complete = true});
}

TEST(AgentDecoder, ErrorInMidStreamTranscript) {
  ExpectEveryWay(
      Transcript("a2_error_mid_stream.sse"),
      {.text = "Par",
       .status = MakeError(Reason::REASON_UPSTREAM_BROKEN, "minimax's answer broke off: the platform reported trouble",
                           {.cause = "in_stream_error"})});
}

TEST(AgentDecoder, PiecesMayBeIncrementsOrAllSoFar) {
  EXPECT_EQ(Decode({Chunk("One"), Chunk(" two"), Chunk(" two"), Whole("One two two", "stop")}).text, "One two two");
  EXPECT_EQ(Decode({Chunk("One"), Chunk("One two"), Chunk("One two"), Whole("One two.", "stop")}).text, "One two.");
  EXPECT_EQ(Decode({Whole("One", "stop")}).text, "One");
  EXPECT_TRUE(Decode({Whole("One", "length")}).cut);
}

TEST(AgentDecoder, AFinishedChunkIsAnEndAndOneThatIsNotIsNone) {
  EXPECT_TRUE(Decode({Chunk("One", R"(,"finish":true)")}).status.ok());
  EXPECT_TRUE(Decode({Chunk("One", R"(,"finish":true)"), "data:[DONE]\n\n"}).complete);
  EXPECT_EQ(ReasonOf(Decode({Chunk("One"), "data:[DONE]\n\n"}).status), Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(ReasonOf(Decode({Chunk("One")}).status), Reason::REASON_UPSTREAM_BROKEN);
}

TEST(AgentDecoder, WithinTheAnswerTroubleBreaksItAndTheRestKeepsItsReason) {
  const auto late = [](const char* event) { return ReasonOf(Decode({Chunk("One"), event}).status); };
  EXPECT_EQ(late("data:{\"type\":\"error\",\"message\":\"rpc timeout\"}\n\n"), Reason::REASON_UPSTREAM_BROKEN);
  EXPECT_EQ(late("data:{\"base_resp\":{\"status_code\":77,\"status_msg\":\"new\"}}\n\n"),
            Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(late("data:{\"base_resp\":{\"status_code\":30100}}\n\n"), Reason::REASON_QUOTA_SPENT);
  EXPECT_EQ(late("data:nothing\n\n"), Reason::REASON_UPSTREAM_CHANGED);
}

TEST(AgentDecoder, ErrorsBeforeTheAnswerKeepTheirReason) {
  EXPECT_EQ(ReasonOf(Decode({"data:{\"base_resp\":{\"status_code\":30100}}\n\n"}).status), Reason::REASON_QUOTA_SPENT);
  EXPECT_EQ(ReasonOf(Decode({"data:{\"type\":\"error\",\"message\":\"rpc timeout\"}\n\n"}).status),
            Reason::REASON_UPSTREAM_UNAVAILABLE);
  EXPECT_EQ(ReasonOf(Decode({"event:error\ndata:{\"msg\":\"no credit\"}\n\n"}).status), Reason::REASON_QUOTA_SPENT);
  EXPECT_EQ(ReasonOf(Decode({"data:nothing\n\n"}).status), Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_TRUE(Decode({"data:{\"type\":10}\n\n", Whole("ok", "stop")}).status.ok());
}

}  // namespace
}  // namespace switchyard::minimax
