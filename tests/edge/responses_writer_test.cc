#include "edge/responses_writer.h"

#include <map>

#include "boost/json/serialize.hpp"
#include "services/common/status/reason.h"
#include "tests/edge/events.h"

namespace switchyard {
namespace {

namespace json = boost::json;

ResponsesWriter Writer(bool summary = false) {
  AnswerHead head{.id = "resp_1", .model = "m", .created = 5, .now = [] { return int64_t{9}; }};
  return ResponsesWriter(std::move(head), {.repeated = R"("temperature":null)", .summarise_reasoning = summary});
}

/// Puts a stream together as the official clients do, and checks its order on the way.
json::value Rebuilt(const std::string& bytes) {
  json::value response;
  int64_t sequence = 0;
  for (const SentEvent& sent : SentEvents(bytes)) {
    const json::value event = json::parse(sent.data);
    const std::string type(event.at("type").as_string().c_str());
    EXPECT_EQ(type, sent.name);
    EXPECT_EQ(event.at("sequence_number").as_int64(), sequence++);
    if (type == "response.created") {
      response = event.at("response");
      continue;
    }
    if (type == "response.output_item.added") {
      EXPECT_EQ(event.at("output_index").to_number<size_t>(), response.at("output").as_array().size());
      response.at("output").as_array().push_back(event.at("item"));
      continue;
    }
    if (event.as_object().contains("response")) {
      // What was built must be what the end says.
      const json::value& end = event.at("response");
      if (end.at("status") != "in_progress") {
        EXPECT_EQ(json::serialize(response.at("output")), json::serialize(end.at("output")));
        response = end;
      }
      continue;
    }
    if (!event.as_object().contains("output_index")) continue;
    json::value& item = response.at("output").as_array().at(event.at("output_index").to_number<size_t>());
    if (type == "response.output_item.done") {
      EXPECT_EQ(item.at("id"), event.at("item").at("id"));
      item.as_object()["status"] = event.at("item").at("status");
      EXPECT_EQ(json::serialize(item), json::serialize(event.at("item")));
      continue;
    }
    EXPECT_EQ(item.at("id"), event.at("item_id"));
    const auto part = [&](const char* list, const char* index) -> json::value& {
      return item.at(list).as_array().at(event.at(index).to_number<size_t>());
    };
    const auto append = [&](json::value& text) {
      text = std::string(text.as_string().c_str()) + std::string(event.at("delta").as_string().c_str());
    };
    if (type == "response.content_part.added") item.at("content").as_array().push_back(event.at("part"));
    if (type == "response.reasoning_summary_part.added") item.at("summary").as_array().push_back(event.at("part"));
    if (type == "response.output_text.delta" || type == "response.reasoning_text.delta")
      append(part("content", "content_index").at("text"));
    if (type == "response.refusal.delta") append(part("content", "content_index").at("refusal"));
    if (type == "response.reasoning_summary_text.delta") append(part("summary", "summary_index").at("text"));
    if (type == "response.function_call_arguments.delta") append(item.at("arguments"));
    if (type == "response.output_text.annotation.added") {
      auto& annotations = part("content", "content_index").at("annotations").as_array();
      EXPECT_EQ(event.at("annotation_index").to_number<size_t>(), annotations.size());
      annotations.push_back(event.at("annotation"));
    }
    if (type == "response.output_text.done") {
      EXPECT_EQ(event.at("text"), part("content", "content_index").at("text"));
    } else if (type == "response.function_call_arguments.done") {
      EXPECT_EQ(event.at("arguments"), item.at("arguments"));
    } else if (type == "response.content_part.done") {
      EXPECT_EQ(json::serialize(event.at("part")), json::serialize(part("content", "content_index")));
    }
  }
  return response;
}

TEST(ResponsesWriter, ExactBytes) {
  ResponsesWriter writer = Writer();
  EXPECT_EQ(Written(writer, {"started { model: 'm' }", "text { text: 'a' }",
                             "usage { prompt_tokens: 1 completion_tokens: 2 total_tokens: 3 source: SOURCE_ESTIMATED }",
                             "finished { reason: FINISH_REASON_STOP }"}),
            R"(event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":5,"status":"in_progress","completed_at":null,"error":null,"incomplete_details":null,"model":"m","output":[],"temperature":null}}

event: response.in_progress
data: {"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","object":"response","created_at":5,"status":"in_progress","completed_at":null,"error":null,"incomplete_details":null,"model":"m","output":[],"temperature":null}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_1_0","type":"message","status":"in_progress","role":"assistant","content":[]}}

event: response.content_part.added
data: {"type":"response.content_part.added","sequence_number":3,"item_id":"msg_1_0","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1_0","output_index":0,"content_index":0,"logprobs":[],"delta":"a"}

event: response.output_text.done
data: {"type":"response.output_text.done","sequence_number":5,"item_id":"msg_1_0","output_index":0,"content_index":0,"logprobs":[],"text":"a"}

event: response.content_part.done
data: {"type":"response.content_part.done","sequence_number":6,"item_id":"msg_1_0","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":"a"}}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":7,"output_index":0,"item":{"id":"msg_1_0","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"a"}]}}

event: response.completed
data: {"type":"response.completed","sequence_number":8,"response":{"id":"resp_1","object":"response","created_at":5,"status":"completed","completed_at":9,"error":null,"incomplete_details":null,"model":"m","output":[{"id":"msg_1_0","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"a"}]}],"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3,"estimated":true},"temperature":null}}

)");
}

TEST(ResponsesWriter, NothingIsWrittenBeforeTheFirstContent) {
  ResponsesWriter writer = Writer();
  std::string out;
  for (const char* event : {"started { conversation_id: 'c' }", "notice { code: 'n' message: 'm' }"})
    writer.Write(0, EventOf(event), out);
  EXPECT_EQ(out, "");
  writer.Write(0, EventOf("text { text: 'a' }"), out);
  const json::value created = json::parse(SentEvents(out)[0].data).at("response");
  EXPECT_EQ(created.at("conversation_id").as_string(), "c");
  EXPECT_EQ(created.at("notices").at(0).at("code").as_string(), "n");
}

TEST(ResponsesWriter, TheStreamBuildsTheWholeAnswer) {
  const std::map<std::string, std::vector<std::string>> answers = {
      {"text, reasoning before and within, citations",
       {"citation { url: 'https://early' title: 't' start: 0 end: 0 }", "reasoning { text: 'w' }",
        "reasoning { text: 'hy' }", "text { text: '中a' }", "reasoning { text: 'again' }", "text { text: 'b' }",
        "citation { url: 'https://x' title: 't' start: 3 end: 3 }", "finished { reason: FINISH_REASON_STOP }"}},
      {"two calls after text",
       {"text { text: 'let me' }", "tool_call { index: 0 id: 'c1' name: 'f' arguments: '{\"a\"' }",
        "tool_call { index: 0 arguments: ':1}' }", "tool_call { index: 1 id: 'c2' name: 'g' }",
        "tool_call { index: 1 arguments: '{}' }", "finished { reason: FINISH_REASON_TOOL_CALLS }"}},
      {"withdrawn",
       {"text { text: 'a' }", "refusal { text: 'no' }", "finished { reason: FINISH_REASON_CONTENT_FILTER }"}},
      {"nothing but its end", {"finished { reason: FINISH_REASON_LENGTH }"}},
      {"a citation without any text",
       {"citation { url: 'https://x' start: 0 end: 0 }", "finished { reason: FINISH_REASON_STOP }"}},
  };
  for (const auto& [name, events] : answers) {
    for (const bool summary : {false, true}) {
      SCOPED_TRACE(name);
      ResponsesWriter streamed = Writer(summary), whole = Writer(summary);
      const json::value built = Rebuilt(Written(streamed, events));
      EXPECT_EQ(json::serialize(built), json::serialize(WholeOf(whole, events)));
    }
  }
}

TEST(ResponsesWriter, Reasoning) {
  const std::vector<std::string> events = {"reasoning { text: 'why' }", "text { text: 'a' }",
                                           "finished { reason: FINISH_REASON_STOP }"};
  ResponsesWriter plain = Writer();
  EXPECT_EQ(
      json::serialize(WholeOf(plain, events).at("output").at(0)),
      R"({"id":"rs_1_0","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"why"}],"status":"completed"})");
  ResponsesWriter summary = Writer(true);
  EXPECT_EQ(
      json::serialize(WholeOf(summary, events).at("output").at(0)),
      R"({"id":"rs_1_0","type":"reasoning","summary":[{"type":"summary_text","text":"why"}],"status":"completed"})");
}

TEST(ResponsesWriter, Calls) {
  ResponsesWriter writer = Writer();
  const json::value body = WholeOf(
      writer, {"tool_call { id: 'c' name: 'f' arguments: '{}' }", "finished { reason: FINISH_REASON_TOOL_CALLS }"});
  EXPECT_EQ(body.at("status").as_string(), "completed");
  EXPECT_EQ(
      json::serialize(body.at("output")),
      R"([{"id":"fc_1_0","type":"function_call","status":"completed","arguments":"{}","call_id":"c","name":"f"}])");
}

TEST(ResponsesWriter, WhereACitationStandsIsCountedWithinItsMessage) {
  ResponsesWriter writer = Writer();
  const json::value body =
      WholeOf(writer, {"text { text: 'abc' }", "reasoning { text: 'r' }", "text { text: 'de' }",
                       "citation { url: 'u' title: 't' start: 4 end: 5 }", "finished { reason: FINISH_REASON_STOP }"});
  EXPECT_EQ(json::serialize(body.at("output").at(2).at("content").at(0).at("annotations")),
            R"([{"type":"url_citation","url":"u","title":"t","start_index":1,"end_index":2}])");
}

TEST(ResponsesWriter, ACitationThatComesBeforeItsTextIsNotLost) {
  for (const char* text : {"text { text: 'a' }", "usage { total_tokens: 1 }"}) {
    ResponsesWriter writer = Writer();
    const json::value body =
        WholeOf(writer, {"citation { url: 'https://early' }", text, "finished { reason: FINISH_REASON_STOP }"});
    ASSERT_EQ(body.at("output").as_array().size(), 1u) << text;
    EXPECT_EQ(json::serialize(body.at("output").at(0).at("content").at(0).at("annotations")),
              R"([{"type":"url_citation","url":"https://early","title":"","start_index":0,"end_index":0}])");
  }
}

TEST(ResponsesWriter, WhatEndsIncomplete) {
  struct Row {
    const char* reason;
    const char* incomplete;
  };
  for (const Row& row :
       {Row{"FINISH_REASON_LENGTH", "max_output_tokens"}, Row{"FINISH_REASON_CONTENT_FILTER", "content_filter"}}) {
    ResponsesWriter writer = Writer();
    const std::string out =
        Written(writer, {"text { text: 'a' }", absl::StrCat("finished { reason: ", row.reason, " }")});
    const SentEvent last = SentEvents(out).back();
    EXPECT_EQ(last.name, "response.incomplete");
    const json::value response = json::parse(last.data).at("response");
    EXPECT_EQ(response.at("status").as_string(), "incomplete");
    EXPECT_EQ(response.at("incomplete_details").at("reason").as_string(), row.incomplete);
    EXPECT_EQ(response.at("output").at(0).at("status").as_string(), "incomplete");
    EXPECT_TRUE(response.at("completed_at").is_null());
  }
}

TEST(ResponsesWriter, AnErrorIsTheLastEvent) {
  struct Row {
    Reason reason;
    const char* code;
  };
  for (const Row& row :
       {Row{Reason::REASON_UPSTREAM_BROKEN, "server_error"}, Row{Reason::REASON_RATE_LIMITED, "rate_limit_exceeded"},
        Row{Reason::REASON_CONTEXT_TOO_LONG, "invalid_prompt"}, Row{Reason::REASON_ACCOUNT_MUTED, "server_error"}}) {
    for (const bool begun : {false, true}) {
      ResponsesWriter writer = Writer();
      std::string out;
      if (begun) writer.Write(0, EventOf("text { text: 'a' }"), out);
      writer.Fail(MakeError(row.reason, "cut", {.field = "f"}), out);
      const auto sent = SentEvents(out);
      EXPECT_EQ(sent[0].name, "response.created") << "clients take nothing before it";
      const json::value failed = json::parse(sent[sent.size() - 2].data);
      EXPECT_EQ(failed.at("type").as_string(), "response.failed");
      EXPECT_EQ(failed.at("response").at("status").as_string(), "failed");
      EXPECT_EQ(failed.at("response").at("error").at("code").as_string(), row.code);
      EXPECT_EQ(failed.at("response").at("error").at("message").as_string(), "cut");
      const json::value error = json::parse(sent.back().data);
      EXPECT_EQ(sent.back().name, "error");
      EXPECT_EQ(error.at("message").as_string(), "cut");
      EXPECT_EQ(error.at("param").as_string(), "f");
      EXPECT_EQ(error.at("error").at("code"), error.at("code")) << "the SDKs raise at `error` alone";
    }
  }
}

}  // namespace
}  // namespace switchyard
