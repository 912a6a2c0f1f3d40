#include "edge/completion_writer.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/status/reason.h"
#include "tests/edge/events.h"

namespace switchyard {
namespace {

namespace json = boost::json;
using chat::v1::ChatEvent;

std::vector<ChatEvent> Answer() {
  std::vector<ChatEvent> events(8);
  events[0].mutable_started()->set_conversation_id("conv");
  events[1].mutable_notice()->set_code("history_not_sent");
  events[2].mutable_reasoning()->set_text("why");
  events[3].mutable_text()->set_text("a \"b\"\n");
  events[4].mutable_text()->set_text("中");
  auto& citation = *events[5].mutable_citation();
  citation.set_url("https://x");
  citation.set_start(3);
  citation.set_end(3);
  events[6].mutable_usage()->set_total_tokens(9);
  events[6].mutable_usage()->set_source(chat::v1::Usage::SOURCE_ESTIMATED);
  events[7].mutable_finished()->set_reason(chat::v1::FINISH_REASON_LENGTH);
  return events;
}

AnswerHead Head() { return {.id = "chatcmpl-1", .model = "m", .created = 5}; }

std::vector<json::value> Chunks(CompletionWriter::Options options, const std::vector<ChatEvent>& events) {
  CompletionWriter writer(Head(), options);
  std::string out;
  for (const ChatEvent& event : events) writer.Write(0, event, out);
  writer.End(out);
  EXPECT_TRUE(absl::EndsWith(out, "data: [DONE]\n\n"));
  std::vector<json::value> chunks;
  for (const absl::string_view part : absl::StrSplit(out, "\n\n", absl::SkipEmpty())) {
    EXPECT_TRUE(absl::StartsWith(part, "data: ")) << part;
    if (part != "data: [DONE]") chunks.push_back(json::parse(std::string(part.substr(6))));
  }
  return chunks;
}

TEST(CompletionWriter, WhatEveryClientDependsOn) {
  const auto chunks = Chunks({.include_usage = true}, Answer());
  int roles = 0, finishes = 0;
  for (const json::value& chunk : chunks) {
    EXPECT_EQ(chunk.at("id").as_string(), "chatcmpl-1");
    EXPECT_EQ(chunk.at("object").as_string(), "chat.completion.chunk");
    EXPECT_EQ(chunk.at("created").as_int64(), 5);
    EXPECT_EQ(chunk.at("model").as_string(), "m");
    if (chunk.at("choices").as_array().empty()) continue;
    EXPECT_TRUE(chunk.at("usage").is_null());
    roles += chunk.at("choices").at(0).at("delta").as_object().contains("role");
    finishes += !chunk.at("choices").at(0).at("finish_reason").is_null();
  }
  EXPECT_EQ(chunks.front().at("choices").at(0).at("delta").at("role").as_string(), "assistant");
  EXPECT_EQ(chunks.front().at("conversation_id").as_string(), "conv");
  EXPECT_EQ(chunks.front().at("notices").at(0).at("code").as_string(), "history_not_sent");
  EXPECT_EQ(roles, 1);
  EXPECT_EQ(finishes, 1);
  const json::value& last = chunks[chunks.size() - 2];
  EXPECT_EQ(last.at("choices").at(0).at("finish_reason").as_string(), "length");
  EXPECT_TRUE(last.at("choices").at(0).at("delta").as_object().empty());
  EXPECT_TRUE(chunks.back().at("choices").as_array().empty());
  EXPECT_EQ(chunks.back().at("usage").at("total_tokens").as_int64(), 9);
  EXPECT_TRUE(chunks.back().at("usage").at("estimated").as_bool());
}

TEST(CompletionWriter, WithoutUsageThereIsNone) {
  for (const json::value& chunk : Chunks({}, Answer())) EXPECT_FALSE(chunk.as_object().contains("usage"));
}

TEST(CompletionWriter, NothingIsWrittenBeforeTheFirstContent) {
  CompletionWriter writer(Head(), {});
  std::string out;
  const auto events = Answer();
  writer.Write(0, events[0], out);
  writer.Write(0, events[1], out);
  EXPECT_EQ(out, "");
  writer.Write(0, events[7], out);
  EXPECT_NE(out, "");
}

TEST(CompletionWriter, ToolCallsNameThemselvesOnce) {
  std::vector<ChatEvent> events(3);
  events[0].mutable_tool_call()->set_id("c");
  events[0].mutable_tool_call()->set_name("f");
  events[1].mutable_tool_call()->set_arguments("{}");
  events[2].mutable_finished()->set_reason(chat::v1::FINISH_REASON_TOOL_CALLS);
  const auto chunks = Chunks({}, events);
  const auto& first = chunks[1].at("choices").at(0).at("delta").at("tool_calls").at(0);
  EXPECT_EQ(first.at("id").as_string(), "c");
  EXPECT_EQ(first.at("type").as_string(), "function");
  EXPECT_EQ(first.at("function").at("arguments").as_string(), "");
  const auto& second = chunks[2].at("choices").at(0).at("delta").at("tool_calls").at(0).as_object();
  EXPECT_FALSE(second.contains("id"));
  EXPECT_EQ(second.at("index").as_int64(), 0);
  EXPECT_EQ(chunks.back().at("choices").at(0).at("finish_reason").as_string(), "tool_calls");
}

TEST(CompletionWriter, TheWholeAnswerIsTheStreamPutTogether) {
  CompletionWriter writer(Head(), {});
  for (const ChatEvent& event : Answer()) writer.Take(0, event);
  const json::value body = json::parse(writer.Whole());
  std::string text;
  for (const json::value& chunk : Chunks({}, Answer())) {
    const auto& delta = chunk.at("choices").at(0).at("delta").as_object();
    if (delta.contains("content")) text += std::string(delta.at("content").as_string().c_str());
  }
  const auto& message = body.at("choices").at(0).at("message");
  EXPECT_EQ(message.at("content").as_string(), text);
  EXPECT_EQ(message.at("reasoning_content").as_string(), "why");
  EXPECT_EQ(message.at("annotations").at(0).at("url_citation").at("url").as_string(), "https://x");
  EXPECT_TRUE(message.at("refusal").is_null());
  EXPECT_EQ(body.at("object").as_string(), "chat.completion");
  EXPECT_EQ(body.at("choices").at(0).at("finish_reason").as_string(), "length");
  EXPECT_EQ(body.at("conversation_id").as_string(), "conv");
}

TEST(CompletionWriter, ExactBytes) {
  CompletionWriter writer(Head(), {});
  EXPECT_EQ(
      Written(writer, {"started { model: 'm' }", "text { text: 'a' }", "finished { reason: FINISH_REASON_STOP }"}),
      R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: [DONE]

)");
}

TEST(CompletionWriter, AnErrorIsTheLastEvent) {
  CompletionWriter writer(Head(), {});
  std::string out;
  writer.Fail(MakeError(Reason::REASON_UPSTREAM_BROKEN, "cut"), out);
  EXPECT_EQ(out,
            "data: {\"error\":{\"message\":\"cut\",\"type\":\"upstream_error\",\"param\":null,\"code\":"
            "\"upstream_broken\"}}\n\n");
}

// Two answers at once, their events mixed.
std::vector<std::pair<size_t, std::string>> Mixed() {
  return {{0, "notice { code: 'c' message: 'm' }"},
          {1, "notice { code: 'c' message: 'm' }"},
          {1, "text { text: 'one' }"},
          {0, "text { text: 'zero' }"},
          {1, "citation { url: 'https://x' }"},
          {1, "usage { prompt_tokens: 7 completion_tokens: 2 total_tokens: 9 source: SOURCE_ESTIMATED }"},
          {1, "finished { reason: FINISH_REASON_LENGTH }"},
          {0, "text { text: '!' }"},
          {0,
           "usage { prompt_tokens: 7 completion_tokens: 3 total_tokens: 10 reasoning_tokens: 1 source: "
           "SOURCE_MEASURED }"},
          {0, "finished { reason: FINISH_REASON_STOP }"}};
}

TEST(CompletionWriter, ChoicesAreToldApartByIndex) {
  CompletionWriter writer(Head(), {.choices = 2, .include_usage = true});
  std::string out;
  for (const auto& [index, event] : Mixed()) writer.Write(index, EventOf(event), out);
  writer.End(out);
  std::string text[2], finish[2];
  int roles[2] = {}, notices = 0;
  json::value usage;
  for (const SentEvent& event : SentEvents(out)) {
    if (event.data == "[DONE]") continue;
    const json::value chunk = json::parse(event.data);
    notices += chunk.as_object().contains("notices");
    if (chunk.at("choices").as_array().empty()) {
      usage = chunk.at("usage");
      continue;
    }
    const json::value& choice = chunk.at("choices").at(0);
    const auto index = static_cast<size_t>(choice.at("index").as_int64());
    ASSERT_LT(index, 2u);
    const auto& delta = choice.at("delta").as_object();
    roles[index] += delta.contains("role");
    if (delta.contains("content")) text[index] += std::string(delta.at("content").as_string().c_str());
    if (!choice.at("finish_reason").is_null()) finish[index] = choice.at("finish_reason").as_string().c_str();
  }
  EXPECT_EQ(text[0], "zero!");
  EXPECT_EQ(text[1], "one");
  EXPECT_EQ(finish[0], "stop");
  EXPECT_EQ(finish[1], "length");
  EXPECT_EQ(roles[0], 1);
  EXPECT_EQ(roles[1], 1);
  EXPECT_EQ(notices, 1) << "both answers were told the same";
  EXPECT_EQ(
      json::serialize(usage),
      R"({"prompt_tokens":7,"completion_tokens":5,"total_tokens":12,"completion_tokens_details":{"reasoning_tokens":1},"estimated":true})");
  EXPECT_TRUE(absl::EndsWith(out, "data: [DONE]\n\n"));
}

TEST(CompletionWriter, WholeWithChoices) {
  CompletionWriter writer(Head(), {.choices = 2});
  for (const auto& [index, event] : Mixed()) writer.Take(index, EventOf(event));
  const json::value body = json::parse(writer.Whole());
  ASSERT_EQ(body.at("choices").as_array().size(), 2u);
  EXPECT_EQ(body.at("choices").at(0).at("message").at("content").as_string(), "zero!");
  EXPECT_EQ(body.at("choices").at(1).at("index").as_int64(), 1);
  EXPECT_EQ(body.at("choices").at(1).at("message").at("content").as_string(), "one");
  EXPECT_EQ(body.at("choices").at(1).at("finish_reason").as_string(), "length");
  EXPECT_EQ(body.at("usage").at("total_tokens").as_int64(), 12);
  EXPECT_EQ(body.at("notices").as_array().size(), 1u);
}

TEST(CompletionWriter, TheOlderFormOfACall) {
  const std::vector<std::string> events = {"tool_call { id: 'c' name: 'f' arguments: '{}' }",
                                           "finished { reason: FINISH_REASON_TOOL_CALLS }"};
  CompletionWriter streamed(Head(), {.calls_as_function = true});
  const std::string out = Written(streamed, events);
  EXPECT_TRUE(absl::StrContains(out, R"("delta":{"function_call":{"name":"f","arguments":"{}"}})")) << out;
  EXPECT_TRUE(absl::StrContains(out, R"("finish_reason":"function_call")")) << out;
  CompletionWriter whole(Head(), {.calls_as_function = true});
  const json::value choice = WholeOf(whole, events).at("choices").at(0);
  EXPECT_EQ(json::serialize(choice.at("message").at("function_call")), R"({"name":"f","arguments":"{}"})");
  EXPECT_EQ(choice.at("finish_reason").as_string(), "function_call");
}

TEST(SumUsage, APromptCountsOnce) {
  const auto usage = [](int64_t prompt, int64_t completion) {
    chat::v1::Usage one;
    one.set_prompt_tokens(prompt);
    one.set_completion_tokens(completion);
    one.set_source(chat::v1::Usage::SOURCE_MEASURED);
    return std::optional(one);
  };
  const auto sum = SumUsage({usage(5, 1), usage(5, 2), usage(7, 3), std::nullopt}, 2);
  ASSERT_TRUE(sum.has_value());
  EXPECT_EQ(sum->prompt_tokens(), 12);
  EXPECT_EQ(sum->completion_tokens(), 6);
  EXPECT_EQ(sum->total_tokens(), 18);
  EXPECT_EQ(sum->source(), chat::v1::Usage::SOURCE_MEASURED);
  EXPECT_FALSE(SumUsage({std::nullopt, std::nullopt}, 1).has_value());
}

}  // namespace
}  // namespace switchyard
