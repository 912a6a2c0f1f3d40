#include "edge/completion_writer.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "boost/json/parse.hpp"

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

std::vector<json::value> Chunks(bool include_usage, const std::vector<ChatEvent>& events) {
  ChunkWriter writer({.id = "chatcmpl-1", .model = "m", .created = 5, .include_usage = include_usage});
  std::string out;
  for (const ChatEvent& event : events) writer.Write(event, out);
  EXPECT_TRUE(writer.ended());
  EXPECT_TRUE(absl::EndsWith(out, "data: [DONE]\n\n"));
  std::vector<json::value> chunks;
  for (const absl::string_view part : absl::StrSplit(out, "\n\n", absl::SkipEmpty())) {
    EXPECT_TRUE(absl::StartsWith(part, "data: ")) << part;
    if (part != "data: [DONE]") chunks.push_back(json::parse(std::string(part.substr(6))));
  }
  return chunks;
}

TEST(ChunkWriter, WhatEveryClientDependsOn) {
  const auto chunks = Chunks(true, Answer());
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

TEST(ChunkWriter, WithoutUsageThereIsNone) {
  for (const json::value& chunk : Chunks(false, Answer())) EXPECT_FALSE(chunk.as_object().contains("usage"));
}

TEST(ChunkWriter, NothingIsWrittenBeforeTheFirstContentOrAfterTheEnd) {
  ChunkWriter writer({.id = "i", .model = "m"});
  std::string out;
  const auto events = Answer();
  writer.Write(events[0], out);
  writer.Write(events[1], out);
  EXPECT_EQ(out, "");
  writer.Write(events[7], out);
  const std::string ended = out;
  writer.Write(events[3], out);
  EXPECT_EQ(out, ended);
}

TEST(ChunkWriter, ToolCallsNameThemselvesOnce) {
  std::vector<ChatEvent> events(3);
  events[0].mutable_tool_call()->set_id("c");
  events[0].mutable_tool_call()->set_name("f");
  events[1].mutable_tool_call()->set_arguments("{}");
  events[2].mutable_finished()->set_reason(chat::v1::FINISH_REASON_TOOL_CALLS);
  const auto chunks = Chunks(false, events);
  const auto& first = chunks[1].at("choices").at(0).at("delta").at("tool_calls").at(0);
  EXPECT_EQ(first.at("id").as_string(), "c");
  EXPECT_EQ(first.at("type").as_string(), "function");
  EXPECT_EQ(first.at("function").at("arguments").as_string(), "");
  const auto& second = chunks[2].at("choices").at(0).at("delta").at("tool_calls").at(0).as_object();
  EXPECT_FALSE(second.contains("id"));
  EXPECT_EQ(second.at("index").as_int64(), 0);
  EXPECT_EQ(chunks.back().at("choices").at(0).at("finish_reason").as_string(), "tool_calls");
}

TEST(CompletionFolder, IsTheStreamPutTogether) {
  CompletionFolder folder({.id = "chatcmpl-1", .model = "m", .created = 5});
  for (const ChatEvent& event : Answer()) folder.Take(event);
  ASSERT_TRUE(folder.finished());
  const json::value body = json::parse(folder.Body());
  std::string text;
  for (const json::value& chunk : Chunks(false, Answer())) {
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

}  // namespace
}  // namespace switchyard
