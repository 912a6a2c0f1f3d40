#include "edge/openai_request.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

std::string Body(const std::string& more) {
  return absl::StrCat(R"({"model":"m","messages":[{"role":"user","content":"x"}])", more.empty() ? "" : ",", more, "}");
}

chat::v1::ChatRequest Parsed(const std::string& more) {
  auto call = ParseChatCompletion(Body(more));
  EXPECT_TRUE(call.ok()) << more << call.status();
  return call.ok() ? call->request : chat::v1::ChatRequest();
}

TEST(ParseChatCompletion, EveryFieldHasItsPlace) {
  struct Row {
    const char* json;
    const char* request;  // text format, short
  };
  const auto text = [](chat::v1::ChatRequest request) {
    request.clear_model();
    request.clear_messages();
    for (auto clear : {&chat::v1::ChatRequest::clear_sampling, &chat::v1::ChatRequest::clear_reasoning,
                       &chat::v1::ChatRequest::clear_web_search}) {
      chat::v1::ChatRequest without = request;
      (without.*clear)();
      if (without.ByteSizeLong() + 2 == request.ByteSizeLong()) request = without;  // present and empty
    }
    return request.ShortDebugString();
  };
  for (
      const Row& row : {
          Row{R"("temperature":0.5,"top_p":1,"seed":7)", "sampling { temperature: 0.5 top_p: 1 seed: 7 }"},
          Row{R"("presence_penalty":-2,"frequency_penalty":2,"top_k":3)",
              "sampling { presence_penalty: -2 frequency_penalty: 2 top_k: 3 }"},
          Row{R"("stop":"a")", R"(stop: "a")"},
          Row{R"("stop":["a","b"])", R"(stop: "a" stop: "b")"},
          Row{R"("max_tokens":5)", "max_output_tokens: 5"},
          Row{R"("max_tokens":5,"max_completion_tokens":6)", "max_output_tokens: 6"},
          Row{R"("reasoning_effort":"high")", "reasoning { effort: EFFORT_HIGH }"},
          Row{R"("reasoning":{"effort":"none"})", "reasoning { effort: EFFORT_NONE }"},
          Row{R"("reasoning_format":"separate")", "reasoning { format: REASONING_FORMAT_SEPARATE }"},
          Row{R"("web_search_options":{"search_context_size":"low"})",
              R"(web_search { enabled: true context_size: "low" })"},
          Row{R"("web_search":false)", "web_search { enabled: false }"},
          Row{R"("response_format":{"type":"json_object"})", "response_format { kind: KIND_JSON_OBJECT }"},
          Row{R"("tools":[{"type":"function","function":{"name":"f","strict":true}}],"tool_choice":"none")",
              R"(tools { name: "f" strict: true } tool_choice { mode: MODE_NONE })"},
          Row{R"("tool_choice":{"type":"function","function":{"name":"f"}})",
              R"(tool_choice { mode: MODE_NAMED name: "f" })"},
          Row{R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required",
               "tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]}})",
              R"(tool_choice { mode: MODE_REQUIRED allowed: "f" allowed: "g" })"},
          Row{R"("functions":[{"name":"f","parameters":{"type":"object","b":1,"a":2}}],"function_call":{"name":"f"})",
              R"(tools { name: "f" parameters: "{\"type\":\"object\",\"b\":1,\"a\":2}" } )"
              R"(tool_choice { mode: MODE_NAMED name: "f" } parallel_tool_calls: false)"},
          Row{R"("functions":[],"function_call":"none")", "tool_choice { mode: MODE_NONE }"},
          Row{R"("thinking":{"type":"disabled"})", "reasoning { effort: EFFORT_NONE }"},
          Row{R"("enable_thinking":true,"reasoning_effort":"low")", "reasoning { effort: EFFORT_LOW }"},
          Row{R"("enable_search":true)", "web_search { enabled: true }"},
          Row{R"("web_search_options":{"user_location":{"type":"approximate","approximate":{"city":"Xi'an","country":"CN"}}})",
              R"(web_search { enabled: true country: "CN" city: "Xi\'an" })"},
          Row{R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"z":1,"a":2},"strict":true}})",
              R"(response_format { kind: KIND_JSON_SCHEMA name: "n" schema: "{\"z\":1,\"a\":2}" strict: true })"},
          Row{R"("stop":"","stop_unknown":1)", R"(ignored_fields: "stop_unknown")"},
          Row{R"("store":false,"service_tier":"auto","verbosity":"low","prompt_cache_key":"k","moderation":null)", ""},
          Row{R"("parallel_tool_calls":false)", "parallel_tool_calls: false"},
          Row{R"("user":"u","metadata":{"k":"v"})", R"(end_user: "u" metadata { key: "k" value: "v" })"},
          Row{R"("conversation_id":"c","keep_conversation":true)", R"(conversation_id: "c" keep_conversation: true)"},
          Row{R"("account":"deepseek-2")", R"(credential { pool { account: "deepseek-2" } })"},
          Row{R"("history":"last","ignore_unsupported":true)", "history: HISTORY_MODE_LAST ignore_unsupported: true"},
          Row{R"("made_up":1,"store":true)", R"(ignored_fields: "made_up")"},
          Row{R"("n":1,"logprobs":false,"logit_bias":{},"top_logprobs":0,"modalities":["text"],"audio":null)", ""},
      }) {
    EXPECT_EQ(text(Parsed(row.json)), row.request) << row.json;
  }
}

TEST(ParseChatCompletion, WhatCannotBeHonouredIsListed) {
  for (const char* field : {R"("logprobs":true)", R"("logprobs":true,"top_logprobs":2)", R"("logit_bias":{"5":1})",
                            R"("audio":{"voice":"x"})", R"("modalities":["text","audio"])", R"("prediction":{})",
                            R"("moderation":{"model":"m"})", R"("tools":[{"type":"custom","custom":{"name":"c"}}])",
                            R"("tool_choice":{"type":"custom","custom":{"name":"c"}})"}) {
    ASSERT_EQ(Parsed(field).unsupported_size(), 1) << field;
    EXPECT_NE(Parsed(field).unsupported(0).why(), "") << field;
  }
}

TEST(ParseChatCompletion, FaultsNameTheirField) {
  struct Row {
    const char* json;
    const char* field;
  };
  for (
      const Row& row : {
          Row{R"("temperature":"hot")", "temperature"},
          Row{R"("stream":"yes")", "stream"},
          Row{R"("stop":["a",1])", "stop[1]"},
          Row{R"("stop":["a","b","c","d","e"])", "stop"},
          Row{R"("n":9)", "n"},
          Row{R"("n":2,"keep_conversation":true)", "n"},
          Row{R"("max_completion_tokens":0)", "max_completion_tokens"},
          Row{R"("top_logprobs":2)", "top_logprobs"},
          Row{R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
          Row{R"("logit_bias":{"5":"x"})", "logit_bias.5"},
          Row{R"("logit_bias":{"5":101})", "logit_bias.5"},
          Row{R"("modalities":["smell"])", "modalities[0]"},
          Row{R"("service_tier":"gold")", "service_tier"},
          Row{R"("verbosity":1)", "verbosity"},
          Row{R"("store":"yes")", "store"},
          Row{R"("audio":true)", "audio"},
          Row{R"("tools":[{"type":"search"}])", "tools[0].type"},
          Row{R"("tools":[{"type":"function","function":{"name":"f","parameters":[]}}])",
              "tools[0].function.parameters"},
          Row{R"("tool_choice":3)", "tool_choice"},
          Row{R"("tool_choice":"maybe")", "tool_choice"},
          Row{R"("tool_choice":{"type":"function"})", "tool_choice.function"},
          Row{R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"none","tools":[]}})",
              "tool_choice.allowed_tools.mode"},
          Row{R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function"}]}})",
              "tool_choice.allowed_tools.tools[0].function"},
          Row{R"("function_call":{"name":"f"})", "function_call"},
          Row{R"("functions":[{"description":"x"}])", "functions[0].name"},
          Row{R"("functions":[{"name":"f"}],"tools":[{"type":"function","function":{"name":"f"}}])", "functions"},
          Row{R"("response_format":{"type":"json_schema","json_schema":{"schema":{}}})",
              "response_format.json_schema.name"},
          Row{R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":3}})",
              "response_format.json_schema.schema"},
          Row{R"("thinking":{"type":"deep"})", "thinking.type"},
          Row{R"("web_search_options":{"search_context_size":"huge"})", "web_search_options.search_context_size"},
          Row{R"("web_search_options":{"user_location":{"type":"exact"}})", "web_search_options.user_location.type"},
          Row{R"("stream":true,"stream_options":{"include_usage":1})", "stream_options.include_usage"},
          Row{R"("stop":{})", "stop"},
          Row{R"("max_tokens":1.5)", "max_tokens"},
          Row{R"("max_tokens":0)", "max_tokens"},
          Row{R"("n":0)", "n"},
          Row{R"("reasoning_effort":"very")", "reasoning_effort"},
          Row{R"("reasoning_format":"x")", "reasoning_format"},
          Row{R"("tools":{})", "tools"},
          Row{R"("tools":[{}])", "tools[0].type"},
          Row{R"("tools":[{"type":"function"}])", "tools[0].function"},
          Row{R"("tools":[{"type":"function","function":{}}])", "tools[0].function.name"},
          Row{R"("response_format":{"type":"xml"})", "response_format.type"},
          Row{R"("response_format":{"type":"json_schema"})", "response_format.json_schema"},
          Row{R"("stream_options":{})", "stream_options"},
          Row{R"("metadata":{"a":1})", "metadata.a"},
          Row{R"("stream":true,"stream_options":3)", "stream_options"},
          Row{R"("web_search_options":[])", "web_search_options"},
      }) {
    const auto call = ParseChatCompletion(Body(row.json));
    EXPECT_EQ(ReasonOf(call.status()), Reason::REASON_INVALID_REQUEST) << row.json;
    EXPECT_EQ(DetailOf(call.status()).field(), row.field) << row.json << call.status();
  }
}

TEST(ParseChatCompletion, MessagesOfEveryKind) {
  const auto call = ParseChatCompletion(R"({"model":"m","messages":[
    {"role":"developer","content":"d"},
    {"role":"user","name":"n","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}},
      {"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}},{"type":"file","file":{"file_id":"f"}}]},
    {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"c","content":"r"},
    {"role":"assistant","content":"a","refusal":"no","reasoning_content":"why"}]})");
  ASSERT_TRUE(call.ok()) << call.status();
  const auto& messages = call->request.messages();
  EXPECT_EQ(messages[0].role(), chat::v1::ROLE_SYSTEM);
  EXPECT_EQ(messages[1].name(), "n");
  EXPECT_EQ(messages[1].parts(1).image().url(), "https://x/y.png");
  EXPECT_EQ(messages[1].parts(2).image().data(), "hi");
  EXPECT_EQ(messages[1].parts(2).image().media_type(), "image/png");
  EXPECT_EQ(messages[1].parts(3).file().file_id(), "f");
  EXPECT_EQ(messages[2].tool_calls(0).arguments(), "{}");
  EXPECT_EQ(messages[3].tool_call_id(), "c");
  EXPECT_EQ(messages[4].reasoning(), "why");
  EXPECT_EQ(messages[4].refusal(), "no");
}

TEST(ParseChatCompletion, FaultsOfMessagesNameTheirPlace) {
  struct Row {
    const char* messages;
    const char* field;
  };
  for (
      const Row& row : {
          Row{R"({})", "messages"},
          Row{R"(["hi"])", "messages[0]"},
          Row{R"([{"content":"x"}])", "messages[0].role"},
          Row{R"([{"role":"human","content":"x"}])", "messages[0].role"},
          Row{R"([{"role":"user","content":7}])", "messages[0].content"},
          Row{R"([{"role":"user","content":"x"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"sound"}]}])",
              "messages[1].content[1].type"},
          Row{R"([{"role":"user","content":[{"text":"a"}]}])", "messages[0].content[0].type"},
          Row{R"([{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0].text"},
          Row{R"([{"role":"user","content":[{"type":"text","text":5}]}])", "messages[0].content[0].text"},
          Row{R"([{"role":"user","content":["a"]}])", "messages[0].content[0]"},
          Row{R"([{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://x/y"}}]}])",
              "messages[0].content[0].type"},
          Row{R"([{"role":"user","content":[{"type":"refusal","refusal":"no"}]}])", "messages[0].content[0].type"},
          Row{R"([{"role":"user","content":[{"type":"image_url"}]}])", "messages[0].content[0].image_url"},
          Row{R"([{"role":"user","content":[{"type":"image_url","image_url":{}}]}])",
              "messages[0].content[0].image_url.url"},
          Row{R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"ftp://x/y"}}]}])",
              "messages[0].content[0].image_url.url"},
          Row{R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,raw"}}]}])",
              "messages[0].content[0].image_url.url"},
          Row{R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,%%"}}]}])",
              "messages[0].content[0].image_url.url"},
          Row{R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x","detail":"max"}}]}])",
              "messages[0].content[0].image_url.detail"},
          Row{R"([{"role":"user","content":[{"type":"file","file":{}}]}])", "messages[0].content[0].file"},
          Row{R"([{"role":"user","content":[{"type":"file","file":{"file_data":"%"}}]}])",
              "messages[0].content[0].file.file_data"},
          Row{R"([{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"x","format":"ogg"}}]}])",
              "messages[0].content[0].input_audio.format"},
          Row{R"([{"role":"assistant","tool_calls":{}}])", "messages[0].tool_calls"},
          Row{R"([{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"}}]}])",
              "messages[0].tool_calls[0].id"},
          Row{R"([{"role":"assistant","tool_calls":[{"id":"c","type":"custom"}]}])", "messages[0].tool_calls[0].type"},
          Row{R"([{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":{}}}]}])",
              "messages[0].tool_calls[0].function.arguments"},
          Row{R"([{"role":"tool","content":"r"}])", "messages[0].tool_call_id"},
          Row{R"([{"role":"function","content":"r"}])", "messages[0].name"},
          Row{R"([{"role":"function","name":"f","content":"r"}])", "messages[0].name"},
          Row{R"([{"role":"user","name":[],"content":"r"}])", "messages[0].name"},
      }) {
    const auto call = ParseChatCompletion(absl::StrCat(R"({"model":"m","messages":)", row.messages, "}"));
    EXPECT_EQ(ReasonOf(call.status()), Reason::REASON_INVALID_REQUEST) << row.messages;
    EXPECT_EQ(DetailOf(call.status()).field(), row.field) << row.messages << call.status();
  }
}

TEST(ParseChatCompletion, WhatIsNoJsonSaysWhere) {
  struct Row {
    const char* body;
    const char* says;
  };
  for (const Row& row : {
           Row{"", "ends too early"},
           Row{"{\"model\":", "ends too early"},
           Row{"{\n  \"model\": nope}", "line 2, column 12"},
           Row{"{} {}", "something after its end"},
           Row{R"({"a":1,"a":2})", "'a' twice"},
           Row{R"({"x":[{"b":1,"b":2}]})", "'b' twice"},
           Row{R"({"model":"\ud800"})", "line 1, column"},
           Row{R"({"model":"\ud800\u0041"})", "half of a surrogate pair"},
           Row{R"({"model":"\udc00"})", "half of a surrogate pair"},
           Row{"{\"model\":\"\xff\"}", "valid UTF-8"},
           Row{"[]", "must be a JSON object; it is an array"},
           Row{"null", "it is null"},
       }) {
    const auto call = ParseChatCompletion(row.body);
    EXPECT_EQ(ReasonOf(call.status()), Reason::REASON_INVALID_REQUEST) << row.body;
    EXPECT_NE(std::string(call.status().message()).find(row.says), std::string::npos) << row.body << call.status();
  }
}

TEST(ParseChatCompletion, TheOlderFormOfTools) {
  const auto call = ParseChatCompletion(R"({"model":"m","functions":[{"name":"f"}],"messages":[
    {"role":"user","content":"x"},
    {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}},
    {"role":"function","name":"f","content":"r"}]})");
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_TRUE(call->calls_as_function);
  EXPECT_FALSE(call->request.parallel_tool_calls());
  const auto& messages = call->request.messages();
  EXPECT_EQ(messages[1].tool_calls(0).arguments(), R"({"a":1})");
  EXPECT_EQ(messages[2].role(), chat::v1::ROLE_TOOL);
  EXPECT_EQ(messages[2].tool_call_id(), messages[1].tool_calls(0).id());
  EXPECT_NE(messages[2].tool_call_id(), "");
}

TEST(ParseChatCompletion, UnknownMembersAreToldOnceEach) {
  const auto call = ParseChatCompletion(R"({"model":"m","top":1,"messages":[
    {"role":"user","content":[{"type":"text","text":"x","cache_control":{}}],"extra":1},
    {"role":"user","content":[{"type":"text","text":"x","cache_control":{}}],"extra":2}]})");
  ASSERT_TRUE(call.ok()) << call.status();
  const std::vector<std::string> ignored(call->request.ignored_fields().begin(), call->request.ignored_fields().end());
  EXPECT_EQ(ignored, (std::vector<std::string>{"messages[].content[].cache_control", "messages[].extra", "top"}));
}

TEST(ParseChatCompletion, Files) {
  const auto call = ParseChatCompletion(R"({"model":"m","messages":[{"role":"user","content":[
    {"type":"file","file":{"filename":"a.txt","file_data":"data:text/Plain;charset=utf-8;base64,aGk="}},
    {"type":"file","file":{"file_data":"aGk="}}]}]})");
  ASSERT_TRUE(call.ok()) << call.status();
  const auto& parts = call->request.messages(0).parts();
  EXPECT_EQ(parts[0].file().data(), "hi");
  EXPECT_EQ(parts[0].file().media_type(), "text/plain");
  EXPECT_EQ(parts[0].file().filename(), "a.txt");
  EXPECT_EQ(parts[1].file().data(), "hi");
}

TEST(ParseChatCompletion, StreamAndItsOptions) {
  EXPECT_FALSE(ParseChatCompletion(Body(""))->stream);
  const auto call = ParseChatCompletion(Body(R"("stream":true,"stream_options":{"include_usage":true})"));
  EXPECT_TRUE(call->stream);
  EXPECT_TRUE(call->include_usage);
}

}  // namespace
}  // namespace switchyard
