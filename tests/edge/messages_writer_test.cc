#include "edge/messages_writer.h"

#include <map>

#include "boost/json/serialize.hpp"
#include "services/common/status/reason.h"
#include "tests/edge/events.h"

namespace switchyard {
namespace {

namespace json = boost::json;

MessagesWriter Writer() {
  AnswerHead head{.id = "msg_1", .model = "m", .created = 5, .request_id = "req_1"};
  return MessagesWriter(std::move(head));
}

/// Puts a stream together as the official client does, and checks its order on the way.
json::value Rebuilt(const std::string& bytes) {
  json::value message;
  std::string input;
  bool open = false, stopped = false;
  for (const SentEvent& sent : SentEvents(bytes)) {
    const json::value event = json::parse(sent.data);
    const std::string type(event.at("type").as_string().c_str());
    EXPECT_EQ(type, sent.name);
    EXPECT_FALSE(stopped) << "something after message_stop";
    if (type == "message_start") message = event.at("message");
    if (type == "message_stop") stopped = true;
    if (type == "message_delta") {
      for (const auto& member : event.at("delta").as_object()) message.as_object()[member.key()] = member.value();
      for (const auto& member : event.at("usage").as_object())
        message.at("usage").as_object()[member.key()] = member.value();
    }
    if (!event.as_object().contains("index")) continue;
    auto& content = message.at("content").as_array();
    const auto index = event.at("index").to_number<size_t>();
    if (type == "content_block_start") {
      EXPECT_FALSE(std::exchange(open, true)) << "blocks come one after another";
      EXPECT_EQ(index, content.size());
      content.push_back(event.at("content_block"));
      input.clear();
      continue;
    }
    EXPECT_TRUE(open);
    json::value& block = content.at(index);
    if (type == "content_block_stop") {
      open = false;
      if (!input.empty()) block.at("input") = json::parse(input);
      continue;
    }
    const json::value& delta = event.at("delta");
    for (const auto& [kind, key] : {std::pair("text_delta", "text"), std::pair("thinking_delta", "thinking")}) {
      if (delta.at("type") == kind)
        block.at(key) = std::string(block.at(key).as_string().c_str()) + std::string(delta.at(key).as_string().c_str());
    }
    if (delta.at("type") == "input_json_delta") input += delta.at("partial_json").as_string().c_str();
    if (delta.at("type") == "citations_delta") {
      if (block.at("citations").is_null()) block.at("citations") = json::array();
      block.at("citations").as_array().push_back(delta.at("citation"));
    }
  }
  EXPECT_TRUE(stopped);
  return message;
}

TEST(MessagesWriter, ExactBytes) {
  MessagesWriter writer = Writer();
  EXPECT_EQ(
      Written(writer, {"started { model: 'm' }", "reasoning { text: 'w' }", "text { text: 'a' }",
                       "usage { prompt_tokens: 1 completion_tokens: 2 total_tokens: 3 reasoning_tokens: 1 source: "
                       "SOURCE_MEASURED }",
                       "finished { reason: FINISH_REASON_STOP }"}),
      R"(event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"container":null,"diagnostics":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0,"output_tokens_details":{"thinking_tokens":0},"server_tool_use":null,"cache_creation":null,"inference_geo":null,"service_tier":null,"speed":null}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"w"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":"","citations":null}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null},"usage":{"input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2,"output_tokens_details":{"thinking_tokens":1},"server_tool_use":null}}

event: message_stop
data: {"type":"message_stop"}

)");
}

TEST(MessagesWriter, TheStreamBuildsTheWholeAnswer) {
  const std::map<std::string, std::vector<std::string>> answers = {
      {"everything",
       {"started { conversation_id: 'c' }", "notice { code: 'n' message: 'm' }", "reasoning { text: 'w' }",
        "reasoning { text: 'hy' }", "citation { url: 'https://early' snippet: 's' }", "text { text: '中' }",
        "text { text: 'b' }", "citation { url: 'https://x' title: 't' start: 2 end: 2 }", "reasoning { text: 'more' }",
        "text { text: 'c' }", "usage { prompt_tokens: 1 completion_tokens: 2 total_tokens: 3 source: SOURCE_MEASURED }",
        "finished { reason: FINISH_REASON_STOP stop_sequence: 'X' }"}},
      {"two calls after text",
       {"text { text: 'let me' }", "tool_call { index: 0 id: 'c1' name: 'f' arguments: '{\"a\"' }",
        "tool_call { index: 0 arguments: ':1}' }", "tool_call { index: 1 id: 'c2' name: 'g' }",
        "finished { reason: FINISH_REASON_TOOL_CALLS }"}},
      {"withdrawn",
       {"text { text: 'a' }", "refusal { text: 'no' }", "finished { reason: FINISH_REASON_CONTENT_FILTER }"}},
      {"nothing but its end", {"finished { reason: FINISH_REASON_LENGTH }"}},
      {"a citation without any text", {"citation { url: 'https://x' }", "finished { reason: FINISH_REASON_STOP }"}},
  };
  for (const auto& [name, events] : answers) {
    SCOPED_TRACE(name);
    MessagesWriter streamed = Writer(), whole = Writer();
    const json::value built = Rebuilt(Written(streamed, events));
    EXPECT_EQ(json::serialize(built), json::serialize(WholeOf(whole, events)));
  }
}

TEST(MessagesWriter, WhyItStopped) {
  struct Row {
    const char* finished;
    const char* reason;
    const char* sequence;
  };
  for (const Row& row : {Row{"reason: FINISH_REASON_STOP", "end_turn", "null"},
                         Row{"reason: FINISH_REASON_STOP stop_sequence: 'X'", "stop_sequence", "\"X\""},
                         Row{"reason: FINISH_REASON_LENGTH", "max_tokens", "null"},
                         Row{"reason: FINISH_REASON_TOOL_CALLS", "tool_use", "null"},
                         Row{"reason: FINISH_REASON_CONTENT_FILTER", "refusal", "null"}}) {
    MessagesWriter writer = Writer();
    const json::value body =
        WholeOf(writer, {"refusal { text: 'no' }", absl::StrCat("finished { ", row.finished, " }")});
    EXPECT_EQ(body.at("stop_reason").as_string(), row.reason);
    EXPECT_EQ(json::serialize(body.at("stop_sequence")), row.sequence);
    const bool refused = std::string(row.reason) == "refusal";
    EXPECT_EQ(json::serialize(body.at("stop_details")),
              refused ? R"({"type":"refusal","category":null,"explanation":"no"})" : "null");
  }
}

TEST(MessagesWriter, ACitationThatComesBeforeItsTextIsNotLost) {
  for (const char* text : {"text { text: 'a' }", "usage { total_tokens: 1 }"}) {
    MessagesWriter writer = Writer();
    const json::value body =
        WholeOf(writer, {"citation { url: 'https://early' }", text, "finished { reason: FINISH_REASON_STOP }"});
    ASSERT_EQ(body.at("content").as_array().size(), 1u) << text;
    EXPECT_EQ(
        json::serialize(body.at("content").at(0).at("citations")),
        R"([{"type":"web_search_result_location","url":"https://early","title":null,"encrypted_index":"","cited_text":""}])");
  }
}

TEST(MessagesWriter, Calls) {
  MessagesWriter writer = Writer();
  const json::value body = WholeOf(
      writer,
      {"tool_call { index: 0 id: 'c1' name: 'f' arguments: '{\"a\":1}' }", "tool_call { index: 1 id: 'c2' name: 'g' }",
       "tool_call { index: 2 id: 'c3' name: 'h' arguments: 'oops' }", "finished { reason: FINISH_REASON_TOOL_CALLS }"});
  EXPECT_EQ(json::serialize(body.at("content")),
            R"([{"type":"tool_use","id":"c1","name":"f","input":{"a":1},"caller":{"type":"direct"}},)"
            R"({"type":"tool_use","id":"c2","name":"g","input":{},"caller":{"type":"direct"}},)"
            R"({"type":"tool_use","id":"c3","name":"h","input":{"arguments":"oops"},"caller":{"type":"direct"}}])");
}

TEST(MessagesWriter, NothingIsWrittenBeforeTheFirstContent) {
  MessagesWriter writer = Writer();
  std::string out;
  writer.Write(0, EventOf("started { conversation_id: 'c' }"), out);
  writer.Write(0, EventOf("notice { code: 'n' message: 'm' }"), out);
  EXPECT_EQ(out, "");
}

TEST(MessagesWriter, SilenceAndErrors) {
  MessagesWriter writer = Writer();
  std::string out;
  writer.KeepAlive(out);
  EXPECT_EQ(out, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
  out.clear();
  writer.Fail(MakeError(Reason::REASON_UPSTREAM_BROKEN, "cut"), out);
  EXPECT_EQ(
      out,
      "event: error\ndata: "
      R"({"type":"error","error":{"type":"api_error","message":"cut","details":{"error_code":"upstream_broken"}},"request_id":"req_1"})"
      "\n\n");
}

}  // namespace
}  // namespace switchyard
