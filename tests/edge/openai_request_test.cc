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
  for (const Row& row : {
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
  for (const char* field : {R"("logprobs":true)", R"("top_logprobs":2)", R"("logit_bias":{"5":1})",
                            R"("audio":{"voice":"x"})", R"("modalities":["text","audio"])", R"("prediction":{})"}) {
    ASSERT_EQ(Parsed(field).unsupported_size(), 1) << field;
    EXPECT_NE(Parsed(field).unsupported(0).why(), "") << field;
  }
}

TEST(ParseChatCompletion, FaultsNameTheirField) {
  struct Row {
    const char* json;
    const char* field;
  };
  for (const Row& row : {
           Row{R"("temperature":"hot")", "temperature"},
           Row{R"("stream":"yes")", "stream"},
           Row{R"("stop":[1])", "stop"},
           Row{R"("stop":{})", "stop"},
           Row{R"("max_tokens":1.5)", "max_tokens"},
           Row{R"("max_tokens":0)", "max_tokens"},
           Row{R"("n":0)", "n"},
           Row{R"("n":9)", "n"},
           Row{R"("reasoning_effort":"very")", "reasoning_effort"},
           Row{R"("reasoning_format":"x")", "reasoning_format"},
           Row{R"("tools":{})", "tools"},
           Row{R"("tools":[{}])", "tools[0].type"},
           Row{R"("tools":[{"type":"function"}])", "tools[0].function"},
           Row{R"("tools":[{"type":"function","function":{}}])", "tools[0].function.name"},
           Row{R"("response_format":{"type":"xml"})", "response_format.type"},
           Row{R"("response_format":{"type":"json_schema"})", "response_format.json_schema"},
           Row{R"("stream_options":{})", "stream_options"},
           Row{R"("metadata":{"a":1})", "metadata"},
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

TEST(ParseChatCompletion, SeveralChoices) {
  EXPECT_EQ(ParseChatCompletion(Body(""))->n, 1);
  EXPECT_EQ(ParseChatCompletion(Body(R"("n":8)"))->n, 8);
}

TEST(ParseChatCompletion, StreamAndItsOptions) {
  EXPECT_FALSE(ParseChatCompletion(Body(""))->stream);
  const auto call = ParseChatCompletion(Body(R"("stream":true,"stream_options":{"include_usage":true})"));
  EXPECT_TRUE(call->stream);
  EXPECT_TRUE(call->include_usage);
}

}  // namespace
}  // namespace switchyard
