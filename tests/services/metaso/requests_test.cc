#include "services/metaso/requests.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"

namespace switchyard::metaso {
namespace {

Settings TestSettings() {
  Settings settings;
  settings.base_url = "https://relay.example/metaso";
  settings.user_agent = "agent";
  return settings;
}

Account TestAccount() {
  Account account;
  account.token = Secret("uid=u; sid=s");
  return account;
}

SearchPlan TestPlan() { return {.mode = "detail", .scholar = true, .question = "a b+c?天"}; }

TEST(Requests, ThePageIsAskedForAsABrowserDoes) {
  const HttpRequest request = Page(TestSettings(), TestAccount());
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.url, "https://relay.example/metaso/");
  EXPECT_EQ(request.headers.Get("Cookie"), "uid=u; sid=s");
  EXPECT_EQ(request.headers.Get("Sec-Fetch-Dest"), "document");
  EXPECT_EQ(request.headers.Get("Sec-Fetch-Mode"), "navigate");
  EXPECT_EQ(request.headers.Get("Sec-Fetch-User"), "?1");
  EXPECT_EQ(request.headers.Get("Upgrade-Insecure-Requests"), "1");
  EXPECT_EQ(request.headers.Get("Accept-Language"), "zh-CN,zh;q=0.9");
  EXPECT_TRUE(request.repeatable);
}

TEST(Requests, ASessionHasTheFieldsOfTheProtocol) {
  const HttpRequest request = CreateSession(TestSettings(), TestAccount(), TestPlan(), Secret("t+/="));
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.url, "https://relay.example/metaso/api/session");
  EXPECT_EQ(request.headers.Get("Token"), "t+/=");
  EXPECT_EQ(request.headers.Get("Is-Mini-Webview"), "0");
  EXPECT_EQ(request.headers.Get("Origin"), "https://metaso.cn");
  EXPECT_EQ(request.headers.Get("Content-Type"), "application/json");
  EXPECT_EQ(request.body,
            R"({"question":"a b+c?天","mode":"detail","engineType":"scholar","scholarSearchDomain":"all"})");
  EXPECT_FALSE(request.repeatable);
}

TEST(Requests, ASearchIsEncodedOnce) {
  const auto request = Search(TestSettings(), TestAccount(), TestPlan(), Secret("t+/="), "870");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->method, "GET");
  EXPECT_EQ(request->url,
            "https://relay.example/metaso/api/searchV2?sessionId=870&question=a%20b%2Bc%3F%E5%A4%A9&lang=zh&mode=detail"
            "&url=https%3A%2F%2Fmetaso.cn%2Fsearch%2F870%3FnewSearch%3Dtrue%26q%3Da%20b%2Bc%3F%E5%A4%A9"
            "&enableMix=true&scholarSearchDomain=all&expectedCurrentSessionSearchCount=1&is-mini-webview=0"
            "&token=t%2B%2F%3D");
  EXPECT_EQ(request->headers.Get("Referer"), "https://metaso.cn/search/870");
  EXPECT_EQ(request->headers.Get("Accept"), "text/event-stream");
  EXPECT_EQ(request->body, "");
}

TEST(Requests, AQuestionThatNoUrlHoldsIsRefused) {
  SearchPlan plan = TestPlan();
  plan.question = std::string(3700, 'x');
  EXPECT_TRUE(Search(TestSettings(), TestAccount(), plan, Secret("t"), "870").ok());
  plan.question = std::string(4100, 'x');
  EXPECT_EQ(ReasonOf(Search(TestSettings(), TestAccount(), plan, Secret("t"), "870").status()),
            Reason::REASON_CONTEXT_TOO_LONG);
}

boost::json::value ChatBody(const Settings& settings, const ChatInput& input) {
  return *ParseJson(SearchChat(settings, TestAccount(), Secret("t"), input).body);
}

TEST(Requests, TheFirstTurnOfAChatNamesNoConversation) {
  ChatInput input;
  input.plan = TestPlan();
  input.message_key = "m";
  input.conversation_key = "c";
  const auto body = ChatBody(TestSettings(), input);
  EXPECT_EQ(FindMember(body, {"conversationId"}), nullptr);
  EXPECT_EQ(FindMember(body, {"parentMessageId"}), nullptr);
  EXPECT_EQ(JsonText(FindMember(body, {"token"})), "t");
  EXPECT_EQ(JsonText(FindMember(body, {"engineType"})), "scholar");
  EXPECT_TRUE(FindMember(body, {"model"})->is_null());
  const auto& message = body.at("messages").as_array().at(0);
  EXPECT_EQ(JsonText(FindMember(message, {"id"})), "temp-m");
  EXPECT_EQ(JsonText(FindMember(message, {"conversationId"})), "temp-c");
  EXPECT_EQ(JsonText(FindMember(message, {"content"})), "a b+c?天");
  EXPECT_EQ(FindMember(message, {"parentId"}), nullptr);
}

TEST(Requests, AContinuedChatNamesTheAnswerBeforeIt) {
  ChatInput input;
  input.plan = {.mode = "fast", .scholar = false, .question = "x"};
  input.before = MessageRef{"7", "8"};
  Settings settings = TestSettings();
  auto body = ChatBody(settings, input);
  EXPECT_EQ(JsonText(FindMember(body, {"conversationId"})), "7");
  EXPECT_EQ(JsonText(FindMember(body, {"parentMessageId"})), "8");
  EXPECT_EQ(JsonText(FindMember(body, {"model"})), "fast_thinking");
  EXPECT_EQ(JsonText(FindMember(body, {"engineType"})), "");
  EXPECT_EQ(JsonText(FindMember(body.at("messages").as_array().at(0), {"parentId"})), "8");
  settings.continue_by_leaf = settings.name_whole_web = true;
  body = ChatBody(settings, input);
  EXPECT_EQ(FindMember(body, {"parentMessageId"}), nullptr);
  EXPECT_EQ(JsonText(FindMember(body, {"currentLeafId"})), "8");
  EXPECT_EQ(JsonText(FindMember(body, {"engineType"})), "quanwang");
}

TEST(MessageRef, IsReadBack) {
  const auto ref = MessageRef::Parse(MessageRef{"7", "8"}.ToString());
  ASSERT_TRUE(ref);
  EXPECT_EQ(ref->conversation, "7");
  EXPECT_EQ(ref->message, "8");
  for (const char* bad : {"", "7", "@8", "7@"}) EXPECT_FALSE(MessageRef::Parse(bad)) << bad;
}

}  // namespace
}  // namespace switchyard::metaso
