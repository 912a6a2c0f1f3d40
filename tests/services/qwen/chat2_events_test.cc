#include "services/qwen/chat2_events.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/common/status/reason.h"
#include "tests/support/files.h"

namespace switchyard::qwen {
namespace {

/// "text|reasoning|ending|session|cause".
std::string Decode(const std::vector<absl::string_view>& pieces) {
  Chat2Decoder decoder;
  std::vector<ChatEvent> events;
  absl::Status status;
  for (const absl::string_view piece : pieces) {
    status = decoder.Feed(piece, events);
    if (!status.ok()) break;
  }
  if (status.ok()) status = decoder.End(events);
  std::string text, reasoning;
  for (const ChatEvent& event : events) {
    text += event.text().text();
    reasoning += event.reasoning().text();
  }
  return absl::StrCat(text, "|", reasoning, "|", static_cast<int>(decoder.ending()), "|", decoder.session(), "|",
                      status.ok() ? "" : DetailOf(status).cause());
}

TEST(QwenChat2, EveryTranscriptAtEverySplitPoint) {
  for (const auto& [file, expected] : std::vector<std::pair<std::string, std::string>>{
           {"b1_thinking.sse", "答案是 42。|先看题目。|1|00112233445566778899aabbccddeeff|"},
           {"b2_newer_parts.sse", "约 324 米|用户问的是高度|1|10112233445566778899aabbccddeeff|"}}) {
    const std::string lf = ReadTestFile(absl::StrCat("tests/transcripts/qwen/", file));
    for (const std::string& text : {lf, absl::StrReplaceAll(lf, {{"\n", "\r\n"}})}) {
      const absl::string_view whole(text);
      std::vector<absl::string_view> bytes;
      for (size_t at = 0; at < text.size(); ++at) {
        ASSERT_EQ(Decode({whole.substr(0, at), whole.substr(at)}), expected) << file << " split at " << at;
        bytes.push_back(whole.substr(at, 1));
      }
      EXPECT_EQ(Decode(bytes), expected) << file;
    }
  }
}

TEST(QwenChat2, EndsAndFailures) {
  const std::string part = R"("messages":[{"mime_type":"multi_load/iframe","status":"processing","content":"One"}])";
  const auto frame = [](const std::string& inside) { return absl::StrCat("event:message\ndata:{", inside, "}\n\n"); };
  EXPECT_EQ(Decode({frame("\"data\":{" + part + "}")}), "One||0||truncated");
  EXPECT_EQ(Decode({frame("\"data\":{" + part + R"(,"status":"complete"})")}), "One||1||");
  EXPECT_EQ(Decode({frame("\"data\":{" + absl::StrReplaceAll(part, {{"processing", "finished"}}) + "}")}), "One||1||");
  EXPECT_EQ(Decode({frame("\"data\":{" + part + R"(},"audit_info":{"problem_code":"blocked"})")}), "One||2||");
  EXPECT_EQ(Decode({frame(R"("success":false,"error_code":9,"error_msg":"x")")}), "||0||unknown_code");
  EXPECT_EQ(Decode({"data: {\n\n"}), "||0||protocol");
}

}  // namespace
}  // namespace switchyard::qwen
