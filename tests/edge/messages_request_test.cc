#include "edge/messages_request.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

absl::StatusOr<MessagesCall> Parse(const std::string& more) {
  return ParseMessages(absl::StrCat(R"({"model":"m","max_tokens":9)", more.empty() ? "" : ",", more, "}"));
}

/// The request in text format, without what every request here has.
std::string Text(chat::v1::ChatRequest request, bool messages) {
  request.clear_model();
  request.clear_max_output_tokens();
  if (!messages) request.clear_messages();
  if (request.sampling().ByteSizeLong() == 0) request.clear_sampling();
  if (request.reasoning().format() == chat::v1::REASONING_FORMAT_SEPARATE) request.mutable_reasoning()->clear_format();
  if (request.reasoning().ByteSizeLong() == 0) request.clear_reasoning();
  for (auto& unsupported : *request.mutable_unsupported()) {
    EXPECT_NE(unsupported.why(), "");
    unsupported.clear_why();
  }
  return request.ShortDebugString();
}

struct Row {
  const char* json;
  const char* request;
};

TEST(ParseMessages, EveryFieldHasItsPlace) {
  for (
      const Row& row : {
          Row{R"("temperature":0.5,"top_p":1,"top_k":3)", "sampling { temperature: 0.5 top_p: 1 top_k: 3 }"},
          Row{R"("stop_sequences":["a","b"])", R"(stop: "a" stop: "b")"},
          Row{R"("tools":[{"name":"f","description":"d","input_schema":{"type":"object"}},{"type":"custom","name":"g","input_schema":{},"cache_control":{"type":"ephemeral"}}])",
              R"(tools { name: "f" description: "d" parameters: "{\"type\":\"object\"}" } tools { name: "g" parameters: "{}" })"},
          Row{R"("tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3,"user_location":{"type":"approximate","city":"Wien"}}])",
              R"(web_search { enabled: true city: "Wien" })"},
          Row{R"("tools":[{"type":"web_search_20250305","name":"web_search","allowed_domains":["x"],"blocked_domains":[]}])",
              R"(web_search { enabled: true } unsupported { field: "tools[0].allowed_domains" })"},
          Row{R"("tools":[{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"none"})",
              "tool_choice { mode: MODE_NONE } web_search { enabled: false }"},
          Row{R"("tools":[{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"tool","name":"web_search"})",
              "web_search { enabled: true }"},
          Row{R"("tools":[{"type":"bash_20250124","name":"bash"}])",
              R"(ignored_fields: "tools[].name" unsupported { field: "tools[0].type" })"},
          Row{R"("tool_choice":{"type":"any","disable_parallel_tool_use":true})",
              "tool_choice { mode: MODE_REQUIRED } parallel_tool_calls: false"},
          Row{R"("tool_choice":{"type":"tool","name":"f"})", R"(tool_choice { mode: MODE_NAMED name: "f" })"},
          Row{R"("tool_choice":{"type":"auto"})", "tool_choice { mode: MODE_AUTO }"},
          Row{R"("thinking":{"type":"enabled","budget_tokens":1024})", "reasoning { effort: EFFORT_LOW }"},
          Row{R"("thinking":{"type":"enabled","budget_tokens":10000})", "reasoning { effort: EFFORT_MEDIUM }"},
          Row{R"("thinking":{"type":"enabled","budget_tokens":32000})", "reasoning { effort: EFFORT_HIGH }"},
          Row{R"("thinking":{"type":"disabled"},"output_config":{"effort":"max"})",
              "reasoning { effort: EFFORT_NONE }"},
          Row{R"("thinking":{"type":"adaptive"})", ""},
          Row{R"("thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max"})",
              "reasoning { effort: EFFORT_MAX format: REASONING_FORMAT_HIDDEN }"},
          Row{R"("reasoning_format":"think")", "reasoning { format: REASONING_FORMAT_THINK }"},
          Row{R"("output_config":{"format":{"type":"json_schema","schema":{"a":1}}})",
              R"(response_format { kind: KIND_JSON_SCHEMA name: "output" schema: "{\"a\":1}" })"},
          Row{R"("metadata":{"user_id":"u"})", R"(end_user: "u")"},
          Row{R"("service_tier":"auto","cache_control":{"type":"ephemeral"},"container":null,"mcp_servers":[])", ""},
          Row{R"("container":"c")", R"(unsupported { field: "container" })"},
          Row{R"("mcp_servers":[{"url":"x"}])", R"(unsupported { field: "mcp_servers" })"},
          Row{R"("made_up":1,"metadata":{"x":1})", R"(ignored_fields: "made_up" ignored_fields: "metadata.x")"},
      }) {
    auto call = Parse(absl::StrCat(R"("messages":[{"role":"user","content":"x"}],)", row.json));
    ASSERT_TRUE(call.ok()) << row.json << call.status();
    EXPECT_EQ(call->request.max_output_tokens(), 9);
    EXPECT_EQ(Text(call->request, false), row.request) << row.json;
  }
  EXPECT_EQ(Parse(R"("messages":[])")->request.reasoning().format(), chat::v1::REASONING_FORMAT_SEPARATE);
  EXPECT_TRUE(Parse(R"("messages":[],"stream":true)")->stream);
}

TEST(ParseMessages, BlocksAreParts) {
  for (
      const Row& row : {
          Row{R"("system":"s","messages":[{"role":"user","content":"x"}])",
              R"(messages { role: ROLE_SYSTEM parts { text: "s" } } messages { role: ROLE_USER parts { text: "x" } })"},
          Row{R"("system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}},{"type":"text","text":"t"}],"messages":[])",
              R"(messages { role: ROLE_SYSTEM parts { text: "s" } parts { text: "t" } })"},
          Row{R"("messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},{"type":"image","source":{"type":"url","url":"https://x"}}]}])",
              R"(messages { role: ROLE_USER parts { image { data: "hi" media_type: "image/png" } } parts { image { url: "https://x" } } })"},
          Row{R"("messages":[{"role":"user","content":[{"type":"document","title":"T","source":{"type":"base64","media_type":"application/pdf","data":"aGk="}},{"type":"document","source":{"type":"url","url":"https://x"}},
                  {"type":"document","title":"T","context":"C","source":{"type":"text","media_type":"text/plain","data":"D"}},{"type":"document","source":{"type":"content","content":[{"type":"text","text":"E"}]}}]}])",
              R"(messages { role: ROLE_USER parts { file { data: "hi" filename: "T" media_type: "application/pdf" } } parts { file { url: "https://x" } } )"
              R"(parts { text: "T" } parts { text: "C" } parts { text: "D" } parts { text: "E" } })"},
          Row{R"("messages":[{"role":"user","content":[{"type":"search_result","title":"T","source":"https://x","content":[{"type":"text","text":"D"}]}]}])",
              R"(messages { role: ROLE_USER parts { text: "T\nhttps://x" } parts { text: "D" } })"},
          Row{R"("messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"w","signature":""},{"type":"redacted_thinking","data":"x"},{"type":"text","text":"a","citations":null},{"type":"tool_use","id":"c","name":"f","input":{"a":1}}]},
                  {"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"r"},{"type":"tool_result","tool_use_id":"d","is_error":true,"content":[{"type":"text","text":"s"}]},{"type":"text","text":"go on"}]}])",
              R"(messages { role: ROLE_ASSISTANT parts { text: "a" } tool_calls { id: "c" name: "f" arguments: "{\"a\":1}" } reasoning: "w" } )"
              R"(messages { role: ROLE_TOOL parts { text: "r" } tool_call_id: "c" } )"
              R"(messages { role: ROLE_TOOL parts { text: "The tool failed:" } parts { text: "s" } tool_call_id: "d" } )"
              R"(messages { role: ROLE_USER parts { text: "go on" } })"},
          Row{R"("messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}},{"type":"container_upload","file_id":"f"}]}])",
              R"(ignored_fields: "messages[].content[].file_id" unsupported { field: "messages[0].content[0]" } unsupported { field: "messages[0].content[1].type" })"},
          Row{R"("messages":[{"role":"user","content":[{"type":"document","citations":{"enabled":true},"source":{"type":"text","data":"D"}}]}])",
              R"(messages { role: ROLE_USER parts { text: "D" } } unsupported { field: "messages[0].content[0].citations.enabled" })"},
          Row{R"("messages":[{"role":"user","content":[]}])", "messages { role: ROLE_USER }"},
      }) {
    auto call = Parse(row.json);
    ASSERT_TRUE(call.ok()) << row.json << call.status();
    EXPECT_EQ(Text(call->request, true), row.request) << row.json;
  }
}

TEST(ParseMessages, ErrorsOfTheProviderAreSaidInTheBlocksOwnPlace) {
  const auto call = Parse(
      R"("system":"s","messages":[{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"tool_use","id":"c","name":"f","input":{}}]},
         {"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[{"type":"text","text":"r"}]},{"type":"text","text":"t"},{"type":"image","source":{"type":"url","url":"https://x"}}]}])");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->names.In("messages[0].content[0]"), "system");
  EXPECT_EQ(call->names.In("messages[1].tool_calls[0].arguments"), "messages[0].content[1].arguments");
  EXPECT_EQ(call->names.In("messages[2].content[0]"), "messages[1].content[0].content[0]");
  EXPECT_EQ(call->names.In("messages[3].content[1]"), "messages[1].content[2]");
  EXPECT_EQ(call->names.In("max_completion_tokens"), "max_tokens");
  EXPECT_EQ(call->names.In("stop[4]"), "stop_sequences[4]");
}

TEST(ParseMessages, FaultsNameTheirField) {
  struct Fault {
    const char* json;
    const char* field;
  };
  for (
      const Fault& row : {
          Fault{"", "messages"},
          Fault{R"("messages":{})", "messages"},
          Fault{R"("messages":[3])", "messages[0]"},
          Fault{R"("messages":[{"role":"robot","content":"x"}])", "messages[0].role"},
          Fault{R"("messages":[{"role":"user"}])", "messages[0].content"},
          Fault{R"("messages":[{"role":"user","content":7}])", "messages[0].content"},
          Fault{R"("messages":[{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0].text"},
          Fault{R"("messages":[{"role":"user","content":[{"type":"image"}]}])", "messages[0].content[0].source"},
          Fault{
              R"("messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"x","data":"!"}}]}])",
              "messages[0].content[0].source.data"},
          Fault{R"("messages":[{"role":"user","content":[{"type":"tool_result","content":"r"}]}])",
                "messages[0].content[0].tool_use_id"},
          Fault{R"("messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":"{}"}]}])",
                "messages[0].content[0].input"},
          Fault{R"("system":[{"type":"image"}],"messages":[])", "system[0].type"},
          Fault{R"("messages":[],"stop_sequences":"x")", "stop_sequences"},
          Fault{R"("messages":[],"tools":[{"name":"f"}])", "tools[0].input_schema"},
          Fault{R"("messages":[],"tool_choice":"auto")", "tool_choice"},
          Fault{R"("messages":[],"tool_choice":{"type":"tool"})", "tool_choice.name"},
          Fault{R"("messages":[],"thinking":{"type":"enabled"})", "thinking.budget_tokens"},
          Fault{R"("messages":[],"thinking":{"type":"often"})", "thinking.type"},
          Fault{R"("messages":[],"output_config":{"format":{"type":"json_schema"}})", "output_config.format.schema"},
      }) {
    const auto call = Parse(row.json);
    EXPECT_EQ(ReasonOf(call.status()), Reason::REASON_INVALID_REQUEST) << row.json;
    EXPECT_EQ(DetailOf(call.status()).field(), row.field) << row.json << call.status();
  }
  const auto without = ParseMessages(R"({"model":"m","messages":[]})");
  EXPECT_EQ(DetailOf(without.status()).field(), "max_tokens");
}

}  // namespace
}  // namespace switchyard
