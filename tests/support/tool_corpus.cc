#include "tests/support/tool_corpus.h"

#include <gtest/gtest.h>

#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "tests/support/files.h"

namespace switchyard {
namespace {

namespace json = boost::json;
using chat::v1::ToolChoice;

constexpr char kTools[] = R"([
  {"name": "get_weather", "description": "The weather of a city", "parameters": {"type": "object", "properties": {
    "city": {"type": "string", "description": "The city's name"},
    "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
    "days": {"type": "integer", "minimum": 1, "maximum": 14}}, "required": ["city"]}},
  {"name": "get_time", "description": "The time of day", "parameters": {"type": "object", "properties": {}}},
  {"name": "search", "description": "Searches the web", "parameters": {"type": "object", "properties": {
    "query": {"type": "string"}, "limit": {"type": "integer"},
    "filters": {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}}},
                "required": ["tags"]}}, "required": ["query"]}},
  {"name": "write_file", "parameters": {"type": "object", "properties": {
    "path": {"type": "string"}, "content": {"type": "string"}}, "required": ["path", "content"],
    "additionalProperties": false}},
  {"name": "run", "parameters": {"type": "object", "properties": {
    "command": {"type": "string"}, "args": {"type": "array", "items": {"type": "string"}},
    "timeout": {"type": "number"}, "background": {"type": "boolean"},
    "env": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}}, "required": ["command"]}}
])";

void ReadHead(const std::string& line, ToolRow& row) {
  absl::string_view rest = line;
  if (absl::ConsumePrefix(&rest, "platform: ")) row.platform = std::string(rest);
  if (absl::ConsumePrefix(&rest, "choice: ")) row.choice = std::string(rest);
  if (absl::ConsumePrefix(&rest, "platform_end: ")) row.cut = rest == "length";
}

void ReadExpected(const std::string& line, ToolOutcome& expected) {
  absl::string_view rest = line;
  if (absl::ConsumePrefix(&rest, "text: ")) {
    expected.text = std::string(json::parse(std::string(rest)).as_string());
  } else if (absl::ConsumePrefix(&rest, "call: ") || absl::ConsumePrefix(&rest, "begun: ")) {
    const size_t space = rest.find(' ');
    expected.calls.emplace_back(std::string(rest.substr(0, space)), std::string(rest.substr(space + 1)));
  } else if (absl::ConsumePrefix(&rest, "end: ")) {
    expected.end = std::string(rest);
  }
}

}  // namespace

std::string ToolOutcome::ToString() const {
  std::string out = absl::StrCat("text: ", json::serialize(json::string(text)), "\n");
  for (const auto& [name, arguments] : calls) absl::StrAppend(&out, "call: ", name, " ", arguments, "\n");
  return absl::StrCat(out, "end: ", end, "\n");
}

std::vector<ToolRow> ReadToolRows(const std::string& corpus) {
  enum class Part { kHead, kAnswer, kExpected } part = Part::kHead;
  std::vector<ToolRow> rows;
  std::istringstream lines(ReadTestFile(absl::StrCat("tests/data/tools/", corpus, ".txt")));
  for (std::string line; std::getline(lines, line);) {
    if (absl::StartsWith(line, "=== ")) {
      rows.emplace_back().name = line.substr(4);
      part = Part::kHead;
    } else if (line == "--- answer") {
      part = Part::kAnswer;
    } else if (line == "--- expected") {
      part = Part::kExpected;
    } else if (rows.empty()) {
      continue;
    } else if (part == Part::kHead) {
      ReadHead(line, rows.back());
    } else if (part == Part::kAnswer) {
      absl::StrAppend(&rows.back().answer, rows.back().answer.empty() ? "" : "\n", line);
    } else {
      ReadExpected(line, rows.back().expected);
    }
  }
  for (const ToolRow& row : rows) EXPECT_TRUE(!row.platform.empty() && !row.expected.end.empty()) << row.name;
  return rows;
}

std::string ToolsJson() {
  json::array tools;
  const json::value definitions = json::parse(kTools);
  for (const json::value& tool : definitions.as_array())
    tools.push_back(json::object{{"type", "function"}, {"function", tool}});
  return json::serialize(tools);
}

chat::v1::ChatRequest RequestOf(const ToolRow& row) {
  chat::v1::ChatRequest request;
  const json::value definitions = json::parse(kTools);
  for (const json::value& tool : definitions.as_array()) {
    auto& added = *request.add_tools();
    added.set_name(tool.at("name").as_string().c_str());
    if (const json::value* description = tool.as_object().if_contains("description"))
      added.set_description(description->as_string().c_str());
    added.set_parameters(json::serialize(tool.at("parameters")));
  }
  absl::string_view choice = row.choice;
  auto& message = *request.add_messages();
  message.set_role(chat::v1::ROLE_USER);
  message.add_parts()->set_text("?");
  if (choice == "none") request.mutable_tool_choice()->set_mode(ToolChoice::MODE_NONE);
  if (choice == "required") request.mutable_tool_choice()->set_mode(ToolChoice::MODE_REQUIRED);
  if (choice == "single") request.set_parallel_tool_calls(false);
  if (absl::ConsumePrefix(&choice, "named ")) {
    request.mutable_tool_choice()->set_mode(ToolChoice::MODE_NAMED);
    request.mutable_tool_choice()->set_name(std::string(choice));
  }
  return request;
}

std::string MembersOf(const ToolRow& row) {
  std::string members = absl::StrCat(",\"tools\":", ToolsJson());
  absl::string_view choice = row.choice;
  if (choice == "single") return members + ",\"parallel_tool_calls\":false";
  if (absl::ConsumePrefix(&choice, "named "))
    return absl::StrCat(members, R"(,"tool_choice":{"type":"function","function":{"name":")", choice, "\"}}");
  return absl::StrCat(members, ",\"tool_choice\":\"", choice, "\"");
}

}  // namespace switchyard
