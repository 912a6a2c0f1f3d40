#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "boost/json/serialize.hpp"
#include "edge/text_completion_request.h"
#include "edge/text_completion_writer.h"
#include "services/common/status/reason.h"
#include "tests/edge/events.h"

namespace switchyard {
namespace {

namespace json = boost::json;

absl::StatusOr<TextCompletionCall> Parse(const std::string& more) {
  return ParseTextCompletion(absl::StrCat(R"({"model":"m",)", more, "}"));
}

TEST(ParseTextCompletion, EveryFieldHasItsPlace) {
  struct Row {
    const char* json;
    const char* request;  // without the model, the message and an empty `sampling`
  };
  for (const Row& row : {
           Row{R"("temperature":0.5,"top_p":1,"seed":7,"presence_penalty":1,"frequency_penalty":-1)",
               "sampling { temperature: 0.5 top_p: 1 presence_penalty: 1 frequency_penalty: -1 seed: 7 }"},
           Row{R"("stop":"a")", R"(stop: "a")"},
           Row{R"("stop":["a","b"])", R"(stop: "a" stop: "b")"},
           Row{R"("max_tokens":5)", "max_output_tokens: 5"},
           Row{R"("user":"u")", R"(end_user: "u")"},
           Row{R"("reasoning_format":"hidden","web_search":true)",
               "reasoning { format: REASONING_FORMAT_HIDDEN } web_search { enabled: true }"},
           Row{R"("made_up":1)", R"(ignored_fields: "made_up")"},
           Row{R"("suffix":"","best_of":1,"logprobs":null,"logit_bias":{},"echo":false)", ""},
           Row{R"("suffix":"x")", R"(unsupported { field: "suffix" })"},
           Row{R"("logprobs":0)", R"(unsupported { field: "logprobs" })"},
           Row{R"("best_of":3)", R"(unsupported { field: "best_of" })"},
           Row{R"("n":3,"best_of":3)", ""},
           Row{R"("logit_bias":{"5":1})", R"(unsupported { field: "logit_bias" })"},
       }) {
    auto call = Parse(absl::StrCat(R"("prompt":"p",)", row.json));
    ASSERT_TRUE(call.ok()) << row.json << call.status();
    ASSERT_EQ(call->requests.size(), 1u);
    chat::v1::ChatRequest request = call->requests[0];
    EXPECT_EQ(request.model(), "m");
    EXPECT_EQ(request.messages(0).parts(0).text(), "p");
    request.clear_model();
    request.clear_messages();
    if (request.sampling().ByteSizeLong() == 0) request.clear_sampling();
    for (auto& unsupported : *request.mutable_unsupported()) {
      EXPECT_NE(unsupported.why(), "");
      unsupported.clear_why();
    }
    EXPECT_EQ(request.ShortDebugString(), row.request) << row.json;
  }
}

TEST(ParseTextCompletion, SeveralPrompts) {
  const auto call =
      Parse(R"("prompt":["a","b"],"n":3,"echo":true,"stream":true,"stream_options":{"include_usage":true})");
  ASSERT_TRUE(call.ok()) << call.status();
  ASSERT_EQ(call->requests.size(), 2u);
  EXPECT_EQ(call->requests[1].messages(0).parts(0).text(), "b");
  EXPECT_EQ(call->n, 3);
  EXPECT_EQ(call->echo, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(call->stream);
  EXPECT_TRUE(call->include_usage);
  EXPECT_EQ(call->names.In("messages[0].content"), "prompt");
}

TEST(ParseTextCompletion, FaultsNameTheirField) {
  struct Row {
    const char* json;
    const char* field;
  };
  for (const Row& row : {
           Row{R"("n":1)", "prompt"},
           Row{R"("prompt":{})", "prompt"},
           Row{R"("prompt":[])", "prompt"},
           Row{R"("prompt":[1,2,3])", "prompt"},
           Row{R"("prompt":[[1,2]])", "prompt"},
           Row{R"("prompt":["a",true])", "prompt"},
           Row{R"("prompt":"p","n":9)", "n"},
           Row{R"("prompt":["a","b","c"],"n":3)", "n"},
           Row{R"("prompt":["a","b","c","d","e","f","g","h","i"])", "prompt"},
           Row{R"("prompt":"p","n":2,"keep_conversation":true)", "n"},
           Row{R"("prompt":["p","q"],"conversation_id":"c")", "prompt"},
           Row{R"("prompt":"p","max_tokens":0)", "max_tokens"},
           Row{R"("prompt":"p","stop":[1])", "stop[0]"},
           Row{R"("prompt":"p","stream_options":{})", "stream_options"},
           Row{R"("prompt":"p","echo":"yes")", "echo"},
       }) {
    const auto call = Parse(row.json);
    EXPECT_EQ(ReasonOf(call.status()), Reason::REASON_INVALID_REQUEST) << row.json;
    EXPECT_EQ(DetailOf(call.status()).field(), row.field) << row.json << call.status();
  }
}

AnswerHead Head() { return {.id = "cmpl-1", .model = "m", .created = 5}; }

TEST(TextCompletionWriter, ExactBytes) {
  TextCompletionWriter writer(Head(), {.include_usage = true, .echo = {"p"}});
  EXPECT_EQ(
      Written(writer,
              {"started { conversation_id: 'c' }", "text { text: 'a' }", "citation { url: 'u' start: 1 end: 1 }",
               "usage { prompt_tokens: 1 completion_tokens: 2 total_tokens: 3 source: SOURCE_MEASURED }",
               "finished { reason: FINISH_REASON_LENGTH }"}),
      R"(data: {"id":"cmpl-1","object":"text_completion","created":5,"model":"m","choices":[{"text":"p","index":0,"logprobs":null,"finish_reason":null}],"usage":null,"conversation_id":"c"}

data: {"id":"cmpl-1","object":"text_completion","created":5,"model":"m","choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"cmpl-1","object":"text_completion","created":5,"model":"m","choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"length","annotations":[{"type":"url_citation","url_citation":{"start_index":2,"end_index":2,"url":"u","title":""}}]}],"usage":null}

data: {"id":"cmpl-1","object":"text_completion","created":5,"model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"completion_tokens_details":{"reasoning_tokens":0}}}

data: [DONE]

)");
}

TEST(TextCompletionWriter, WholeOfSeveralPrompts) {
  TextCompletionWriter writer(Head(), {.prompts = 2, .n = 2, .echo = {"p", "q"}});
  for (size_t i = 0; i < 4; ++i) {
    writer.Take(i, EventOf(absl::StrCat("text { text: '", i, "' }")));
    writer.Take(i,
                EventOf("usage { prompt_tokens: 10 completion_tokens: 1 total_tokens: 11 source: SOURCE_MEASURED }"));
    writer.Take(i, EventOf("finished { reason: FINISH_REASON_STOP }"));
  }
  const json::value body = json::parse(writer.Whole());
  EXPECT_EQ(body.at("object").as_string(), "text_completion");
  ASSERT_EQ(body.at("choices").as_array().size(), 4u);
  EXPECT_EQ(body.at("choices").at(1).at("text").as_string(), "p1");
  EXPECT_EQ(body.at("choices").at(2).at("text").as_string(), "q2");
  EXPECT_EQ(body.at("choices").at(2).at("index").as_int64(), 2);
  EXPECT_EQ(body.at("usage").at("prompt_tokens").as_int64(), 20);
  EXPECT_EQ(body.at("usage").at("completion_tokens").as_int64(), 4);
}

TEST(TextCompletionWriter, WhatHasNoPlaceIsBesideTheText) {
  const std::vector<std::string> events = {"reasoning { text: 'why' }", "text { text: 'a' }", "refusal { text: 'no' }",
                                           "finished { reason: FINISH_REASON_CONTENT_FILTER }"};
  TextCompletionWriter whole(Head(), {});
  EXPECT_EQ(
      json::serialize(WholeOf(whole, events).at("choices")),
      R"([{"text":"a","index":0,"logprobs":null,"finish_reason":"content_filter","reasoning_content":"why","refusal":"no"}])");
  TextCompletionWriter streamed(Head(), {});
  const auto sent = SentEvents(Written(streamed, events));
  EXPECT_EQ(json::parse(sent[0].data).at("choices").at(0).at("reasoning_content").as_string(), "why");
  EXPECT_EQ(json::parse(sent[2].data).at("choices").at(0).at("refusal").as_string(), "no");
}

}  // namespace
}  // namespace switchyard
