// What the official OpenAI clients depend on in HTTP itself: statuses, error objects, headers, models. One test for
// each behaviour, named after it; the numbers are those of the list of behaviours, and answers_test.cc and the tests of
// the clients themselves hold the others.
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kKey[] = "sk-of-the-conformance-test";
constexpr char kStream[] = R"(,"stream":true)";

class OpenAiBehaviour : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    platforms_ = new SimulatedPlatforms();
    relay_ = new Relay(*platforms_, {{"SWITCHYARD_SERVER__API_KEYS", kKey}});
  }
  static void TearDownTestSuite() {
    delete relay_;
    delete platforms_;
  }
  static int port() { return relay_->port(); }

  static Variables Keyed(Variables more = {}) {
    more.emplace("Authorization", absl::StrCat("Bearer ", kKey));
    return more;
  }
  static HttpReply Get(const std::string& path) { return Fetch(port(), "GET", path, "", Keyed()); }
  static HttpReply Post(const std::string& body, Variables more = {}) {
    return Fetch(port(), "POST", kChat, body, Keyed(std::move(more)));
  }
  static HttpReply Ask(const std::string& text, const std::string& more = "",
                       const std::string& model = "deepseek-chat") {
    return Post(ChatBody(text, more, model));
  }
  /// The platform's next turn goes wrong; the account is as new before and after.
  static HttpReply AskWith(const std::string& fault, const std::string& more = "") {
    Fetch(platforms_->port(), "POST", "/_control/reset");
    Relay fresh(*platforms_, {{"SWITCHYARD_SERVER__API_KEYS", kKey}});
    platforms_->Plan("text=One+two+three fault=" + fault, 2);
    HttpReply reply = Fetch(fresh.port(), "POST", kChat, ChatBody("x", more), Keyed());
    Fetch(platforms_->port(), "POST", "/_control/reset");
    return reply;
  }

  static void ExpectErrorObject(const HttpReply& reply) {
    const Whole whole = ReadWhole(reply);
    ASSERT_TRUE(whole.json.is_object()) << reply.body;
    ASSERT_EQ(whole.json.as_object().size(), 1u) << reply.body;
    const auto& error = whole.json.at("error").as_object();
    EXPECT_EQ(error.size(), 4u) << reply.body;
    for (const char* member : {"message", "type"}) {
      ASSERT_TRUE(error.contains(member)) << reply.body;
      EXPECT_TRUE(error.at(member).is_string()) << reply.body;
      EXPECT_NE(whole.error(member), "") << reply.body;
    }
    for (const char* member : {"param", "code"}) {
      ASSERT_TRUE(error.contains(member)) << reply.body;
      EXPECT_TRUE(error.at(member).is_string() || error.at(member).is_null()) << reply.body;
    }
    EXPECT_EQ(reply.headers.at("content-type"), "application/json");
  }

  /// One answer of each way to fail before the platform is asked.
  static std::vector<HttpReply> Refusals() {
    std::vector<HttpReply> all;
    all.push_back(Fetch(port(), "POST", kChat, ChatBody("x")));                                   // no key
    all.push_back(Fetch(port(), "POST", kChat, ChatBody("x"), {{"Authorization", "Bearer x"}}));  // a wrong one
    all.push_back(Post("{"));
    all.push_back(Post("[]"));
    all.push_back(Post(R"({"model":"deepseek-chat"})"));
    all.push_back(Ask("x", R"(,"n":"two")"));
    all.push_back(Ask("x", "", "gpt-4"));
    all.push_back(Get("/v1/models/gpt-4"));
    all.push_back(Get("/v1/nothing"));
    all.push_back(Get("/"));
    all.push_back(Get(kChat));
    all.push_back(Fetch(port(), "DELETE", "/v1/models", "", Keyed()));
    all.push_back(Post("x=1", {{"Content-Type", "application/x-www-form-urlencoded"}}));
    all.push_back(Post(ChatBody("x"), {{"Expect", "a-miracle"}}));
    all.push_back(Post(ChatBody("x"), {{"Long", std::string(100000, 'a')}}));
    for (const char* raw : {"GET /v1/models HTTP/1.1\r\n\r\n", "NONSENSE\r\n\r\n",
                            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                            "sk-of-the-conformance-test\r\nContent-Length: 1000000000\r\n\r\n"}) {
      HttpProbe probe(port());
      probe.Send(raw);
      all.push_back(probe.Read());
    }
    return all;
  }

  static inline SimulatedPlatforms* platforms_ = nullptr;
  static inline Relay* relay_ = nullptr;
};

TEST_F(OpenAiBehaviour, 01_NoKeyOrAWrongOneIs401) {
  for (const char* authorization : {"", "Bearer wrong", "Basic d3Jvbmc=", "sk-of-the-conformance-test"}) {
    Variables headers;
    if (*authorization != '\0') headers["Authorization"] = authorization;
    for (const HttpReply& reply :
         {Fetch(port(), "POST", kChat, ChatBody("x"), headers), Fetch(port(), "GET", "/v1/models", "", headers)}) {
      EXPECT_EQ(reply.status, 401) << authorization;
      EXPECT_EQ(ReadWhole(reply).error("code"), "invalid_api_key");
      EXPECT_EQ(reply.headers.at("www-authenticate"), "Bearer");
      ExpectErrorObject(reply);
    }
  }
  EXPECT_EQ(Get("/v1/models").status, 200);
}

TEST_F(OpenAiBehaviour, 02_TheStatusSaysWhatClassOfErrorItIs) {
  EXPECT_EQ(Post("{").status, 400);
  EXPECT_EQ(Fetch(port(), "GET", "/v1/models").status, 401);
  EXPECT_EQ(AskWith("banned").status, 403);
  EXPECT_EQ(Ask("x", "", "gpt-4").status, 404);
  EXPECT_EQ(AskWith("http_429").status, 429);
  EXPECT_EQ(AskWith("empty").status, 502);
}

TEST_F(OpenAiBehaviour, 03_TheErrorObjectHasItsFourMembers) {
  for (const char* fault : {"banned", "http_429", "empty", "filter_early"}) {
    SCOPED_TRACE(fault);
    ExpectErrorObject(AskWith(fault));
  }
  const Whole wrong = ReadWhole(Ask("x", R"(,"temperature":"hot")"));
  EXPECT_EQ(wrong.error("param"), "temperature");
  EXPECT_EQ(wrong.error("type"), "invalid_request_error");
  EXPECT_TRUE(ReadWhole(Post("{")).json.at("error").at("param").is_null());
}

TEST_F(OpenAiBehaviour, 04_NoErrorHasAnotherShape) {
  for (const HttpReply& reply : Refusals()) {
    SCOPED_TRACE(reply.status);
    EXPECT_GE(reply.status, 400);
    ExpectErrorObject(reply);
  }
}

TEST_F(OpenAiBehaviour, 05_AFailureIsNever200) {
  for (const char* fault : {"expired", "banned", "http_429", "http_500", "not_json", "html", "empty", "cut at=0"}) {
    for (const char* more : {"", kStream}) {
      const HttpReply reply = AskWith(fault, more);
      EXPECT_GE(reply.status, 400) << fault << more;
      ExpectErrorObject(reply);
    }
  }
}

TEST_F(OpenAiBehaviour, 06_ABadBodyIs400AndNamesItsField) {
  struct Row {
    const char* body;
    const char* param;
  };
  for (const Row& row : {
           Row{"{\"model\":", ""},
           Row{"", ""},
           Row{"\"text\"", ""},
           Row{R"({"messages":[{"role":"user","content":"x"}]})", "model"},
           Row{R"({"model":7,"messages":[{"role":"user","content":"x"}]})", "model"},
           Row{R"({"model":"deepseek-chat"})", "messages"},
           Row{R"({"model":"deepseek-chat","messages":"x"})", "messages"},
           Row{R"({"model":"deepseek-chat","messages":[{"role":"user"}]})", "messages[0].content"},
           Row{R"({"model":"deepseek-chat","messages":[{"role":"user","content":"x"}],"stream":"yes"})", "stream"},
           Row{R"({"model":"deepseek-chat","messages":[{"role":"user","content":"x"}],"max_tokens":"all"})",
               "max_tokens"},
       }) {
    const HttpReply reply = Post(row.body);
    EXPECT_EQ(reply.status, 400) << row.body << reply.body;
    EXPECT_EQ(ReadWhole(reply).error("type"), "invalid_request_error") << row.body;
    EXPECT_EQ(ReadWhole(reply).error("param"), row.param) << row.body;
  }
}

TEST_F(OpenAiBehaviour, 07_UnknownModelIs404) {
  const int64_t asked = platforms_->Count("/chat/completion");
  for (const char* model : {"gpt-4", "deepseek-chatty", "DeepSeek-Chat", "deepseek ", "deepseek/chat"}) {
    for (const char* more : {"", kStream}) {
      const Whole reply = ReadWhole(Ask("x", more, model));
      EXPECT_EQ(reply.status, 404) << model;
      EXPECT_EQ(reply.error("code"), "model_not_found") << model;
      EXPECT_EQ(reply.error("param"), "model") << model;
    }
  }
  EXPECT_EQ(platforms_->Count("/chat/completion"), asked) << "another model answered";
}

TEST_F(OpenAiBehaviour, 08_UnknownRouteIs404InTheSameShape) {
  for (const char* path : {"/", "/v1", "/v1/", "/v2/models", "/v1/chat", "/v1/chat/completions/", "/chat/completions",
                           "/v1/chat/completions%20", "/v1/modelss"}) {
    for (const char* method : {"GET", "POST"}) {
      const HttpReply reply = Fetch(port(), method, path, "", Keyed());
      EXPECT_EQ(reply.status, 404) << method << path;
      ExpectErrorObject(reply);
    }
  }
}

TEST_F(OpenAiBehaviour, 09_WrongMethodIs405WithAllow) {
  for (const char* method : {"GET", "PUT", "DELETE", "PATCH"}) {
    const HttpReply reply = Fetch(port(), method, kChat, "", Keyed());
    EXPECT_EQ(reply.status, 405) << method;
    EXPECT_EQ(reply.headers.at("allow"), "POST, OPTIONS");
    ExpectErrorObject(reply);
  }
  EXPECT_EQ(Fetch(port(), "POST", "/v1/models", "", Keyed()).headers.at("allow"), "GET, HEAD, OPTIONS");
}

TEST_F(OpenAiBehaviour, 10_TooLargeIs413AndAnotherMediaTypeIs415) {
  const HttpReply large = Ask(std::string(33 * 1024 * 1024, 'a'));
  EXPECT_EQ(large.status, 413);
  ExpectErrorObject(large);
  HttpProbe chunked(port());
  chunked.Send(absl::StrCat("POST ", kChat, " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ", kKey,
                            "\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const std::string piece = absl::StrCat("100000\r\n", std::string(1024 * 1024, 'a'), "\r\n");
  for (int i = 0; i < 40 && !chunked.Readable(); ++i) chunked.Send(piece);
  EXPECT_EQ(chunked.Read().status, 413) << "in chunks";
  // In the form of the API that was asked, and readable by the page that asked.
  HttpProbe messages(port());
  messages.Send(absl::StrCat(
      "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\nX-Api-Key: ", kKey,
      "\r\nX-Request-Id: mine\r\nContent-Length: 999999999\r\n\r\n"));
  const HttpReply refused = messages.Read();
  EXPECT_EQ(refused.status, 413);
  EXPECT_TRUE(absl::StrContains(refused.body, R"("type":"request_too_large")")) << refused.body;
  EXPECT_EQ(refused.headers.at("x-request-id"), "mine");
  EXPECT_EQ(refused.headers.at("access-control-allow-origin"), "http://localhost:3000");
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}) {
    const HttpReply other = Post(ChatBody("x"), {{"Content-Type", type}});
    EXPECT_EQ(other.status, 415) << type;
    ExpectErrorObject(other);
  }
  EXPECT_EQ(Post(ChatBody("[[sim: text=x]]"), {{"Content-Type", "application/json; charset=utf-8"}}).status, 200);
}

/// What ON and OP do with an answer.
bool IsRetried(const HttpReply& reply) {
  if (const auto found = reply.headers.find("x-should-retry"); found != reply.headers.end())
    return found->second == "true";
  return reply.status == 408 || reply.status == 409 || reply.status == 429 || reply.status >= 500;
}

TEST_F(OpenAiBehaviour, 11_WhatIsWrongWithTheRequestIsNotRetried) {
  for (const HttpReply& reply : Refusals()) EXPECT_FALSE(IsRetried(reply)) << reply.status << reply.body;
}

TEST_F(OpenAiBehaviour, 12_WhatIsPermanentIsNotRetriedAndWhatPassesIs) {
  for (const char* fault :
       {"expired", "muted", "banned", "device", "waf_403", "html", "hint_length", "filter_early", "pow", "not_json"})
    EXPECT_FALSE(IsRetried(AskWith(fault))) << fault;
  for (const char* fault : {"http_429", "rate_code", "hint_rate", "http_500", "empty"})
    EXPECT_TRUE(IsRetried(AskWith(fault))) << fault;
}

TEST_F(OpenAiBehaviour, 13_ShouldRetryOverridesTheStatus) {
  for (const char* fault : {"pow", "not_json"}) {
    const HttpReply reply = AskWith(fault);
    EXPECT_GE(reply.status, 500) << fault;
    ASSERT_TRUE(reply.headers.count("x-should-retry")) << fault;
    EXPECT_EQ(reply.headers.at("x-should-retry"), "false") << fault;
  }
}

TEST_F(OpenAiBehaviour, 14_RetryAfterIsInSecondsAndWithinWhatClientsHonour) {
  for (const char* fault : {"http_429", "rate_code", "hint_rate"}) {
    const HttpReply reply = AskWith(fault);
    ASSERT_TRUE(reply.headers.count("retry-after")) << fault;
    int seconds = 0;
    EXPECT_TRUE(absl::SimpleAtoi(reply.headers.at("retry-after"), &seconds)) << reply.headers.at("retry-after");
    EXPECT_GT(seconds, 0) << fault;
    EXPECT_LT(seconds, 60) << fault;
  }
}

TEST_F(OpenAiBehaviour, 15_WithoutIt_ClientsBackOffByThemselves) {
  // So it is only there where a wait is known: what may be tried again at once, or never, has none.
  for (const char* fault : {"http_500", "empty", "banned"})
    EXPECT_EQ(AskWith(fault).headers.count("retry-after"), 0u) << fault;
  for (const HttpReply& reply : Refusals()) EXPECT_EQ(reply.headers.count("retry-after"), 0u) << reply.status;
}

TEST_F(OpenAiBehaviour, 16_EveryAnswerHasARequestId) {
  std::vector<HttpReply> all = Refusals();
  all.push_back(Ask("[[sim: text=x]]"));
  all.push_back(Ask("[[sim: text=x]]", kStream));
  all.push_back(Get("/v1/models"));
  all.push_back(Get("/v1/models/deepseek-chat"));
  all.push_back(Fetch(port(), "OPTIONS", kChat, ""));
  std::set<std::string> ids;
  for (const HttpReply& reply : all) {
    ASSERT_TRUE(reply.headers.count("x-request-id")) << reply.status << reply.body;
    EXPECT_TRUE(ids.insert(reply.headers.at("x-request-id")).second) << "the same id twice";
  }
  EXPECT_EQ(Ask("[[sim: text=x]]").headers.count("x-request-id"), 1u);
  EXPECT_EQ(Post(ChatBody("[[sim: text=x]]"), {{"x-request-id", "mine-1"}}).headers.at("x-request-id"), "mine-1");
}

TEST_F(OpenAiBehaviour, 17_RateLimitHeadersAreThereOnlyWhereThereIsALimit) {
  // Their values are in keys_test.cc. Headers of OpenAI's own machinery (openai-version …) are not made up.
  const HttpReply reply = Ask("[[sim: text=x]]");
  for (const auto& [name, value] : reply.headers) {
    EXPECT_FALSE(absl::StartsWith(name, "x-ratelimit-")) << name;
    EXPECT_FALSE(absl::StartsWith(name, "openai-")) << name;
  }
}

TEST_F(OpenAiBehaviour, 18_ARepeatAfterATimeoutDoesNotRunBesideTheFirst) {
  Fetch(platforms_->port(), "POST", "/_control/reset");
  HttpProbe impatient(port());
  impatient.Request("POST", kChat, ChatBody("[[sim: chunks=2000 chunk_ms=20]]"), Keyed());
  ASSERT_TRUE(Eventually([] { return platforms_->State().at("running").to_number<int64_t>() == 1; }));
  impatient.Close();
  const HttpReply again = Post(ChatBody("[[sim: text=Again]]"), {{"x-stainless-retry-count", "1"}});
  EXPECT_EQ(ReadWhole(again).text(), "Again") << again.body;
  EXPECT_EQ(platforms_->Count("max_running"), 1) << "two at once";
  EXPECT_TRUE(Eventually([] { return platforms_->OpenConversations() == 0; })) << "the first was left over";
}

TEST_F(OpenAiBehaviour, 19_PreflightsOfBrowsers) {
  const std::string asked =
      "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,"
      "x-stainless-retry-count,x-stainless-runtime,x-stainless-timeout";
  for (const auto& [path, method] : std::map<std::string, std::string>{
           {kChat, "POST"}, {"/v1/models", "GET"}, {"/v1/models/deepseek-chat", "GET"}}) {
    const HttpReply reply = Fetch(port(), "OPTIONS", path, "",
                                  {{"Origin", "https://page.example"},
                                   {"Access-Control-Request-Method", method},
                                   {"Access-Control-Request-Headers", asked}});
    EXPECT_EQ(reply.status, 204) << path;
    EXPECT_EQ(reply.body, "");
    EXPECT_EQ(reply.headers.at("access-control-allow-origin"), "https://page.example");
    EXPECT_EQ(reply.headers.at("access-control-allow-headers"), asked);
    EXPECT_TRUE(absl::StrContains(reply.headers.at("access-control-allow-methods"), method)) << path;
  }
  const HttpReply answer = Post(ChatBody("[[sim: text=x]]"), {{"Origin", "https://page.example"}});
  EXPECT_EQ(answer.headers.at("access-control-allow-origin"), "https://page.example");
  EXPECT_EQ(answer.headers.at("vary"), "Origin");
  for (const char* exposed : {"x-request-id", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
                              "x-ratelimit-reset-requests", "retry-after", "x-should-retry"})
    EXPECT_TRUE(absl::StrContains(answer.headers.at("access-control-expose-headers"), exposed)) << exposed;
}

TEST_F(OpenAiBehaviour, 20_HeadAndOptionsRunNoCompletion) {
  const int64_t asked = platforms_->Count("/chat/completion");
  EXPECT_EQ(Fetch(port(), "OPTIONS", kChat, ChatBody("x"), Keyed()).status, 204);
  EXPECT_EQ(Fetch(port(), "HEAD", kChat, "", Keyed()).status, 405);
  EXPECT_EQ(Fetch(port(), "HEAD", kChat, ChatBody("x"), Keyed()).status, 400) << "a body has no meaning there";
  const HttpReply head = Fetch(port(), "HEAD", "/v1/models", "", Keyed());
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), Get("/v1/models").headers.at("content-length"));
  EXPECT_EQ(platforms_->Count("/chat/completion"), asked);
}

TEST_F(OpenAiBehaviour, 47_ModelsAreAList) {
  const HttpReply reply = Get("/v1/models");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "application/json");
  const Whole list = ReadWhole(reply);
  EXPECT_EQ(list.json.at("object").as_string(), "list");
  std::set<std::string> ids;
  for (const auto& model : list.json.at("data").as_array()) {
    const std::string id(model.at("id").as_string().c_str());
    EXPECT_EQ(model.at("object").as_string(), "model") << id;
    EXPECT_TRUE(model.at("created").is_int64()) << id;
    EXPECT_GT(model.at("created").to_number<int64_t>(), 0) << id;
    EXPECT_FALSE(model.at("owned_by").as_string().empty()) << id;
    EXPECT_TRUE(ids.insert(id).second) << id << " twice";
  }
  for (const char* id : {"deepseek-chat", "kimi", "metaso", "doubao", "qwen", "zhipu", "minimax"})
    EXPECT_TRUE(ids.count(id)) << id;
}

TEST_F(OpenAiBehaviour, 48_AModelByItsId) {
  const Whole model = ReadWhole(Get("/v1/models/deepseek-chat"));
  EXPECT_EQ(model.status, 200);
  EXPECT_EQ(model.json.at("id").as_string(), "deepseek-chat");
  EXPECT_EQ(model.json.at("object").as_string(), "model");
  EXPECT_EQ(ReadWhole(Get("/v1/models/MiniMax%2DM2.5")).json.at("id").as_string(), "MiniMax-M2.5") << "%2D is a dash";
  for (const char* path : {"/v1/models/meta%2Fllama", "/v1/models/meta/llama", "/v1/models/gpt-4"}) {
    const Whole unknown = ReadWhole(Get(path));
    EXPECT_EQ(unknown.status, 404) << path;
    EXPECT_EQ(unknown.error("code"), "model_not_found") << path;
    EXPECT_EQ(unknown.error("param"), "model") << path;
  }
  EXPECT_TRUE(absl::StrContains(ReadWhole(Get("/v1/models/meta%2Fllama")).error("message"), "'meta/llama'"));
}

}  // namespace
}  // namespace switchyard
