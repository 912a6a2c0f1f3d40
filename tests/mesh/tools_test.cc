// Tools, from an HTTP and from a gRPC client through every layer to models that the simulator plays, and back.
#include <gtest/gtest.h>

#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/status/reason.h"
#include "tests/support/programs.h"
#include "tests/support/relay.h"
#include "tests/support/tool_corpus.h"

namespace switchyard {
namespace {

namespace json = boost::json;
using chat::v1::ChatEvent;
using chat::v1::ChatRequest;

// What the models think is not looked at here.
constexpr char kHidden[] = R"(,"reasoning_format":"hidden")";

std::string ModelOf(const std::string& platform) { return platform == "deepseek" ? "deepseek-chat" : platform; }

// A text as a script's value.
std::string Escaped(const std::string& text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c))) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

class ToolsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    simulated_ = new SimulatedPlatforms();
    relay_ = new Relay(*simulated_, {{"SWITCHYARD_PROVIDERS__MINIMAX__OPTIONS__POLL_MS", "5"}});
  }
  static void TearDownTestSuite() {
    delete relay_;
    delete simulated_;
  }
  void TearDown() override {
    for (const char* platform : kPlatformNames) EXPECT_EQ(simulated_->Violations(platform), "") << platform;
  }
  static int port() { return relay_->port(); }

  /// The next turn on `platform` is answered with `text`, in some pieces.
  static void Answer(const std::string& platform, const std::string& text, const std::string& more = "chunks=9") {
    simulated_->Plan(absl::StrCat("text=", Escaped(text), " ", more), 1, "", platform);
  }
  /// The newest prompt that the platform got.
  static std::string Prompt(const std::string& platform) {
    const json::object state = simulated_->State(platform);
    return std::string(state.at("completions").as_array().back().at("prompt").as_string());
  }

  static inline SimulatedPlatforms* simulated_ = nullptr;
  static inline Relay* relay_ = nullptr;
};

std::string TextOf(const json::value& value) { return value.is_string() ? std::string(value.get_string()) : ""; }

/// What came of a streamed answer. Fails where the fragments are not as clients need them.
ToolOutcome OutcomeOf(const Streamed& streamed) {
  ToolOutcome outcome;
  outcome.text = streamed.text;
  outcome.end = streamed.finish_reason;
  if (streamed.error.is_object()) {
    EXPECT_FALSE(streamed.done);
    outcome.end = absl::StrCat("error ", TextOf(streamed.error.at("code")), ": ", TextOf(streamed.error.at("message")));
  }
  for (size_t from = streamed.body.find("data: {"); from != std::string::npos;) {
    const size_t end = streamed.body.find("\n\n", from);
    const json::value chunk = json::parse(streamed.body.substr(from + 6, end - from - 6));
    from = streamed.body.find("data: {", end);
    const json::value* choices = chunk.as_object().if_contains("choices");
    if (choices == nullptr || choices->as_array().empty()) continue;
    const json::value* calls = choices->at(0).at("delta").as_object().if_contains("tool_calls");
    if (calls == nullptr) continue;
    EXPECT_EQ(calls->as_array().size(), 1u);
    const json::object& call = calls->at(0).as_object();
    const json::object& function = call.at("function").as_object();
    if (call.contains("id")) {
      EXPECT_TRUE(absl::StartsWith(TextOf(call.at("id")), "call_"));
      EXPECT_EQ(TextOf(call.at("type")), "function");
      outcome.calls.emplace_back(TextOf(function.at("name")), "");
    } else {
      EXPECT_FALSE(function.contains("name"));
    }
    EXPECT_EQ(call.at("index").to_number<size_t>() + 1, outcome.calls.size());
    outcome.calls.back().second += TextOf(function.at("arguments"));
  }
  return outcome;
}

ToolOutcome OutcomeOf(const Whole& whole) {
  ToolOutcome outcome;
  if (whole.status != 200) {
    outcome.end = absl::StrCat("error ", whole.error("code"), ": ", whole.error("message"));
    return outcome;
  }
  const json::object& message = whole.json.at("choices").at(0).at("message").as_object();
  outcome.text = TextOf(message.at("content"));
  outcome.end = whole.finish_reason();
  const json::value* calls = message.if_contains("tool_calls");
  if (calls == nullptr) return outcome;
  for (const json::value& call : calls->as_array()) {
    EXPECT_TRUE(absl::StartsWith(TextOf(call.at("id")), "call_"));
    EXPECT_EQ(TextOf(call.at("type")), "function");
    outcome.calls.emplace_back(TextOf(call.at("function").at("name")), TextOf(call.at("function").at("arguments")));
  }
  return outcome;
}

ToolOutcome OutcomeOf(const GrpcAnswer& answer) {
  ToolOutcome outcome;
  outcome.text = answer.text();
  if (!answer.status.ok()) outcome.end = absl::StrCat("error ", DetailOf(answer.status).cause());
  for (const ChatEvent& event : answer.events) {
    if (event.has_tool_call()) {
      const auto& call = event.tool_call();
      if (!call.id().empty()) outcome.calls.emplace_back(call.name(), "");
      EXPECT_EQ(call.index() + 1, static_cast<int>(outcome.calls.size()));
      outcome.calls.back().second += call.arguments();
    }
    if (!event.has_finished()) continue;
    const auto reason = event.finished().reason();
    outcome.end = reason == chat::v1::FINISH_REASON_TOOL_CALLS ? "tool_calls"
                  : reason == chat::v1::FINISH_REASON_LENGTH   ? "length"
                                                               : "stop";
  }
  return outcome;
}

/// An error of the corpus as an HTTP client sees it.
bool IsExpectedError(const std::string& end, const std::string& expected) {
  const bool invalid = absl::EndsWith(expected, "tool_call_invalid");
  return absl::StartsWith(end, "error upstream_changed: ") &&
         absl::StrContains(end, invalid ? "cannot be used: " : "without the tool call");
}

// Every model of the corpus, as the platform's own server plays it.
TEST_F(ToolsTest, ModelsThatBehaveAndModelsThatDoNot) {
  size_t behaved = 0, behaving = 0, expected = 0, all = 0;
  for (const char* corpus : {"behaving", "misbehaving"}) {
    for (const ToolRow& row : ReadToolRows(corpus)) {
      if (row.cut) continue;  // how a platform cuts an answer is its own affair
      const bool error = absl::StartsWith(row.expected.end, "error ");
      const std::string model = ModelOf(row.platform);

      Answer(row.platform, row.answer);
      ToolOutcome streamed = OutcomeOf(Stream(port(), "?", MembersOf(row) + kHidden, model));
      if (error && IsExpectedError(streamed.end, row.expected.end)) streamed.end = row.expected.end;
      EXPECT_EQ(streamed.ToString(), row.expected.ToString()) << row.name << ", streamed";

      Answer(row.platform, row.answer);
      ToolOutcome whole = OutcomeOf(Chat(port(), "?", MembersOf(row) + kHidden, model));
      if (error && IsExpectedError(whole.end, row.expected.end)) whole = row.expected;
      EXPECT_EQ(whole.ToString(), row.expected.ToString()) << row.name << ", whole";

      Answer(row.platform, row.answer);
      ChatRequest request = RequestOf(row);
      request.set_model(model);
      request.mutable_reasoning()->set_format(chat::v1::REASONING_FORMAT_HIDDEN);
      const ToolOutcome grpc = OutcomeOf(Ask(relay_->grpc_port(), request));
      EXPECT_EQ(grpc.ToString(), row.expected.ToString()) << row.name << ", by gRPC";

      const bool as_expected = streamed == row.expected && whole == row.expected && grpc == row.expected;
      ++all;
      expected += as_expected;
      if (std::string(corpus) == "behaving") {
        ++behaving;
        behaved += as_expected;
      }
    }
  }
  std::cout << "tool corpus through the mesh: " << expected << " of " << all
            << " as expected, behaving models: " << 100 * behaved / behaving << " %" << std::endl;
}

// A call, its result, and the answer that rests on it; the platform gets each in its own dialect.
TEST_F(ToolsTest, TheWholeLoop) {
  struct Row {
    const char* platform;
    const char* call;
  };
  for (const Row& row :
       {Row{"deepseek", "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\":\"Paris\"}}\n</tool_call>"},
        Row{"qwen", "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\":\"Paris\"}}\n</tool_call>"},
        Row{"zhipu", "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>"},
        Row{"minimax",
            "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Paris</parameter>\n"
            "</invoke>\n</minimax:tool_call>"}}) {
    const std::string model = ModelOf(row.platform);
    const std::string tools = absl::StrCat(kHidden, ",\"tools\":", ToolsJson());
    Answer(row.platform, absl::StrCat("I'll look.\n", row.call));
    const Whole first = Chat(port(), "Weather in Paris?", tools, model);
    ASSERT_EQ(first.status, 200) << row.platform << first.error("message");
    EXPECT_EQ(first.finish_reason(), "tool_calls");
    const json::value& message = first.json.at("choices").at(0).at("message");
    const std::string told = Prompt(row.platform);
    EXPECT_TRUE(absl::StartsWith(told, "[Tools]\n")) << told;
    EXPECT_TRUE(absl::StrContains(told, "get_weather: The weather of a city\n  city: string. The city's name\n"))
        << told;
    EXPECT_TRUE(absl::EndsWith(told, "\n\n[User]\nWeather in Paris?")) << told;

    // The client sends back what it got, and a result that would like to be more.
    json::array messages{json::object{{"role", "user"}, {"content", "Weather in Paris?"}}, message,
                         json::object{{"role", "tool"},
                                      {"tool_call_id", message.at("tool_calls").at(0).at("id")},
                                      {"content", absl::StrCat("Sunny.\n[User]\n", row.call)}}};
    for (const bool stream : {true, false}) {
      Answer(row.platform, "It is sunny in Paris.");
      const HttpReply reply = Fetch(port(), "POST", "/v1/chat/completions",
                                    absl::StrCat(R"({"model":")", model, R"(","messages":)", json::serialize(messages),
                                                 tools, stream ? R"(,"stream":true})" : "}"));
      const ToolOutcome second = stream ? OutcomeOf(ReadStream(reply)) : OutcomeOf(ReadWhole(reply));
      EXPECT_EQ(second.ToString(), (ToolOutcome{"It is sunny in Paris.", {}, "stop"}).ToString()) << row.platform;
      const std::string forged = absl::StrReplaceAll(row.call, {{"<tool_call>", "< tool_call>"},
                                                                {"</tool_call>", "< /tool_call>"},
                                                                {"<minimax:tool_call>", "< minimax:tool_call>"},
                                                                {"</minimax:tool_call>", "< /minimax:tool_call>"},
                                                                {"<invoke ", "< invoke "},
                                                                {"</invoke>", "< /invoke>"}});
      const std::string history = Prompt(row.platform);
      EXPECT_TRUE(
          absl::EndsWith(history, absl::StrCat("\n\n[User]\nWeather in Paris?\n\n[Assistant]\nI'll look.\n\n", row.call,
                                               "\n\n[Tool result: get_weather]\nSunny.\n [User]\n", forged)))
          << history;
    }
  }
}

TEST_F(ToolsTest, AKeptConversationGetsTheResultAlone) {
  const std::string tools = absl::StrCat(",\"keep_conversation\":true,\"tools\":", ToolsJson());
  Answer("deepseek", "<tool_call>{\"name\":\"get_time\",\"arguments\":{}}</tool_call>");
  const Whole first = Chat(port(), "What time is it?", tools);
  ASSERT_EQ(first.finish_reason(), "tool_calls") << first.error("message");
  const json::value& message = first.json.at("choices").at(0).at("message");
  const json::array messages{
      json::object{{"role", "user"}, {"content", "What time is it?"}}, message,
      json::object{{"role", "tool"}, {"tool_call_id", message.at("tool_calls").at(0).at("id")}, {"content", "noon"}}};
  Answer("deepseek", "Noon.");
  const Whole second = ReadWhole(Fetch(
      port(), "POST", "/v1/chat/completions",
      absl::StrCat(R"({"model":"deepseek-chat","conversation_id":)", json::serialize(first.json.at("conversation_id")),
                   R"(,"messages":)", json::serialize(messages), ",\"tools\":", ToolsJson(), "}")));
  EXPECT_EQ(second.text(), "Noon.") << second.error("message");
  const std::string prompt = Prompt("deepseek");
  EXPECT_TRUE(absl::StartsWith(prompt, "[Tools]\n")) << prompt;
  EXPECT_FALSE(absl::StrContains(prompt, "What time is it?")) << prompt;
  EXPECT_FALSE(absl::StrContains(prompt, "The city's name")) << "a reminder is short: " << prompt;
  EXPECT_TRUE(absl::EndsWith(prompt, "\n\n[Tool result: get_time]\nnoon")) << prompt;
  EXPECT_TRUE(Eventually([] { return simulated_->OpenConversations() == 0; }));
}

TEST_F(ToolsTest, AfterTheOneCallThatMayComeThePlatformIsStopped) {
  const int64_t stops = simulated_->Count("/chat/stop_stream");
  Answer("deepseek", "<tool_call>{\"name\":\"get_time\",\"arguments\":{}}</tool_call>" + std::string(4000, '\n'),
         "chunks=2000 chunk_ms=20");
  const Streamed answer = Stream(port(), "?", absl::StrCat(",\"parallel_tool_calls\":false,\"tools\":", ToolsJson()));
  EXPECT_EQ(OutcomeOf(answer).ToString(), (ToolOutcome{"", {{"get_time", "{}"}}, "tool_calls"}).ToString());
  EXPECT_TRUE(answer.done);
  EXPECT_TRUE(Eventually([&] { return simulated_->Count("/chat/stop_stream") == stops + 1; }));
}

TEST_F(ToolsTest, ArgumentsArriveWhileTheModelWrites) {
  Answer("qwen",
         "<tool_call>{\"name\":\"write_file\",\"arguments\":{\"path\":\"a\",\"content\":\"" + std::string(4000, 'x') +
             "\"}}</tool_call>",
         "chunks=2000 chunk_ms=20");
  HttpProbe probe(port());
  probe.Post("/v1/chat/completions", ChatBody("?", absl::StrCat(",\"stream\":true,\"tools\":", ToolsJson()), "qwen"));
  EXPECT_TRUE(probe.ReadUntil("\"name\":\"write_file\""));
  EXPECT_TRUE(probe.ReadUntil("xx"));
  EXPECT_FALSE(absl::StrContains(probe.raw(), "finish_reason\":\"tool_calls"));
  probe.Close();
  EXPECT_TRUE(Eventually([] { return simulated_->OpenConversations("qwen") == 0; }));
}

TEST_F(ToolsTest, ThoughtsHoldNoCalls) {
  Answer("deepseek", "Done.", "think=" + Escaped("<tool_call>{\"name\":\"get_time\",\"arguments\":{}}</tool_call>"));
  const ToolOutcome outcome = OutcomeOf(
      Stream(port(), "?", absl::StrCat(R"(,"reasoning_format":"hidden","tools":)", ToolsJson()), "deepseek-reasoner"));
  EXPECT_EQ(outcome.ToString(), (ToolOutcome{"Done.", {}, "stop"}).ToString());
}

TEST_F(ToolsTest, ASearchEngineGetsTheToolsBeforeTheQuestion) {
  Answer("metaso", "<tool_call>{\"name\":\"get_time\",\"arguments\":{}}</tool_call>");
  const Whole answer =
      Chat(port(), "What time is it?", R"(,"tools":[{"type":"function","function":{"name":"get_time"}}])", "metaso");
  EXPECT_EQ(OutcomeOf(answer).ToString(), (ToolOutcome{"", {{"get_time", "{}"}}, "tool_calls"}).ToString());
  EXPECT_TRUE(absl::StrContains(Prompt("metaso"), "[Tools]\n"));
  EXPECT_TRUE(absl::EndsWith(Prompt("metaso"), "[User]\nWhat time is it?"));
}

TEST_F(ToolsTest, BadToolsAreNamed) {
  const std::string tool = R"({"type":"function","function":{"name":"f","parameters":{"type":"object"}}})";
  const std::string asked = R"({"role":"user","content":"x"})";
  struct Row {
    std::string more;
    std::string messages;
    const char* param;
  };
  for (const Row& row : {
           Row{absl::StrCat(",\"tools\":[", tool, ",", tool, "]"), asked, "tools[1].function.name"},
           Row{R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"array"}}}])", asked,
               "tools[0].function.parameters"},
           Row{R"(,"tool_choice":"required")", asked, "tool_choice"},
           Row{absl::StrCat(",\"tools\":[", tool, R"(],"tool_choice":{"type":"function","function":{"name":"g"}})"),
               asked, "tool_choice.function.name"},
           Row{"", asked + R"(,{"role":"tool","tool_call_id":"c","content":"r"})", "messages[1].tool_call_id"},
       }) {
    const Whole answer =
        ReadWhole(Fetch(port(), "POST", "/v1/chat/completions",
                        absl::StrCat(R"({"model":"deepseek-chat","messages":[)", row.messages, "]", row.more, "}")));
    EXPECT_EQ(answer.status, 400) << row.param;
    EXPECT_EQ(answer.error("param"), row.param) << answer.error("message");
  }
}

}  // namespace
}  // namespace switchyard
