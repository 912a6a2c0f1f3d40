#include "services/doubao/samantha_events.h"

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
  SamanthaDecoder decoder;
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

class TranscriptTest : public ::testing::TestWithParam<std::pair<const char*, Outcome>> {};

TEST_P(TranscriptTest, EverySplitPoint) {
  const std::string lines = ReadTestFile(absl::StrCat("tests/transcripts/doubao/", GetParam().first));
  for (const std::string& bytes : {lines, absl::StrReplaceAll(lines, {{"\n", "\r\n"}})}) {
    Pieces single;
    for (size_t at = 0; at <= bytes.size(); ++at) {
      const absl::string_view all = bytes;
      ASSERT_EQ(Decode({all.substr(0, at), all.substr(at)}), GetParam().second) << "split at " << at;
      single.push_back(all.substr(at, 1));
    }
    EXPECT_EQ(Decode(single), GetParam().second);
  }
}

TEST_P(TranscriptTest, CutAnywhereIsAnError) {
  const std::string bytes = ReadTestFile(absl::StrCat("tests/transcripts/doubao/", GetParam().first));
  if (GetParam().second.error) return;  // it is an error anyway
  // The end of the event that completes the message.
  const size_t end = bytes.find("\n\n", bytes.find("is_finish")) + 1;
  for (size_t at = 0; at < end; ++at) {
    const Outcome cut = Decode(bytes.substr(0, at));
    ASSERT_EQ(cut.error, Reason::REASON_UPSTREAM_BROKEN) << "cut at " << at << ": " << cut;
    ASSERT_TRUE(absl::StartsWith(GetParam().second.text, cut.text)) << cut.text;
  }
  EXPECT_EQ(Decode(bytes.substr(0, end + 1)), GetParam().second);
}

INSTANTIATE_TEST_SUITE_P(
    Doubao, TranscriptTest,
    ::testing::Values(std::pair<const char*, Outcome>("b1_thinking.sse",
                                                      {.text = "好的",
                                                       .reasoning = "想一想",
                                                       .citations = {"https://example.com/a 示例@2"},
                                                       .point = "44000000000000100@44000000000000200@1"}),
                      std::pair<const char*, Outcome>("b2_rate_limited.sse", {.error = Reason::REASON_RATE_LIMITED,
                                                                              .cause = "code_710022002"})));

TEST(SamanthaDecoder, ErrorFrames) {
  EXPECT_EQ(Decode("data: {\"code\":710012000}\n\n").error, Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(Decode("data: {\"message\":\"ErrorX:code=710012001 message=[x]\"}\n\n").error,
            Reason::REASON_CREDENTIAL_EXPIRED);
  EXPECT_EQ(Decode(R"(data: {"event_type":2005,"event_data":"{\"code\":710022004,\"error_detail\":{\"ext\":)"
                   R"({\"decision\":\"{\\\"type\\\":\\\"verify\\\"}\"}}}"})"
                   "\n\n")
                .error,
            Reason::REASON_CAPTCHA_PENDING);
  EXPECT_EQ(Decode("data: {\"event_type\":2001,\"event_data\":\"x\"}\n\n").error, Reason::REASON_UPSTREAM_CHANGED);
  EXPECT_EQ(Decode("data: x\n\n").error, Reason::REASON_UPSTREAM_CHANGED);
}

}  // namespace
}  // namespace switchyard::doubao
