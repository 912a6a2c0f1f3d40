// The four APIs over the whole relay: the same turn, worded in four ways, streamed and whole.
#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr char kRed[] = "[[sim: text=Red,+green,+blue think=Hmm.+Yes.]]";
constexpr char kSlow[] = "[[sim: chunks=1000 chunk_ms=20]]";
constexpr char kCut[] = "text=One+two+three fault=cut at=2 chunk_ms=20";

struct SentEvent {
  std::string name;
  json::value data;  // null for [DONE]
};
std::vector<SentEvent> SentEvents(const HttpReply& reply) {
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_TRUE(absl::StartsWith(reply.headers.at("content-type"), "text/event-stream"));
  std::vector<SentEvent> events;
  for (const absl::string_view block : absl::StrSplit(reply.body, "\n\n", absl::SkipEmpty())) {
    SentEvent& event = events.emplace_back();
    for (const absl::string_view line : absl::StrSplit(block, '\n')) {
      if (absl::StartsWith(line, "event: ")) event.name = std::string(line.substr(7));
      if (absl::StartsWith(line, "data: {")) event.data = json::parse(std::string(line.substr(6)));
    }
  }
  return events;
}

std::string Str(const json::value& value) {
  return value.is_string() ? std::string(value.as_string().c_str()) : json::serialize(value);
}

class ApisTest : public ::testing::Test {
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

  static HttpReply Post(const std::string& path, const std::string& body) { return Fetch(port(), "POST", path, body); }
  static json::value PostWhole(const std::string& path, const std::string& body, int status = 200) {
    const HttpReply reply = Post(path, body);
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_EQ(reply.headers.at("content-type"), "application/json");
    return json::parse(reply.body);
  }
  static std::string LastPrompt() { return Str(platforms_->State().at("completions").as_array().back().at("prompt")); }

  /// A client that leaves in the middle stops everything behind it.
  static void ExpectAbort(const std::string& path, const std::string& body, const std::string& until) {
    HttpProbe probe(port());
    probe.Post(path, body);
    ASSERT_TRUE(probe.ReadUntil(until)) << probe.raw();
    probe.Close();
    EXPECT_TRUE(Eventually([] { return platforms_->State().at("running").to_number<int64_t>() == 0; }));
    EXPECT_EQ(Chat(port(), "[[sim: text=Free]]").text(), "Free") << "the account is not free";
  }

  static inline SimulatedPlatforms* platforms_ = nullptr;
  static inline Relay* relay_ = nullptr;
};

std::string Quoted(const std::string& text) { return json::serialize(json::value(json::string(text))); }

// ---- chat completions with n

TEST_F(ApisTest, ChoicesWhole) {
  const Whole answer = Chat(port(), kRed, R"(,"n":3)");
  ASSERT_EQ(answer.status, 200) << json::serialize(answer.json);
  const auto& choices = answer.json.at("choices").as_array();
  ASSERT_EQ(choices.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(choices[i].at("index").to_number<size_t>(), i);
    EXPECT_EQ(Str(choices[i].at("message").at("content")), "Red, green, blue");
  }
  const Whole one = Chat(port(), kRed);
  const auto tokens = [](const Whole& whole, const char* of) {
    return whole.json.at("usage").at(of).to_number<int64_t>();
  };
  EXPECT_EQ(tokens(answer, "prompt_tokens"), tokens(one, "prompt_tokens"));
  EXPECT_EQ(tokens(answer, "completion_tokens"), 3 * tokens(one, "completion_tokens"));
}

TEST_F(ApisTest, ChoicesStreamed) {
  const HttpReply reply =
      Post("/v1/chat/completions", ChatBody(kRed, R"(,"stream":true,"n":2,"stream_options":{"include_usage":true})"));
  std::string text[2];
  int finishes = 0, usages = 0;
  for (const SentEvent& event : SentEvents(reply)) {
    if (event.data.is_null()) continue;
    usages += !event.data.at("usage").is_null();
    for (const json::value& choice : event.data.at("choices").as_array()) {
      const auto& delta = choice.at("delta").as_object();
      if (delta.contains("content")) text[choice.at("index").as_int64()] += Str(delta.at("content"));
      finishes += !choice.at("finish_reason").is_null();
    }
  }
  EXPECT_EQ(text[0], "Red, green, blue");
  EXPECT_EQ(text[1], "Red, green, blue");
  EXPECT_EQ(finishes, 2);
  EXPECT_EQ(usages, 1);
  EXPECT_TRUE(absl::EndsWith(reply.body, "data: [DONE]\n\n"));
}

// A choice that is cancelled on its way may still take a plan, so each of these has platforms of its own.
TEST_F(ApisTest, AFailedChoiceFailsTheAnswer) {
  {
    SimulatedPlatforms platforms;
    Relay relay(platforms);
    platforms.Plan("fault=empty", 1);
    const Whole whole = Chat(relay.port(), kRed, R"(,"n":2)");
    EXPECT_EQ(whole.status, 502);
    EXPECT_EQ(whole.error("code"), "upstream_empty");
    EXPECT_TRUE(Eventually([&] { return platforms.OpenConversations() == 0; }));
  }
  SimulatedPlatforms platforms;
  Relay relay(platforms);
  platforms.Plan(kCut, 1);
  const Streamed streamed = Stream(relay.port(), "x", R"(,"n":2)");
  EXPECT_EQ(streamed.status, 200);
  ASSERT_TRUE(streamed.error.is_object()) << streamed.body;
  EXPECT_EQ(Str(streamed.error.at("code")), "upstream_broken");
  EXPECT_FALSE(streamed.done) << "an answer that failed looks whole";
}

TEST_F(ApisTest, AConversationHasOneAnswerATurn) {
  for (const char* more : {R"(,"n":2,"keep_conversation":true)", R"(,"n":2,"conversation_id":"c")"}) {
    const Whole refused = Chat(port(), "x", more);
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(refused.error("param"), "n");
  }
}

TEST_F(ApisTest, MessagesWithoutContentAreTaken) {
  const Whole answer = ReadWhole(Post("/v1/chat/completions", R"({"model":"deepseek-chat","messages":[
    {"role":"system","content":""},{"role":"user","content":""},{"role":"assistant","content":""},
    {"role":"assistant","content":null,"reasoning_content":"hm"},{"role":"user","content":"[[sim: text=Yes]]"}]})"));
  EXPECT_EQ(answer.status, 200) << answer.error("message");
  EXPECT_EQ(answer.text(), "Yes");
}

TEST_F(ApisTest, ChoicesThatKeepTheAccountBusyTakeTurns) {
  Relay relay(*platforms_, {{"SWITCHYARD_PROVIDERS__DEEPSEEK__QUEUE_DEPTH", "0"}});
  const Whole whole = Chat(relay.port(), kRed, R"(,"n":4)");
  ASSERT_EQ(whole.status, 200) << whole.error("message");
  EXPECT_EQ(whole.json.at("choices").as_array().size(), 4u);
}

// One of them fails while the others wait for its account: they are not asked for any more.
TEST_F(ApisTest, AChoiceThatFailsIsTheLast) {
  Relay relay(*platforms_, {{"SWITCHYARD_PROVIDERS__DEEPSEEK__QUEUE_DEPTH", "0"}});
  constexpr char kTurns[] = "\nswitchyard_turns_total{";
  const int admin = relay.process().PortAfter("serving metrics on http://127.0.0.1:");
  const auto turns = [&](const std::string& code) {
    const std::string metrics = Fetch(admin, "GET", "/metrics").body;
    int count = 0;
    for (size_t at = metrics.find(kTurns + code); at != metrics.npos; at = metrics.find(kTurns + code, at + 1))
      count += std::atoi(metrics.c_str() + metrics.find("} ", at) + 2);
    return count;
  };
  EXPECT_NE(Chat(relay.port(), "[[sim: fault=banned first_ms=500]]", R"(,"n":3)").status, 200);
  // A turn more would have begun before the answer.
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(Fetch(admin, "GET", "/metrics").body,
                             "switchyard_turns_in_flight{platform=\"deepseek\"} 0");
  }));
  EXPECT_EQ(turns("code=\"RESOURCE_EXHAUSTED\""), 2);
  EXPECT_EQ(turns(""), 3);
}

TEST_F(ApisTest, ChoicesRunAtOnceAndEndTogether) {
  SimulatedPlatforms platforms;
  Relay relay(platforms, {{"DEEPSEEK_TOKEN_2", platforms.Credentials(2).at("DEEPSEEK_TOKEN")}});
  HttpProbe probe(relay.port());
  probe.Post("/v1/chat/completions", ChatBody(kSlow, R"(,"stream":true,"n":2)"));
  ASSERT_TRUE(probe.ReadUntil(R"("index":0,"delta":{"content")"));
  ASSERT_TRUE(probe.ReadUntil(R"("index":1,"delta":{"content")"));
  EXPECT_EQ(platforms.State().at("running").to_number<int64_t>(), 2);
  probe.Close();
  EXPECT_TRUE(Eventually([&] { return platforms.State().at("running").to_number<int64_t>() == 0; }));
  EXPECT_TRUE(Eventually([&] { return platforms.OpenConversations() == 0; }));
}

// ---- text completions

std::string Prompt(const std::string& text, const std::string& more = "") {
  return absl::StrCat(R"({"model":"deepseek-chat","prompt":)", Quoted(text), more, "}");
}

TEST_F(ApisTest, TextCompletions) {
  const json::value whole = PostWhole("/v1/completions", Prompt(kRed));
  EXPECT_EQ(Str(whole.at("object")), "text_completion");
  EXPECT_EQ(Str(whole.at("choices").at(0).at("text")), "Red, green, blue");
  EXPECT_EQ(Str(whole.at("choices").at(0).at("finish_reason")), "stop");
  EXPECT_GT(whole.at("usage").at("total_tokens").as_int64(), 0);
  EXPECT_EQ(LastPrompt(), kRed);
  const HttpReply reply = Post("/v1/completions", Prompt(kRed, R"(,"stream":true,"echo":true,"stop":"blue")"));
  std::string text;
  for (const SentEvent& event : SentEvents(reply)) {
    if (event.data.is_object()) text += Str(event.data.at("choices").at(0).at("text"));
  }
  EXPECT_EQ(text, absl::StrCat(kRed, "Red, green, "));
  EXPECT_TRUE(absl::EndsWith(reply.body, "data: [DONE]\n\n"));
}

TEST_F(ApisTest, TextCompletionsOfSeveralPrompts) {
  const json::value whole = PostWhole(
      "/v1/completions",
      R"({"model":"deepseek-chat","prompt":["[[sim: text=One]]","[[sim: text=Two]]"],"n":2,"max_tokens":50})");
  std::string texts;
  for (const json::value& choice : whole.at("choices").as_array()) absl::StrAppend(&texts, Str(choice.at("text")), " ");
  EXPECT_EQ(texts, "One One Two Two ");
}

TEST_F(ApisTest, TextCompletionErrors) {
  EXPECT_EQ(Str(PostWhole("/v1/completions", Prompt("x", R"(,"suffix":"y")"), 400).at("error").at("param")), "suffix");
  EXPECT_EQ(Str(PostWhole("/v1/completions", Prompt(""), 400).at("error").at("param")), "prompt");
  platforms_->Plan("fault=empty", 1);
  EXPECT_EQ(Str(PostWhole("/v1/completions", Prompt("x", R"(,"stream":true)"), 502).at("error").at("code")),
            "upstream_empty");
  platforms_->Plan(kCut, 1);
  const auto sent = SentEvents(Post("/v1/completions", Prompt("x", R"(,"stream":true)")));
  EXPECT_EQ(Str(sent.back().data.at("error").at("code")), "upstream_broken");
  ExpectAbort("/v1/completions", Prompt(kSlow, R"(,"stream":true)"), "piece 2");
}

// ---- responses

std::string Input(const std::string& text, const std::string& more = "", const std::string& model = "deepseek-chat") {
  return absl::StrCat(R"({"model":)", Quoted(model), R"(,"input":)", Quoted(text), more, "}");
}

TEST_F(ApisTest, Responses) {
  const json::value whole = PostWhole("/v1/responses", Input(kRed, R"(,"instructions":"Be brief.","temperature":0.5)"));
  EXPECT_EQ(Str(whole.at("object")), "response");
  EXPECT_EQ(Str(whole.at("status")), "completed");
  EXPECT_EQ(Str(whole.at("output").at(0).at("content").at(0).at("text")), "Red, green, blue");
  EXPECT_EQ(Str(whole.at("instructions")), "Be brief.");
  EXPECT_EQ(whole.at("temperature").as_double(), 0.5);
  EXPECT_GT(whole.at("completed_at").as_int64(), 0);
  EXPECT_GT(whole.at("usage").at("output_tokens").as_int64(), 0);
  EXPECT_EQ(LastPrompt(), absl::StrCat("[System]\nBe brief.\n\n[User]\n", kRed));
  const auto sent = SentEvents(Post("/v1/responses", Input(kRed, R"(,"stream":true)")));
  EXPECT_EQ(sent.front().name, "response.created");
  EXPECT_EQ(sent.back().name, "response.completed");
  EXPECT_EQ(Str(sent.back().data.at("response").at("output").at(0).at("content").at(0).at("text")), "Red, green, blue");
}

TEST_F(ApisTest, ResponsesReasoningIsAnItemOfItsOwn) {
  const json::value whole = PostWhole("/v1/responses", Input(kRed, "", "deepseek-reasoner"));
  EXPECT_EQ(Str(whole.at("output").at(0).at("content").at(0).at("text")), "Hmm. Yes.");
  EXPECT_EQ(Str(whole.at("output").at(1).at("content").at(0).at("text")), "Red, green, blue");
  const json::value effort =
      PostWhole("/v1/responses", Input(kRed, R"(,"reasoning":{"effort":"low","summary":"auto"})"));
  EXPECT_EQ(Str(effort.at("output").at(0).at("summary").at(0).at("text")), "Hmm. Yes.");
  const json::value inside =
      PostWhole("/v1/responses", Input(kRed, R"(,"reasoning_format":"tags")", "deepseek-reasoner"));
  EXPECT_EQ(Str(inside.at("output").at(0).at("content").at(0).at("text")), "<think>Hmm. Yes.</think>Red, green, blue");
}

TEST_F(ApisTest, ResponsesCitationsAreAnnotations) {
  const json::value whole = PostWhole("/v1/responses", Input(kRed, R"(,"tools":[{"type":"web_search"}])"));
  const auto& annotations = whole.at("output").at(0).at("content").at(0).at("annotations").as_array();
  ASSERT_EQ(annotations.size(), 2u);
  EXPECT_EQ(Str(annotations[0].at("url")), "https://source.example/1");
}

TEST_F(ApisTest, ResponsesThatEndIncomplete) {
  const json::value limited = PostWhole("/v1/responses", Input(kRed, R"(,"max_output_tokens":1)"));
  EXPECT_EQ(Str(limited.at("status")), "incomplete");
  EXPECT_EQ(Str(limited.at("incomplete_details").at("reason")), "max_output_tokens");
  const auto sent = SentEvents(
      Post("/v1/responses", Input("[[sim: text=One+two+three fault=content_filter at=2]]", R"(,"stream":true)")));
  EXPECT_EQ(sent.back().name, "response.incomplete");
  const auto& content = sent.back().data.at("response").at("output").at(0).at("content");
  EXPECT_EQ(Str(content.at(0).at("text")), "One two");
  EXPECT_EQ(Str(content.at(1).at("refusal")), "Let us talk about something else.");
}

TEST_F(ApisTest, ResponsesErrors) {
  const auto param = [](const std::string& body) {
    return Str(PostWhole("/v1/responses", body, 400).at("error").at("param"));
  };
  EXPECT_EQ(param(Input("x", R"(,"previous_response_id":"resp_1")")), "previous_response_id");
  EXPECT_EQ(param(Input("")), "input");
  EXPECT_EQ(param(R"({"model":"deepseek-chat","input":[{"role":"user","content":[{"type":"input_text","text":"x"},)"
                  R"({"type":"input_file","file_id":"f"}]}]})"),
            "input[0].content[1].file_id");
  EXPECT_EQ(Str(PostWhole("/v1/responses", Input("x", "", "gpt-4"), 404).at("error").at("code")), "model_not_found");
  platforms_->Plan("fault=empty", 1);
  EXPECT_EQ(Str(PostWhole("/v1/responses", Input("x", R"(,"stream":true)"), 502).at("error").at("code")),
            "upstream_empty");
  platforms_->Plan(kCut, 1);
  const auto sent = SentEvents(Post("/v1/responses", Input("x", R"(,"stream":true)")));
  EXPECT_EQ(sent[sent.size() - 2].name, "response.failed");
  EXPECT_EQ(Str(sent.back().data.at("error").at("code")), "upstream_broken");
  ExpectAbort("/v1/responses", Input(kSlow, R"(,"stream":true)"), "piece 2");
}

// ---- messages

std::string Message(const std::string& text, const std::string& more = "", const std::string& model = "deepseek-chat") {
  return absl::StrCat(R"({"model":)", Quoted(model), R"(,"max_tokens":1000,"messages":[{"role":"user","content":)",
                      Quoted(text), "}]", more, "}");
}

TEST_F(ApisTest, Messages) {
  const json::value whole = PostWhole("/v1/messages", Message(kRed, R"(,"system":"Be brief.")"));
  EXPECT_EQ(Str(whole.at("type")), "message");
  EXPECT_EQ(Str(whole.at("content").at(0).at("text")), "Red, green, blue");
  EXPECT_EQ(Str(whole.at("stop_reason")), "end_turn");
  EXPECT_GT(whole.at("usage").at("input_tokens").as_int64(), 0);
  EXPECT_EQ(LastPrompt(), absl::StrCat("[System]\nBe brief.\n\n[User]\n", kRed));
  const HttpReply reply = Post("/v1/messages", Message(kRed, R"(,"stream":true)"));
  EXPECT_EQ(reply.headers.at("request-id"), reply.headers.at("x-request-id"));
  std::string text;
  for (const SentEvent& event : SentEvents(reply)) {
    EXPECT_EQ(event.name, Str(event.data.at("type")));
    if (event.name == "content_block_delta") text += Str(event.data.at("delta").at("text"));
  }
  EXPECT_EQ(text, "Red, green, blue");
  EXPECT_TRUE(absl::EndsWith(reply.body, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
}

TEST_F(ApisTest, MessagesThinkingIsABlockOfItsOwn) {
  for (const std::string& body : {Message(kRed, "", "deepseek-reasoner"),
                                  Message(kRed, R"(,"thinking":{"type":"enabled","budget_tokens":1024})")}) {
    const json::value whole = PostWhole("/v1/messages", body);
    EXPECT_EQ(Str(whole.at("content").at(0).at("thinking")), "Hmm. Yes.");
    EXPECT_EQ(Str(whole.at("content").at(0).at("signature")), "");
    EXPECT_EQ(Str(whole.at("content").at(1).at("text")), "Red, green, blue");
  }
  const json::value disabled =
      PostWhole("/v1/messages", Message(kRed, R"(,"thinking":{"type":"disabled"})", "deepseek-reasoner"));
  EXPECT_EQ(Str(disabled.at("content").at(0).at("text")), "Red, green, blue");
}

TEST_F(ApisTest, MessagesSayWhyTheyStopped) {
  const json::value stopped = PostWhole("/v1/messages", Message(kRed, R"(,"stop_sequences":["xyz","gre"])"));
  EXPECT_EQ(Str(stopped.at("content").at(0).at("text")), "Red, ");
  EXPECT_EQ(Str(stopped.at("stop_reason")), "stop_sequence");
  EXPECT_EQ(Str(stopped.at("stop_sequence")), "gre");
  const json::value limited = PostWhole(
      "/v1/messages", absl::StrCat(R"({"model":"deepseek-chat","max_tokens":1,"messages":[{"role":"user","content":)",
                                   Quoted(kRed), "}]}"));
  EXPECT_EQ(Str(limited.at("stop_reason")), "max_tokens");
  const json::value withdrawn =
      PostWhole("/v1/messages", Message("[[sim: text=One+two+three fault=content_filter at=2]]"));
  EXPECT_EQ(Str(withdrawn.at("stop_reason")), "refusal");
  EXPECT_EQ(Str(withdrawn.at("stop_details").at("explanation")), "Let us talk about something else.");
}

TEST_F(ApisTest, MessagesErrorsHaveAnthropicsForm) {
  struct Row {
    const char* path;
    std::string body;
    int status;
    const char* type;
  };
  platforms_->Plan("fault=empty", 1);
  for (const Row& row : {
           Row{"/v1/messages", Message("x", R"(,"stream":true)"), 502, "api_error"},
           Row{"/v1/messages", Message("x", "", "claude"), 404, "not_found_error"},
           Row{"/v1/messages", "{", 400, "invalid_request_error"},
           Row{"/v1/messages", Message("x", R"(,"temperature":9)"), 400, "invalid_request_error"},
           Row{"/v1/messages", Message("x", R"(,"tools":[{"type":"bash_20250124","name":"bash"}])"), 400,
               "invalid_request_error"},
           Row{"/v1/messages/count_tokens", Message("x"), 404, "not_found_error"},
       }) {
    const HttpReply reply = Post(row.path, row.body);
    EXPECT_EQ(reply.status, row.status) << row.body;
    const json::value body = json::parse(reply.body);
    EXPECT_EQ(Str(body.at("type")), "error") << row.body;
    EXPECT_EQ(Str(body.at("error").at("type")), row.type) << row.body;
    EXPECT_NE(Str(body.at("error").at("message")), "") << row.body;
    EXPECT_EQ(Str(body.at("request_id")), reply.headers.at("x-request-id")) << row.body;
  }
  const json::value wrong = json::parse(Fetch(port(), "GET", "/v1/messages").body);
  EXPECT_EQ(Str(wrong.at("error").at("type")), "invalid_request_error");
  const json::value page =
      json::parse(Fetch(port(), "POST", "/v1/messages", Message("x"), {{"Origin", "https://evil.example"}}).body);
  EXPECT_EQ(Str(page.at("error").at("type")), "permission_error");
  const json::value form =
      json::parse(Fetch(port(), "POST", "/v1/messages", "a=1", {{"Content-Type", "text/plain"}}).body);
  EXPECT_EQ(Str(form.at("error").at("type")), "invalid_request_error");
}

TEST_F(ApisTest, MessagesThatBreakOffAndThatAreLeft) {
  platforms_->Plan(kCut, 1);
  const auto sent = SentEvents(Post("/v1/messages", Message("x", R"(,"stream":true)")));
  EXPECT_EQ(sent.back().name, "error");
  EXPECT_EQ(Str(sent.back().data.at("error").at("type")), "api_error");
  EXPECT_EQ(Str(sent.back().data.at("error").at("details").at("error_code")), "upstream_broken");
  ExpectAbort("/v1/messages", Message(kSlow, R"(,"stream":true)"), "piece 2");
}

TEST(Heartbeat, MessagesPing) {
  SimulatedPlatforms platforms;
  Relay relay(platforms, {{"SWITCHYARD_SERVER__HEARTBEAT", "1s"}});
  const HttpReply reply =
      Fetch(relay.port(), "POST", "/v1/messages", Message("[[sim: text=Late first_ms=1500]]", R"(,"stream":true)"));
  EXPECT_TRUE(absl::StartsWith(reply.body, "event: ping\n")) << reply.body;
  EXPECT_TRUE(absl::StrContains(reply.body, "Late"));
}

}  // namespace
}  // namespace switchyard
