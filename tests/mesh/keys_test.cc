// Who may use the relay: API keys, their limits, and tokens that callers bring along; through everything.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "edge/key_file.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kSlow[] = "[[sim: chunks=2000 chunk_ms=20]]";

ApiKey Key(const std::string& name, std::vector<std::string> models = {}, int a_minute = 0, int at_once = 0) {
  ApiKey key;
  key.name = name;
  key.digest = DigestOf("sk-canary-of-" + name);
  key.models = std::move(models);
  key.requests_per_minute = a_minute;
  key.concurrent_streams = at_once;
  return key;
}

Variables As(const std::string& name, Variables more = {}) {
  more["Authorization"] = "Bearer sk-canary-of-" + name;
  return more;
}

void WriteKeys(const std::string& file, const std::vector<ApiKey>& keys) {
  const auto status = UpdateKeyFile(file, false, [&](std::vector<ApiKey>& now) {
    now = keys;
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
}

Whole Ask(int port, const Variables& headers, const std::string& text = "[[sim: text=Fine]]",
          const std::string& more = "", const std::string& model = "deepseek-chat") {
  return ReadWhole(Fetch(port, "POST", kChat, ChatBody(text, more, model), headers));
}

class KeysTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    platforms_ = new SimulatedPlatforms();
    const std::string state = FreshDirectory();
    WriteKeys(state + "/keys.yaml", Keys());
    relay_ = new Relay(*platforms_, {}, state);
  }
  static void TearDownTestSuite() {
    const std::string output = relay_->process().output();
    EXPECT_FALSE(absl::StrContains(output, "canary")) << "a key was logged";
    delete relay_;
    delete platforms_;
  }
  static std::vector<ApiKey> Keys() {
    return {Key("laptop"), Key("narrow", {"deepseek-chat", "kimi"}), Key("limited", {}, 3), Key("single", {}, 0, 1),
            Key("going")};
  }
  static int port() { return relay_->port(); }
  static inline SimulatedPlatforms* platforms_ = nullptr;
  static inline Relay* relay_ = nullptr;
};

TEST_F(KeysTest, AStrangerIsRefusedBeforeTheBody) {
  for (const char* header : {"", "Authorization: Bearer sk-canary-wrong\r\n", "Authorization: Basic canary\r\n",
                             "x-api-key: sk-canary-of-laptop\r\n"}) {
    const auto start = std::chrono::steady_clock::now();
    HttpProbe probe(port());
    probe.Send(absl::StrCat("POST ", kChat, " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n",
                            "Content-Type: application/json\r\nExpect: 100-continue\r\n", header, "\r\n"));
    const HttpReply reply = probe.Read();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    std::cout << "401 without a byte of a body of 1 GB: " << took.count() << " ms\n";
    const Whole refused = ReadWhole(reply);
    EXPECT_EQ(refused.status, 401) << header;
    EXPECT_EQ(refused.error("code"), "invalid_api_key");
    EXPECT_EQ(reply.headers.at("www-authenticate"), "Bearer");
    EXPECT_TRUE(reply.headers.count("x-request-id"));
    EXPECT_FALSE(absl::StrContains(reply.body, "canary")) << reply.body;
    EXPECT_TRUE(relay_->process().WaitForOutput(reply.headers.at("x-request-id"))) << "not logged";
  }
}

TEST_F(KeysTest, HostAndOriginAreFreeWithAKey) {
  const HttpReply reply = Fetch(port(), "POST", kChat, ChatBody("[[sim: text=Fine]]"),
                                As("laptop", {{"Host", "relay.example"}, {"Origin", "https://page.example"}}));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("access-control-allow-origin"), "https://page.example");
  EXPECT_TRUE(relay_->process().WaitForOutput("\"caller\":\"laptop\""));
  EXPECT_EQ(reply.headers.count("x-ratelimit-limit-requests"), 0u) << "this key has no limit";
}

TEST_F(KeysTest, AKeyMayBeBoundToModels) {
  EXPECT_EQ(Ask(port(), As("narrow")).text(), "Fine");
  const Whole refused = Ask(port(), As("narrow"), "x", "", "deepseek-reasoner");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.error("type"), "permission_error");
  EXPECT_EQ(refused.error("code"), "permission_denied");
  EXPECT_EQ(refused.error("param"), "model");
  EXPECT_EQ(Ask(port(), As("narrow"), "x", "", "no-such-model").status, 404);
  const Whole list = ReadWhole(Fetch(port(), "GET", "/v1/models", "", As("narrow")));
  std::set<std::string> ids;
  for (const auto& model : list.json.at("data").as_array()) ids.insert(model.at("id").as_string().c_str());
  EXPECT_EQ(ids, (std::set<std::string>{"deepseek-chat", "kimi"}));
  EXPECT_EQ(Fetch(port(), "GET", "/v1/models/kimi", "", As("narrow")).status, 200);
  EXPECT_EQ(Fetch(port(), "GET", "/v1/models/deepseek-reasoner", "", As("narrow")).status, 404);
  EXPECT_GT(ReadWhole(Fetch(port(), "GET", "/v1/models", "", As("laptop"))).json.at("data").as_array().size(), 20u);
}

TEST_F(KeysTest, RequestsAMinute) {
  for (const char* remaining : {"2", "1", "0"}) {
    const Whole answer = Ask(port(), As("limited"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers.at("x-ratelimit-limit-requests"), "3");
    EXPECT_EQ(answer.headers.at("x-ratelimit-remaining-requests"), remaining);
    EXPECT_EQ(answer.headers.at("x-ratelimit-reset-requests"), "1m0s");
  }
  const int64_t asked = platforms_->Count("/chat/completion");
  for (const char* stream : {"", R"(,"stream":true)"}) {
    const Whole limited = Ask(port(), As("limited"), "x", stream);
    EXPECT_EQ(limited.status, 429);
    EXPECT_EQ(limited.error("type"), "rate_limit_error");
    EXPECT_EQ(limited.error("code"), "caller_rate_limited");
    EXPECT_EQ(limited.headers.at("x-ratelimit-remaining-requests"), "0");
    const int wait = std::atoi(limited.headers.at("retry-after").c_str());
    EXPECT_GT(wait, 0);
    EXPECT_LE(wait, 60);
  }
  EXPECT_EQ(platforms_->Count("/chat/completion"), asked) << "the platform was asked all the same";
  const HttpReply models = Fetch(port(), "GET", "/v1/models", "", As("limited"));
  EXPECT_EQ(models.status, 200) << "only what costs something counts";
  EXPECT_EQ(models.headers.at("x-ratelimit-limit-requests"), "3");
  EXPECT_EQ(Ask(port(), As("laptop")).status, 200) << "another key is held up";
}

TEST_F(KeysTest, StreamsAtOnce) {
  HttpProbe running(port());
  running.Request("POST", kChat, ChatBody(kSlow, R"(,"stream":true)"), As("single"));
  ASSERT_TRUE(running.ReadUntil("piece 1"));
  const Whole second = Ask(port(), As("single"));
  EXPECT_EQ(second.status, 429);
  EXPECT_EQ(second.error("code"), "caller_rate_limited");
  EXPECT_TRUE(second.headers.count("retry-after"));
  running.Close();
  EXPECT_TRUE(Eventually([] { return Ask(port(), As("single")).status == 200; })) << "it still counts";
}

TEST_F(KeysTest, AConversationIsItsKeysAlone) {
  const Whole first = Ask(port(), As("laptop"), "[[sim: text=One]]", R"(,"keep_conversation":true)");
  ASSERT_EQ(first.status, 200);
  const std::string id(first.json.at("conversation_id").as_string().c_str());
  const std::string more = absl::StrCat(R"(,"keep_conversation":true,"conversation_id":")", id, "\"");
  const Whole stranger = Ask(port(), As("narrow"), "[[sim: text=Two]]", more);
  EXPECT_EQ(stranger.status, 400);
  EXPECT_EQ(stranger.error("param"), "conversation_id");
  EXPECT_EQ(Ask(port(), As("laptop"), "[[sim: text=Two]]", more).text(), "Two");
}

TEST_F(KeysTest, AKeyIsRevokedWhileTheRelayRuns) {
  EXPECT_EQ(Ask(port(), As("going")).status, 200);
  std::vector<ApiKey> keys = Keys();
  keys.pop_back();
  const std::string file = relay_->state_dir() + "/keys.yaml";
  WriteKeys(file, keys);
  EXPECT_TRUE(Eventually([] { return Fetch(port(), "GET", "/v1/models", "", As("going")).status == 401; }));
  // A file that is damaged changes nothing.
  std::ofstream(file) << "keys: [";
  EXPECT_TRUE(Eventually([&] {
    Fetch(port(), "GET", "/v1/models", "", As("laptop"));
    return absl::StrContains(relay_->process().output(), "api_keys_bad");
  }));
  EXPECT_EQ(Ask(port(), As("laptop")).status, 200);
  EXPECT_EQ(Ask(port(), As("going")).status, 401);
  std::filesystem::remove(file);  // what is damaged is not overwritten
  WriteKeys(file, Keys());
  EXPECT_TRUE(Eventually([] { return Fetch(port(), "GET", "/v1/models", "", As("going")).status == 200; }));
}

TEST(KeysOfTheConfiguration, ComeFromTheEnvironment) {
  SimulatedPlatforms platforms;
  Relay relay(platforms, {{"SWITCHYARD_SERVER__API_KEYS", "sk-canary-of-one-two,sk-canary-of-three"}});
  EXPECT_EQ(Ask(relay.port(), {}).status, 401);
  EXPECT_EQ(Ask(relay.port(), As("one-two")).status, 200);
  EXPECT_EQ(Ask(relay.port(), As("three")).status, 200);
  EXPECT_TRUE(relay.process().WaitForOutput("\"caller\":\"configured-2\""));
  const std::string output = relay.process().output();
  EXPECT_TRUE(absl::StrContains(output, "callers need an API key")) << output;
  EXPECT_FALSE(absl::StrContains(output, "canary")) << output;
}

// Starts a program that is to end, or to serve, at once.
std::unique_ptr<Process> Start(std::vector<std::string> words, Variables variables = {}) {
  variables.emplace("SWITCHYARD_STATE_DIR", FreshDirectory());
  variables.emplace("SWITCHYARD_CHAT__LISTEN", "127.0.0.1:0");
  words.insert(words.begin() + 1, {"--env-file", "/dev/null"});
  return std::make_unique<Process>(std::move(words), variables);
}

TEST(Exposure, AnAddressThatOthersReachNeedsKeysOrAWord) {
  for (const char* program : {"deploy/all_in_one/switchyard", "edge/switchyard-edge"}) {
    for (const char* host : {"0.0.0.0:0", "[::]:0", "127.evil.example:0"}) {
      auto open = Start({program, "--listen", host});
      EXPECT_EQ(open->WaitExit(absl::Seconds(20)), 2) << host;
      EXPECT_TRUE(absl::StrContains(open->output(), "switchyard keys add")) << open->output();
    }
    auto told = Start({program, "--listen", "0.0.0.0:0", "--insecure"});
    EXPECT_TRUE(told->WaitForOutput("serving HTTP on http://0.0.0.0:")) << told->output();
    auto keyed = Start({program, "--listen", "0.0.0.0:0"}, {{"SWITCHYARD_SERVER__API_KEYS", "sk-canary-of-one-two"}});
    EXPECT_TRUE(keyed->WaitForOutput("serving HTTP on http://0.0.0.0:")) << keyed->output();
    EXPECT_FALSE(absl::StrContains(keyed->output(), "canary"));
  }
}

TEST(Exposure, WhatIsWrongWithKeysStopsTheStart) {
  const std::string state = FreshDirectory();
  std::ofstream(state + "/keys.yaml") << "keys:\n  - name: laptop\n    sha256: canary\n";
  auto damaged = Start({"deploy/all_in_one/switchyard", "--listen", "127.0.0.1:0"}, {{"SWITCHYARD_STATE_DIR", state}});
  EXPECT_EQ(damaged->WaitExit(absl::Seconds(20)), 2);
  EXPECT_TRUE(absl::StrContains(damaged->output(), "keys.yaml:3: sha256: must be 64 hex digits")) << damaged->output();
  EXPECT_FALSE(absl::StrContains(damaged->output(), "canary"));
  auto missing = Start({"deploy/all_in_one/switchyard", "--listen", "127.0.0.1:0"},
                       {{"SWITCHYARD_SERVER__KEYS_FILE", "/nonexistent/keys.yaml"}});
  EXPECT_EQ(missing->WaitExit(absl::Seconds(20)), 2);
  EXPECT_TRUE(absl::StrContains(missing->output(), "/nonexistent/keys.yaml")) << missing->output();
  auto asked = Start({"edge/switchyard-edge", "--check-config"}, {{"SWITCHYARD_STATE_DIR", state}});
  EXPECT_EQ(asked->WaitExit(absl::Seconds(20)), 2) << asked->output();
  auto none = Start({"services/signing/switchyard-signing", "--insecure"});
  EXPECT_EQ(none->WaitExit(absl::Seconds(20)), 2) << none->output();
}

class PassThroughTest : public ::testing::Test {
 protected:
  static Variables With(const std::string& platform, const std::string& token) {
    return {{"Authorization", absl::StrCat("Bearer ", platform, ":", token)}};
  }
  SimulatedPlatforms platforms_;
  Variables theirs_ = platforms_.Credentials(2);  // of accounts that the relay does not have
};

TEST_F(PassThroughTest, TheCallersOwnTokenIsUsed) {
  // DeepSeek's account is there and has to be left alone; the others have none, and exchange the token.
  Relay relay(platforms_, {{"SWITCHYARD_SERVER__PASS_THROUGH", "true"},
                           {"SWITCHYARD_SERVER__API_KEYS", "sk-canary-of-one-two"},
                           {"ZHIPU_TOKEN", ""},
                           {"KIMI_TOKEN", ""}});
  // Whoever uses the relay's own account gets nothing.
  platforms_.Plan("fault=banned", 100, "sim-canary-token-1");
  struct Row {
    const char* platform;
    const char* variable;
    const char* model;
  };
  for (const Row& row : {Row{"deepseek", "DEEPSEEK_TOKEN", "deepseek-chat"}, Row{"zhipu", "ZHIPU_TOKEN", "glm-4-plus"},
                         Row{"kimi", "KIMI_TOKEN", "kimi-k2"}}) {
    const std::string token = theirs_.at(row.variable);
    const Variables own = With(row.platform, token);
    for (const char* stream : {R"(,"stream":true)", ""}) {
      const HttpReply reply = Fetch(
          relay.port(), "POST", kChat,
          ChatBody("[[sim: text=Fine]]", absl::StrCat(stream, R"(,"reasoning_format":"hidden")"), row.model), own);
      EXPECT_EQ(reply.status, 200) << row.platform << reply.body;
      EXPECT_TRUE(absl::StrContains(reply.body, "Fine")) << row.platform << reply.body;
    }
    const Whole other = Ask(relay.port(), own, "x", "", "qwen");
    EXPECT_EQ(other.status, 403) << row.platform;
    EXPECT_EQ(other.error("param"), "model");
    const HttpReply models = Fetch(relay.port(), "GET", "/v1/models", "", own);
    EXPECT_TRUE(absl::StrContains(models.body, absl::StrCat("\"", row.model, "\""))) << models.body;
    EXPECT_FALSE(absl::StrContains(models.body, "\"qwen\"")) << models.body;
    EXPECT_EQ(platforms_.Violations(row.platform), "");
    EXPECT_TRUE(Eventually([&] { return platforms_.OpenConversations(row.platform) == 0; })) << row.platform;
    EXPECT_TRUE(relay.process().WaitForOutput(absl::StrCat("\"caller\":\"pass-through:", row.platform, "\"")));
    EXPECT_FALSE(absl::StrContains(relay.process().output(), token)) << row.platform << ": a caller's token was logged";
  }
  const Whole dead = Ask(relay.port(), With("zhipu", "canary-token-that-nobody-issued"), "x", "", "glm-4-plus");
  EXPECT_GE(dead.status, 400);
  EXPECT_NE(dead.error("message"), "");
  EXPECT_FALSE(absl::StrContains(dead.error("message"), "canary"));
  EXPECT_FALSE(absl::StrContains(relay.process().output(), "canary"));
  EXPECT_EQ(Ask(relay.port(), {}).status, 401) << "a key is still needed for the relay's accounts";
}

TEST_F(PassThroughTest, IsOffUnlessSaid) {
  Relay relay(platforms_);
  const Whole refused = Ask(relay.port(), With("deepseek", theirs_.at("DEEPSEEK_TOKEN")));
  EXPECT_EQ(refused.status, 401);
  EXPECT_TRUE(absl::StrContains(refused.error("message"), "server.pass_through")) << refused.error("message");
  EXPECT_EQ(platforms_.Count("/chat/completion"), 0);
}

}  // namespace
}  // namespace switchyard
