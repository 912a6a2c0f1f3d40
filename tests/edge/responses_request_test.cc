#include "edge/responses_request.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

namespace json = boost::json;

absl::StatusOr<ResponseCall> Parse(const std::string& more) {
  return ParseResponse(absl::StrCat(R"({"model":"m")", more.empty() ? "" : ",", more, "}"));
}

/// The request in text format, without what every request here has.
std::string Text(chat::v1::ChatRequest request, bool messages) {
  request.clear_model();
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

TEST(ParseResponse, EveryFieldHasItsPlace) {
  for (
      const Row& row : {
          Row{R"("temperature":0.5,"top_p":1)", "sampling { temperature: 0.5 top_p: 1 }"},
          Row{R"("max_output_tokens":5)", "max_output_tokens: 5"},
          Row{R"("tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":true}])",
              R"(tools { name: "f" description: "d" parameters: "{\"type\":\"object\"}" strict: true })"},
          Row{R"("tools":[{"type":"web_search","search_context_size":"low","user_location":{"type":"approximate","city":"Wien","country":"AT"}}])",
              R"(web_search { enabled: true context_size: "low" country: "AT" city: "Wien" })"},
          Row{R"("tools":[{"type":"web_search_preview"}],"tool_choice":"none")",
              "tool_choice { mode: MODE_NONE } web_search { enabled: false }"},
          Row{R"("tools":[{"type":"web_search_preview_2025_03_11"}],"tool_choice":"required")",
              "web_search { enabled: true }"},
          Row{R"("tool_choice":{"type":"web_search_preview"})", "web_search { enabled: true }"},
          Row{R"("tools":[{"type":"web_search","filters":{"allowed_domains":["x"]}}])",
              R"(web_search { enabled: true } unsupported { field: "tools[0].filters" })"},
          Row{R"("tools":[{"type":"code_interpreter","container":"x"}])",
              R"(ignored_fields: "tools[].container" unsupported { field: "tools[0].type" })"},
          Row{R"("tool_choice":"required","parallel_tool_calls":false)",
              "tool_choice { mode: MODE_REQUIRED } parallel_tool_calls: false"},
          Row{R"("tool_choice":{"type":"function","name":"f"})", R"(tool_choice { mode: MODE_NAMED name: "f" })"},
          Row{R"("tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]})",
              R"(tool_choice { mode: MODE_AUTO allowed: "f" })"},
          Row{R"("tool_choice":{"type":"mcp","server_label":"x"})",
              R"(ignored_fields: "tool_choice.server_label" unsupported { field: "tool_choice.type" })"},
          Row{R"("reasoning":{"effort":"high","summary":"auto"})", "reasoning { effort: EFFORT_HIGH }"},
          Row{R"("reasoning_format":"tags")", "reasoning { format: REASONING_FORMAT_TAGS }"},
          Row{R"("text":{"format":{"type":"json_object"},"verbosity":"low"})",
              "response_format { kind: KIND_JSON_OBJECT }"},
          Row{R"("text":{"format":{"type":"json_schema","name":"n","schema":{"a":1},"strict":true}})",
              R"(response_format { kind: KIND_JSON_SCHEMA name: "n" schema: "{\"a\":1}" strict: true })"},
          Row{R"("user":"u","metadata":{"k":"v"})", R"(end_user: "u" metadata { key: "k" value: "v" })"},
          Row{R"("store":true,"truncation":"auto","include":["reasoning.encrypted_content"],"service_tier":"auto",
                  "background":false,"previous_response_id":null,"conversation":null,"top_logprobs":0)",
              ""},
          Row{R"("include":["message.output_text.logprobs"])", R"(unsupported { field: "include[0]" })"},
          Row{R"("previous_response_id":"resp_1")", R"(unsupported { field: "previous_response_id" })"},
          Row{R"("conversation":{"id":"c"})", R"(unsupported { field: "conversation" })"},
          Row{R"("background":true)", R"(unsupported { field: "background" })"},
          Row{R"("prompt":{"id":"p"})", R"(unsupported { field: "prompt" })"},
          Row{R"("top_logprobs":3)", R"(unsupported { field: "top_logprobs" })"},
          Row{R"("made_up":1,"reasoning":{"depth":2})",
              R"(ignored_fields: "made_up" ignored_fields: "reasoning.depth")"},
      }) {
    auto call = Parse(absl::StrCat(R"("input":"x",)", row.json));
    ASSERT_TRUE(call.ok()) << row.json << call.status();
    EXPECT_EQ(Text(call->request, false), row.request) << row.json;
  }
  EXPECT_EQ(Parse(R"("input":"x")")->request.reasoning().format(), chat::v1::REASONING_FORMAT_SEPARATE);
  EXPECT_FALSE(Parse(R"("input":"x")")->reasoning_summary);
  EXPECT_TRUE(Parse(R"("input":"x","reasoning":{"summary":"detailed"})")->reasoning_summary);
}

TEST(ParseResponse, ItemsAreMessages) {
  for (
      const Row& row : {
          Row{R"("input":"x")", R"(messages { role: ROLE_USER parts { text: "x" } })"},
          Row{R"("instructions":"i","input":"x")",
              R"(messages { role: ROLE_SYSTEM parts { text: "i" } } messages { role: ROLE_USER parts { text: "x" } })"},
          Row{R"("input":[{"role":"developer","content":"d"},{"type":"message","role":"user","content":[{"type":"input_text","text":"t"}]}])",
              R"(messages { role: ROLE_SYSTEM parts { text: "d" } } messages { role: ROLE_USER parts { text: "t" } })"},
          Row{R"("input":[{"role":"user","content":[{"type":"input_image","detail":"low","image_url":"data:image/png;base64,aGk="}]}])",
              R"(messages { role: ROLE_USER parts { image { data: "hi" media_type: "image/png" detail: "low" } } })"},
          Row{R"("input":[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,aGk="},{"type":"input_file","file_url":"https://x"}]}])",
              R"(messages { role: ROLE_USER parts { file { data: "hi" filename: "a.pdf" media_type: "application/pdf" } } parts { file { url: "https://x" } } })"},
          Row{R"("input":[{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"a","annotations":[]},{"type":"refusal","refusal":"no"}]},
                  {"type":"reasoning","id":"rs_1","summary":[]},
                  {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
                  {"type":"function_call","call_id":"c2","name":"g","arguments":""},
                  {"type":"function_call_output","call_id":"c1","output":"r"},
                  {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"s"}]}])",
              R"(messages { role: ROLE_ASSISTANT parts { text: "a" } tool_calls { id: "c1" name: "f" arguments: "{}" } )"
              R"(tool_calls { id: "c2" name: "g" } refusal: "no" } )"
              R"(messages { role: ROLE_TOOL parts { text: "r" } tool_call_id: "c1" } )"
              R"(messages { role: ROLE_TOOL parts { text: "s" } tool_call_id: "c2" })"},
          Row{R"("input":[{"type":"item_reference","id":"x"},{"type":"computer_call","action":{}}])",
              R"(ignored_fields: "input[].action" unsupported { field: "input[0]" } unsupported { field: "input[1].type" })"},
      }) {
    auto call = Parse(row.json);
    ASSERT_TRUE(call.ok()) << row.json << call.status();
    EXPECT_EQ(Text(call->request, true), row.request) << row.json;
  }
}

TEST(ParseResponse, ErrorsOfTheProviderAreSaidInTheItemsOwnPlace) {
  const auto call = Parse(
      R"("instructions":"i","input":[{"type":"reasoning","summary":[]},{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"https://x"}]},
         {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"r"}])");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->names.In("messages[0].content"), "instructions.content");
  EXPECT_EQ(call->names.In("messages[1].content[1]"), "input[1].content[1]");
  EXPECT_EQ(call->names.In("messages[2].tool_calls[0]"), "input[2]");
  EXPECT_EQ(call->names.In("messages[3].content[0]"), "input[3].output");
  EXPECT_EQ(call->names.In("max_completion_tokens"), "max_output_tokens");
}

TEST(ParseResponse, FaultsNameTheirField) {
  struct Fault {
    const char* json;
    const char* field;
  };
  for (const Fault& row : {
           Fault{"", "input"},
           Fault{R"("input":3)", "input"},
           Fault{R"("input":[3])", "input[0]"},
           Fault{R"("input":[{"role":"robot","content":"x"}])", "input[0].role"},
           Fault{R"("input":[{"role":"user"}])", "input[0].content"},
           Fault{R"("input":[{"role":"user","content":[{"type":"text","text":"x"}]}])", "input[0].content[0].type"},
           Fault{R"("input":[{"role":"user","content":[{"type":"input_text"}]}])", "input[0].content[0].text"},
           Fault{R"("input":[{"role":"user","content":[{"type":"input_image"}]}])", "input[0].content[0].image_url"},
           Fault{R"("input":[{"type":"function_call","name":"f","arguments":"{}"}])", "input[0].call_id"},
           Fault{R"("input":[{"type":"function_call_output","call_id":"c"}])", "input[0].output"},
           Fault{R"("input":"x","max_output_tokens":0)", "max_output_tokens"},
           Fault{R"("input":"x","tools":[{"type":"function"}])", "tools[0].name"},
           Fault{R"("input":"x","tool_choice":"maybe")", "tool_choice"},
           Fault{R"("input":"x","tool_choice":{"type":"function"})", "tool_choice.name"},
           Fault{R"("input":"x","reasoning":{"effort":"very"})", "reasoning.effort"},
           Fault{R"("input":"x","text":{"format":{"type":"xml"}})", "text.format.type"},
           Fault{R"("input":"x","text":{"format":{"type":"json_schema","name":"n"}})", "text.format.schema"},
           Fault{R"("input":"x","truncation":"some")", "truncation"},
           Fault{R"("input":"x","include":["all"])", "include[0]"},
           Fault{R"("input":"x","stream_options":{})", "stream_options"},
           Fault{R"("input":"x","metadata":{"a":1})", "metadata"},
       }) {
    const auto call = Parse(row.json);
    EXPECT_EQ(ReasonOf(call.status()), Reason::REASON_INVALID_REQUEST) << row.json;
    EXPECT_EQ(DetailOf(call.status()).field(), row.field) << row.json << call.status();
  }
}

TEST(ParseResponse, WhatTheResponseRepeats) {
  const auto repeated = [](const std::string& more) {
    const auto call = Parse(absl::StrCat(R"("input":"x")", more.empty() ? "" : ",", more));
    EXPECT_TRUE(call.ok()) << call.status();
    return json::parse(absl::StrCat("{", call->repeated, "}")).as_object();
  };
  const json::object bare = repeated("");
  EXPECT_EQ(json::serialize(bare.at("tools")), "[]");
  EXPECT_EQ(json::serialize(bare.at("text")), R"({"format":{"type":"text"},"verbosity":"medium"})");
  EXPECT_EQ(bare.at("tool_choice").as_string(), "auto");
  EXPECT_EQ(bare.at("truncation").as_string(), "disabled");
  EXPECT_TRUE(bare.at("parallel_tool_calls").as_bool());
  EXPECT_FALSE(bare.contains("user"));
  for (const char* key : {"instructions", "temperature", "top_p", "max_output_tokens", "previous_response_id"})
    EXPECT_TRUE(bare.at(key).is_null()) << key;
  const json::object full = repeated(
      R"("instructions":"i","temperature":0.5,"metadata":{"a":"b"},"reasoning":{"effort":"low"},"parallel_tool_calls":false,"tools":[{"type":"function","name":"f"},{"type":"web_search"}])");
  EXPECT_EQ(full.at("instructions").as_string(), "i");
  EXPECT_EQ(full.at("temperature").as_double(), 0.5);
  EXPECT_EQ(json::serialize(full.at("metadata")), R"({"a":"b"})");
  EXPECT_EQ(json::serialize(full.at("reasoning")), R"({"effort":"low","summary":null})");
  EXPECT_FALSE(full.at("parallel_tool_calls").as_bool());
  EXPECT_EQ(
      json::serialize(full.at("tools")),
      R"([{"type":"function","name":"f","description":null,"parameters":null,"strict":null},{"type":"web_search"}])");
}

}  // namespace
}  // namespace switchyard
