#include "edge/field_names.h"

#include <gtest/gtest.h>

#include "services/common/status/reason.h"

namespace switchyard {
namespace {

const FieldNames& Names() {
  static const FieldNames names{{"max_completion_tokens", "max_tokens"},
                                {"messages", "input"},
                                {"messages[1]", "input[4]"},
                                {"messages[1].content[0]", "input[4].output"}};
  return names;
}

TEST(FieldNames, TheLongestKnownBeginningIsReplaced) {
  struct Row {
    const char* chat;
    const char* own;
  };
  for (const Row& row :
       {Row{"max_completion_tokens", "max_tokens"}, Row{"messages", "input"}, Row{"messages[1].role", "input[4].role"},
        Row{"messages[1].content[0]", "input[4].output"}, Row{"messages[1].content[0].x", "input[4].output.x"},
        Row{"messages[12].role", "input[12].role"}, Row{"messagesx", "messagesx"}, Row{"temperature", "temperature"},
        Row{"", ""}}) {
    EXPECT_EQ(Names().In(row.chat), row.own) << row.chat;
  }
}

TEST(FieldNames, EndingsToo) {
  FieldNames names{{"messages[1]", "input[4]"}};
  names.AddEnding(".file.file_id", ".file_id");
  EXPECT_EQ(names.In("messages[1].content[0].file.file_id"), "input[4].content[0].file_id");
  EXPECT_EQ(names.In("messages[1].content[0].file"), "input[4].content[0].file");
}

TEST(FieldNames, AnErrorIsSaidInTheCallersWords) {
  const absl::Status status = Names().In(MakeError(Reason::REASON_UNSUPPORTED_PARAMETER, "messages[1].content[0]: no",
                                                   {.field = "messages[1].content[0]"}));
  EXPECT_EQ(status.message(), "input[4].output: no");
  EXPECT_EQ(DetailOf(status).field(), "input[4].output");
  EXPECT_EQ(ReasonOf(status), Reason::REASON_UNSUPPORTED_PARAMETER);
  const absl::Status busy = MakeError(Reason::REASON_ACCOUNT_BUSY, "wait", {.retry_after = absl::Seconds(3)});
  EXPECT_EQ(Names().In(busy), busy) << "an error without a field is left as it is";
}

}  // namespace
}  // namespace switchyard
