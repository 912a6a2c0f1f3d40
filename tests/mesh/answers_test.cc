// Answers, from an HTTP client through every layer to the platform and back.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

class AnswersTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    platforms_ = new SimulatedPlatforms();
    relay_ = new Relay(*platforms_);
  }
  static void TearDownTestSuite() {
    delete relay_;
    delete platforms_;
  }
  void TearDown() override {
    EXPECT_TRUE(Eventually([] { return platforms_->OpenConversations() == 0; })) << "conversations were left over";
    EXPECT_EQ(platforms_->Violations(), "");
  }
  static int port() { return relay_->port(); }
  static std::string Prompt() {
    const auto state = platforms_->State();
    return std::string(state.at("completions").as_array().back().at("prompt").as_string().c_str());
  }

  static inline SimulatedPlatforms* platforms_ = nullptr;
  static inline Relay* relay_ = nullptr;
};

constexpr char kRed[] = "[[sim: text=Red,+green,+blue think=Hmm.+Yes.]]";

TEST_F(AnswersTest, Whole) {
  const Whole answer = Chat(port(), kRed);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.text(), "Red, green, blue");
  EXPECT_EQ(answer.finish_reason(), "stop");
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  EXPECT_TRUE(absl::StartsWith(answer.headers.at("x-request-id"), "req_"));
  EXPECT_EQ(answer.json.at("object").as_string(), "chat.completion");
  EXPECT_EQ(answer.json.at("model").as_string(), "deepseek-chat");
  EXPECT_TRUE(answer.json.at("choices").at(0).at("message").at("refusal").is_null());
  const auto& usage = answer.json.at("usage");
  EXPECT_EQ(usage.at("total_tokens").as_int64(),
            usage.at("prompt_tokens").as_int64() + usage.at("completion_tokens").as_int64());
}

TEST_F(AnswersTest, Streamed) {
  const Streamed answer = Stream(port(), kRed, R"(,"stream_options":{"include_usage":true})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.text, "Red, green, blue");
  EXPECT_EQ(answer.finish_reason, "stop");
  EXPECT_TRUE(answer.done);
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.roles, 1);
  EXPECT_TRUE(answer.usage.is_object());
  EXPECT_TRUE(absl::StartsWith(answer.headers.at("content-type"), "text/event-stream"));
  EXPECT_TRUE(answer.headers.count("x-request-id"));
}

TEST_F(AnswersTest, UsageIsSentOnlyWhereAskedFor) { EXPECT_TRUE(Stream(port(), kRed).usage.is_null()); }

TEST_F(AnswersTest, WholeIsTheFoldedStream) {
  for (const char* model : {"deepseek-chat", "deepseek-reasoner", "deepseek-chat-search", "deepseek-r1-search"}) {
    const std::string text = "[[sim: text=One+[brackets]+two think=Hmm]]";
    EXPECT_EQ(Chat(port(), text, "", model).text(), Stream(port(), text, "", model).text) << model;
  }
}

TEST_F(AnswersTest, ReasoningInFourFormats) {
  struct Row {
    const char* format;
    const char* text;
    const char* reasoning;
  };
  for (const Row& row : {Row{"think", "<think:Hmm. Yes.>Red, green, blue", ""},
                         Row{"tags", "<think>Hmm. Yes.</think>Red, green, blue", ""},
                         Row{"separate", "Red, green, blue", "Hmm. Yes."}, Row{"hidden", "Red, green, blue", ""}}) {
    const std::string more = absl::StrCat(R"(,"reasoning_format":")", row.format, "\"");
    const Streamed streamed = Stream(port(), kRed, more, "deepseek-reasoner");
    EXPECT_EQ(streamed.text, row.text);
    EXPECT_EQ(streamed.reasoning, row.reasoning);
    const Whole whole = Chat(port(), kRed, more, "deepseek-reasoner");
    EXPECT_EQ(whole.text(), row.text);
    const auto& message = whole.json.at("choices").at(0).at("message").as_object();
    EXPECT_EQ(message.contains("reasoning_content"), *row.reasoning != '\0');
  }
  EXPECT_EQ(Stream(port(), kRed, "", "deepseek-reasoner").text, "<think:Hmm. Yes.>Red, green, blue");
}

TEST_F(AnswersTest, EffortOverridesTheModelsName) {
  EXPECT_EQ(Stream(port(), kRed, R"(,"reasoning_effort":"none")", "deepseek-reasoner").text, "Red, green, blue");
  EXPECT_EQ(Stream(port(), kRed, R"(,"reasoning_effort":"low")").text, "<think:Hmm. Yes.>Red, green, blue");
}

TEST_F(AnswersTest, EveryDialectInAnyChunking) {
  for (const char* dialect : {"2026", "2025-11", "2025-mid"}) {
    for (const char* model : {"deepseek-chat", "deepseek-reasoner", "deepseek-r1-search"}) {
      const std::string script =
          absl::StrCat("[[sim: text=Grün,+红色,+blue think=Hmm dialect=", dialect, " comments=1 split=1]]");
      const Streamed answer = Stream(port(), script, R"(,"reasoning_format":"separate")", model);
      EXPECT_EQ(answer.finish_reason, "stop") << dialect << model;
      EXPECT_TRUE(absl::StartsWith(answer.text, "Grün,")) << answer.text;
      EXPECT_TRUE(absl::EndsWith(answer.text, " 红色, blue")) << answer.text;
      EXPECT_EQ(answer.reasoning, std::string(model) == "deepseek-chat" ? "" : "Hmm") << dialect << model;
    }
  }
}

TEST_F(AnswersTest, CitationsAreAnnotations) {
  const Streamed answer = Stream(port(), kRed, "", "deepseek-chat-search");
  EXPECT_EQ(answer.text, "Red, green, blue");
  ASSERT_TRUE(answer.annotations.is_array());
  ASSERT_EQ(answer.annotations.as_array().size(), 2u);
  const auto& first = answer.annotations.as_array()[0];
  EXPECT_EQ(first.at("type").as_string(), "url_citation");
  EXPECT_EQ(first.at("url_citation").at("url").as_string(), "https://source.example/1");
  EXPECT_EQ(first.at("url_citation").at("start_index").as_int64(), 4);
  const Whole whole = Chat(port(), kRed, "", "deepseek-chat-search");
  EXPECT_EQ(whole.json.at("choices").at(0).at("message").at("annotations").as_array().size(), 2u);
}

TEST_F(AnswersTest, StopSequencesAndLimits) {
  const Streamed stopped = Stream(port(), kRed, R"(,"stop":["gre"])");
  EXPECT_EQ(stopped.text, "Red, ");
  EXPECT_EQ(stopped.finish_reason, "stop");
  EXPECT_TRUE(stopped.done);
  const Whole limited = Chat(port(), kRed, R"(,"max_tokens":1)");
  EXPECT_EQ(limited.finish_reason(), "length");
  EXPECT_TRUE(absl::StartsWith("Red, green, blue", limited.text())) << limited.text();
}

TEST_F(AnswersTest, TheWholeHistoryReachesThePlatform) {
  const std::string body =
      R"({"model":"deepseek-chat","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"One"},)"
      R"({"role":"assistant","content":"Two"},{"role":"user","content":[{"type":"text","text":"Three"}]}]})";
  EXPECT_EQ(Fetch(port(), "POST", "/v1/chat/completions", body).status, 200);
  EXPECT_EQ(Prompt(), "[System]\nBe brief.\n\n[User]\nOne\n\n[Assistant]\nTwo\n\n[User]\nThree");
}

TEST_F(AnswersTest, ACutAnswerIsContinued) {
  for (const char* how : {"snapshot", "rest", "message", "pow"}) {
    const Streamed answer =
        Stream(port(), absl::StrCat("[[sim: text=One+two+three+four fault=incomplete at=2 continue=", how, "]]"));
    EXPECT_EQ(answer.text, "One two three four") << how;
    EXPECT_EQ(answer.finish_reason, "stop") << how;
  }
  const Streamed answer = Stream(port(), "[[sim: text=One+two+three+four fault=incomplete at=2 continue=refuse]]");
  EXPECT_EQ(answer.text, "One two");
  EXPECT_EQ(answer.finish_reason, "length");
}

TEST_F(AnswersTest, AKeptConversationGoesOn) {
  const Whole first = Chat(port(), kRed, R"(,"keep_conversation":true)");
  ASSERT_EQ(first.status, 200);
  const std::string id(first.json.at("conversation_id").as_string().c_str());
  EXPECT_EQ(platforms_->OpenConversations(), 1);
  const Whole second =
      Chat(port(), "[[sim: text=More]]", absl::StrCat(R"(,"keep_conversation":true,"conversation_id":")", id, "\""));
  EXPECT_EQ(second.text(), "More") << second.error("message");
  const auto state = platforms_->State();
  EXPECT_EQ(state.at("completions").as_array().back().at("parent_message_id").to_number<int64_t>(), 2);
  const Whole forged = Chat(port(), "x", R"(,"conversation_id":"made-up")");
  EXPECT_EQ(forged.status, 400);
  EXPECT_EQ(forged.error("param"), "conversation_id");
  Fetch(platforms_->port(), "POST", "/_control/reset");
}

TEST_F(AnswersTest, Models) {
  const HttpReply list = Fetch(port(), "GET", "/v1/models");
  EXPECT_EQ(list.status, 200);
  for (const char* id : {"deepseek", "deepseek-chat", "deepseek-reasoner", "deepseek-r1", "deepseek-v4-flash",
                         "deepseek-v4-pro", "deepseek-chat-search"}) {
    EXPECT_TRUE(absl::StrContains(list.body, absl::StrCat("{\"id\":\"", id, "\",\"object\":\"model\","))) << id;
    EXPECT_EQ(Fetch(port(), "GET", absl::StrCat("/v1/models/", id)).status, 200) << id;
    EXPECT_EQ(Chat(port(), kRed, "", id).status, 200) << id;
  }
  const Whole unknown = ReadWhole(Fetch(port(), "GET", "/v1/models/gpt%2F4"));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.error("code"), "model_not_found");
}

TEST_F(AnswersTest, HeadIsGetWithoutABody) {
  const HttpReply get = Fetch(port(), "GET", "/v1/models");
  for (const char* path : {"/v1/models", "/v1/models/deepseek-chat", "/healthz", "/readyz"}) {
    const HttpReply head = Fetch(port(), "HEAD", path);
    EXPECT_EQ(head.status, 200) << path;
    EXPECT_EQ(head.body, "") << path;
  }
  EXPECT_EQ(Fetch(port(), "HEAD", "/v1/models").headers.at("content-length"), get.headers.at("content-length"));
  EXPECT_EQ(Fetch(port(), "HEAD", "/v1/chat/completions").status, 405);
}

TEST_F(AnswersTest, HealthAndUnknownPaths) {
  EXPECT_EQ(Fetch(port(), "GET", "/healthz").status, 200);
  EXPECT_EQ(Fetch(port(), "GET", "/readyz").status, 200);
  EXPECT_EQ(ReadWhole(Fetch(port(), "GET", "/nothing")).error("type"), "invalid_request_error");
  const HttpReply wrong = Fetch(port(), "GET", "/v1/chat/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_TRUE(absl::StrContains(wrong.headers.at("allow"), "POST"));
}

TEST_F(AnswersTest, BadRequestsNameTheField) {
  struct Row {
    const char* body;
    int status;
    const char* code;
    const char* param;
  };
  for (const Row& row : {
           Row{"{", 400, "invalid_request", ""},
           Row{"[]", 400, "invalid_request", ""},
           Row{R"({"messages":[{"role":"user","content":"x"}]})", 400, "invalid_request", "model"},
           Row{R"({"model":"deepseek-chat"})", 400, "invalid_request", "messages"},
           Row{R"({"model":"deepseek-chat","messages":[]})", 400, "invalid_request", "messages"},
           Row{R"({"model":"deepseek-chat","messages":[{"role":"robot","content":"x"}]})", 400, "invalid_request",
               "messages[0].role"},
           Row{R"({"model":"deepseek-chat","messages":[{"role":"user","content":7}]})", 400, "invalid_request",
               "messages[0].content"},
           Row{R"({"model":"deepseek-chat","messages":[{"role":"user","content":"x"}],"temperature":"hot"})", 400,
               "invalid_request", "temperature"},
           Row{R"({"model":"deepseek-chat","messages":[{"role":"user","content":"x"}],"temperature":3})", 400,
               "invalid_request", "temperature"},
           Row{R"({"model":"deepseek-chat","messages":[{"role":"user","content":"x"}],"logprobs":true})", 400,
               "unsupported_parameter", "logprobs"},
           Row{R"({"model":"deepseek-chat","messages":[{"role":"user","content":"x"}],"n":9})", 400, "invalid_request",
               "n"},
           Row{R"({"model":"deepseek-chat","messages":[{"role":"user","content":"x"}],"stop":["a","b","c","d","e"]})",
               400, "invalid_request", "stop"},
           Row{R"({"model":"deepseek-chatty","messages":[{"role":"user","content":"x"}]})", 404, "model_not_found",
               "model"},
       }) {
    const Whole answer = ReadWhole(Fetch(port(), "POST", "/v1/chat/completions", row.body));
    EXPECT_EQ(answer.status, row.status) << row.body;
    EXPECT_EQ(answer.error("code"), row.code) << row.body;
    EXPECT_EQ(answer.error("param"), row.param) << row.body;
    EXPECT_NE(answer.error("message"), "") << row.body;
  }
  EXPECT_EQ(
      Fetch(port(), "POST", "/v1/chat/completions", "x=1", {{"Content-Type", "application/x-www-form-urlencoded"}})
          .status,
      415);
}

TEST_F(AnswersTest, NullAndNeutralValuesPass) {
  const Whole answer = Chat(
      port(), kRed,
      R"(,"temperature":null,"n":1,"logprobs":false,"logit_bias":{},"tools":[],"stop":null,"seed":4,"user":"u","metadata":{},"response_format":{"type":"text"},"made_up":1)");
  EXPECT_EQ(answer.status, 200) << answer.error("message");
}

TEST_F(AnswersTest, OnlyThisMachineIsServed) {
  EXPECT_EQ(Fetch(port(), "GET", "/v1/models", "", {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(Fetch(port(), "GET", "/v1/models", "", {{"Host", "127.0.0.1.evil.example"}}).status, 403);
  EXPECT_EQ(Fetch(port(), "GET", "/v1/models", "", {{"Origin", "https://evil.example"}}).status, 403);
  EXPECT_EQ(Fetch(port(), "GET", "/v1/models", "", {{"Origin", "null"}}).status, 403);
  EXPECT_EQ(
      Fetch(port(), "GET", "/v1/models", "", {{"Host", "127.0.0.1:8000"}, {"Origin", "http://localhost:3000"}}).status,
      200);
  const HttpReply preflight =
      Fetch(port(), "OPTIONS", "/v1/chat/completions", "",
            {{"Origin", "http://localhost:3000"}, {"Access-Control-Request-Headers", "authorization,x-stainless-os"}});
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers.at("access-control-allow-headers"), "authorization,x-stainless-os");
}

TEST_F(AnswersTest, WhatIsRefusedBeforeItIsReadHasAnIdToo) {
  HttpProbe probe(port());
  probe.Send("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
  const HttpReply refused = probe.Read();
  EXPECT_EQ(refused.status, 400);
  ASSERT_TRUE(refused.headers.count("x-request-id"));
  EXPECT_TRUE(absl::StartsWith(refused.headers.at("x-request-id"), "req_"));
  EXPECT_TRUE(relay_->process().WaitForOutput(refused.headers.at("x-request-id")));
}

// A client that sends everything before it reads anything still learns that it was too much.
TEST_F(AnswersTest, ABodyThatIsFarTooLargeIsAnsweredNotCut) {
  const HttpReply refused = Fetch(port(), "POST", "/v1/chat/completions", ChatBody(std::string(40 * 1024 * 1024, 'a')));
  EXPECT_EQ(refused.status, 413);
}

TEST_F(AnswersTest, TheCallersRequestIdIsKept) {
  const HttpReply reply = Fetch(port(), "POST", "/v1/chat/completions", ChatBody(kRed), {{"x-request-id", "my-id-1"}});
  EXPECT_EQ(reply.headers.at("x-request-id"), "my-id-1");
  EXPECT_TRUE(relay_->process().WaitForOutput("\"request_id\":\"my-id-1\""));
}

TEST_F(AnswersTest, NothingSecretIsLogged) {
  Chat(port(), "a very private canary question [[sim: text=private+answer]]");
  const std::string output = relay_->process().output();
  EXPECT_FALSE(absl::StrContains(output, "canary"));
  EXPECT_FALSE(absl::StrContains(output, "private"));
}

}  // namespace
}  // namespace switchyard
