// Models and what has to come of what they write: the rows of tests/data/tools/*.txt, each with its expected outcome.
//
//   === name of the row
//   platform: qwen
//   choice: auto | none | required | single | named get_time       (auto if absent; single: one call at most)
//   platform_end: length                                           (stop if absent)
//   --- answer
//   what the model writes
//   --- expected
//   text: "JSON string"                          (empty if absent)
//   call: get_time {"strict": "JSON"}            (a line each)
//   begun: get_time {"arg                        (a call that broke off)
//   end: stop | tool_calls | length | error tool_call_invalid
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// What came of an answer.
struct ToolOutcome {
  std::string text;
  std::vector<std::pair<std::string, std::string>> calls;  // name and arguments, those that broke off included
  std::string end;

  bool operator==(const ToolOutcome& other) const = default;
  std::string ToString() const;
};

struct ToolRow {
  std::string name;
  std::string platform;
  std::string choice = "auto";
  bool cut = false;  // by the platform
  std::string answer;
  ToolOutcome expected;
};

/// The rows of "behaving" or "misbehaving".
std::vector<ToolRow> ReadToolRows(const std::string& corpus);

/// The tools that all rows are about, as `tools` of a request.
std::string ToolsJson();
/// The request of a row: ToolsJson() and its choice.
chat::v1::ChatRequest RequestOf(const ToolRow& row);
/// The same as members of an OpenAI request: R"(,"tools":[…],"tool_choice":"required")".
std::string MembersOf(const ToolRow& row);

}  // namespace switchyard
