// Structured answers, from an HTTP client through every layer to a platform that knows no such thing, and back.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "boost/json/serialize.hpp"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr char kCity[] =
    R"(,"response_format":{"type":"json_schema","json_schema":{"name":"city","strict":true,"schema":)"
    R"({"type":"object","properties":{"city":{"type":"string"},"rank":{"type":"integer"}},"required":["city"],)"
    R"("additionalProperties":false}}})";
constexpr char kObject[] = R"(,"response_format":{"type":"json_object"})";
constexpr char kParis[] = R"({"city": "Paris", "rank": 1})";

/// A script whose answer is `text`.
std::string Says(const std::string& text, const std::string& more = "") {
  return absl::StrCat(
      "text=", absl::StrReplaceAll(text, {{"%", "%25"}, {"+", "%2B"}, {" ", "+"}, {"\n", "%0A"}, {"]", "%5D"}}), " ",
      more);
}
std::string Prompt(const std::string& text, const std::string& more = "") {
  return absl::StrCat("Which city? [[sim: ", Says(text, more), "]]");
}

class StructuredTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    platforms_ = new SimulatedPlatforms();
    relay_ = new Relay(*platforms_);
  }
  static void TearDownTestSuite() {
    delete relay_;
    delete platforms_;
  }
  void SetUp() override { Fetch(platforms_->port(), "POST", "/_control/reset"); }
  void TearDown() override {
    EXPECT_TRUE(Eventually([] { return platforms_->OpenConversations() == 0; })) << "conversations were left over";
    EXPECT_EQ(platforms_->Violations(), "");
  }
  static int port() { return relay_->port(); }
  static json::array Asked() { return platforms_->State().at("completions").as_array(); }
  static std::string AskedPrompt(size_t turn) { return std::string(Asked().at(turn).at("prompt").as_string().c_str()); }

  static inline SimulatedPlatforms* platforms_ = nullptr;
  static inline Relay* relay_ = nullptr;
};

TEST_F(StructuredTest, AValueIsFreedOfWhatIsSaidAroundIt) {
  for (const std::string& answer : {std::string(kParis), absl::StrCat("```json\n", kParis, "\n```"),
                                    absl::StrCat("Sure! ", kParis, " Anything else?")}) {
    const Whole whole = Chat(port(), Prompt(answer), kCity);
    EXPECT_EQ(whole.text(), kParis) << whole.error("message");
    EXPECT_EQ(whole.finish_reason(), "stop");
    const Streamed streamed =
        Stream(port(), Prompt(answer, "split=1"), absl::StrCat(kCity, R"(,"stream_options":{"include_usage":true})"));
    EXPECT_EQ(streamed.text, kParis);
    EXPECT_EQ(streamed.finish_reason, "stop");
    EXPECT_TRUE(streamed.done);
    EXPECT_EQ(Chat(port(), Prompt(answer), kObject).text(), kParis);
  }
}

TEST_F(StructuredTest, ThePromptAsksForIt) {
  Chat(port(), Prompt(kParis), kCity);
  EXPECT_TRUE(absl::StartsWith(AskedPrompt(0), "Which city?"));
  EXPECT_TRUE(absl::StrContains(AskedPrompt(0), R"("required":["city"])")) << AskedPrompt(0);
  Chat(port(), Prompt(kParis), kObject);
  EXPECT_TRUE(absl::StrContains(AskedPrompt(1), "one JSON object")) << AskedPrompt(1);
  Chat(port(), Prompt(kParis), R"(,"response_format":{"type":"text"})");
  EXPECT_FALSE(absl::StrContains(AskedPrompt(2), "JSON object")) << AskedPrompt(2);
}

TEST_F(StructuredTest, UsageIsTheSameStreamedAndWhole) {
  for (const std::string& more : {std::string(), std::string(kCity)}) {
    const std::string prompt = Prompt(kParis, "think=Let+me+see.");
    const Whole whole = Chat(port(), prompt, more, "deepseek-reasoner");
    const Streamed streamed =
        Stream(port(), prompt, absl::StrCat(more, R"(,"stream_options":{"include_usage":true})"), "deepseek-reasoner");
    EXPECT_EQ(json::serialize(streamed.usage), json::serialize(whole.json.at("usage"))) << more;
  }
}

TEST_F(StructuredTest, ReasoningIsGivenBesideTheText) {
  const std::string prompt = Prompt(kParis, "think=Hmm.+Yes.");
  const Streamed streamed = Stream(port(), prompt, kCity, "deepseek-reasoner");
  EXPECT_EQ(streamed.text, kParis);
  EXPECT_EQ(streamed.reasoning, "Hmm. Yes.");
  const std::string hidden = absl::StrCat(kCity, R"(,"reasoning_format":"hidden")");
  EXPECT_EQ(Stream(port(), prompt, hidden, "deepseek-reasoner").reasoning, "");
}

TEST_F(StructuredTest, AnAnswerThatDoesNotConformIsAskedForOnceMore) {
  struct Row {
    const char* answer;
    const char* fault;
  };
  for (const Row& row : {Row{"The city is Paris.", "it is not JSON"}, Row{R"({"town":"Paris"})", "city"},
                         Row{R"({"city":7})", "at /city"}, Row{R"({"city":"Par)", "it is not JSON"}}) {
    Fetch(platforms_->port(), "POST", "/_control/reset");
    platforms_->Plan(Says(row.answer), 1);
    platforms_->Plan(Says(kParis, "think=Again."), 1);
    const Whole whole = Chat(port(), "Which city?", kCity, "deepseek-reasoner-search");
    EXPECT_EQ(whole.text(), kParis) << whole.error("message");
    ASSERT_EQ(Asked().size(), 2u);
    for (const char* part : {row.answer, row.fault, R"("required":["city"])"}) {
      EXPECT_TRUE(absl::StrContains(AskedPrompt(1), part)) << AskedPrompt(1);
    }
    // A conversation of its own, without thinking and searching.
    EXPECT_TRUE(Asked().at(1).at("parent_message_id").is_null());
    EXPECT_EQ(Asked().at(1).at("thinking_enabled"), json::value(false));
    EXPECT_EQ(Asked().at(1).at("search_enabled"), json::value(false));
    EXPECT_TRUE(whole.json.at("usage").at("estimated").as_bool());
  }
}

TEST_F(StructuredTest, OneThatStillDoesNotIsAnErrorThatDoesNotQuoteIt) {
  platforms_->Plan(Says(R"({"city":"canary","canary":"canary"})"), 4);
  const Whole whole = Chat(port(), "Which city?", kCity);
  EXPECT_EQ(whole.status, 502);
  EXPECT_EQ(whole.error("code"), "upstream_changed");
  EXPECT_TRUE(absl::StrContains(whole.error("message"), "response_format")) << whole.error("message");
  EXPECT_EQ(whole.headers.at("x-should-retry"), "false");
  EXPECT_EQ(Asked().size(), 2u);
  const Streamed streamed = Stream(port(), "Which city?", kCity);
  EXPECT_EQ(streamed.text, "");
  EXPECT_FALSE(streamed.done);
  EXPECT_EQ(Asked().size(), 4u);
  EXPECT_FALSE(absl::StrContains(whole.error("message"), "canary"));
  EXPECT_FALSE(absl::StrContains(streamed.body, "canary"));
  EXPECT_TRUE(relay_->process().WaitForOutput("format_not_met"));
  EXPECT_FALSE(absl::StrContains(relay_->process().output(), "canary"));
}

TEST_F(StructuredTest, WhatGoesWrongWhenItIsAskedForAgainIsTold) {
  platforms_->Plan(Says("no"), 1);
  platforms_->Plan("fault=http_500", 1);
  const Whole whole = Chat(port(), "Which city?", kCity);
  EXPECT_EQ(whole.error("code"), "upstream_unavailable");
}

TEST_F(StructuredTest, ALimitCutsAndNothingIsAskedForAgain) {
  const Whole whole =
      Chat(port(), Prompt(absl::StrCat("```json\n", kParis)), absl::StrCat(kCity, R"(,"max_tokens":6)"));
  EXPECT_EQ(whole.finish_reason(), "length");
  EXPECT_TRUE(absl::StartsWith(kParis, whole.text())) << whole.text();
  EXPECT_NE(whole.text(), "");
  const Whole stopped = Chat(port(), Prompt(kParis), absl::StrCat(kCity, R"(,"stop":", \"rank")"));
  EXPECT_EQ(stopped.text(), R"({"city": "Paris")");
  EXPECT_EQ(stopped.finish_reason(), "stop");
  EXPECT_EQ(Asked().size(), 2u);
}

TEST_F(StructuredTest, ARefusalIsARefusal) {
  const Whole whole = Chat(port(), Prompt("One two three", "fault=content_filter at=2"), kCity);
  EXPECT_EQ(whole.status, 200) << whole.error("message");
  EXPECT_EQ(whole.finish_reason(), "content_filter");
  EXPECT_EQ(Asked().size(), 1u);
}

TEST_F(StructuredTest, AKeptConversationIsTheFirstOne) {
  platforms_->Plan(Says("no"), 1);
  platforms_->Plan(Says(kParis), 1);
  const Whole whole = Chat(port(), "Which city?", absl::StrCat(kCity, R"(,"keep_conversation":true)"));
  EXPECT_EQ(whole.text(), kParis) << whole.error("message");
  EXPECT_TRUE(Eventually([] { return platforms_->OpenConversations() == 1; }));
  Fetch(platforms_->port(), "POST", "/_control/reset");
}

TEST_F(StructuredTest, WhatIsWrongWithTheRequestIsNamed) {
  struct Row {
    const char* format;
    const char* param;
  };
  for (const Row& row : {
           Row{R"({"type":"json_schema","json_schema":{"name":"a","schema":{"type":"thing"}}})",
               "response_format.json_schema.schema"},
           Row{R"({"type":"json_schema","json_schema":{"name":"a","schema":{"$ref":"#/nowhere"}}})",
               "response_format.json_schema.schema"},
           Row{R"({"type":"json_schema","json_schema":{"name":"a b","schema":{}}})",
               "response_format.json_schema.name"},
       }) {
    const Whole whole = Chat(port(), "x", absl::StrCat(R"(,"response_format":)", row.format));
    EXPECT_EQ(whole.status, 400) << row.format;
    EXPECT_EQ(whole.error("param"), row.param);
  }
  EXPECT_TRUE(Asked().empty());
}

}  // namespace
}  // namespace switchyard
