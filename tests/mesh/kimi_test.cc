// Kimi, through everything: what every platform is expected to do, and what is its own.
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/mesh/models_kimi.h"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

const Variables kBySocket = {{"SWITCHYARD_PROVIDERS__KIMI__OPTIONS__TRANSPORT", "websocket"}};

TEST(Kimi, EveryModel) { PlatformSuite("kimi").ExpectModels(KimiModels()); }

TEST(Kimi, EveryModelOfTheNewestForm) {
  PlatformSuite suite("kimi", {{"SWITCHYARD_PROVIDERS__KIMI__DIALECT", "chat"}});
  suite.ExpectModels(KimiChatModels());
  EXPECT_EQ(Chat(suite.port(), "x", "", "kimi-k1.5").status, 404);
}

TEST(Kimi, EverythingElse) {
  PlatformSuite suite("kimi");
  suite.ExpectHistory("kimi");
  suite.ExpectReasoningFormats("kimi-thinking");
  suite.ExpectStops("kimi");
  for (const char* script :
       {"", "comments=1", "compress=1", "snapshots=1", "blocks=1", "route=flags", "route=stage", "end=close"}) {
    SCOPED_TRACE(script);
    suite.ExpectAnyChunking("kimi-thinking", script);
  }
  suite.ExpectAbort("kimi");
  suite.ExpectContinuation("kimi");
  suite.ExpectForgetting("kimi");
}

TEST(Kimi, SourcesAreCitedOnce) {
  PlatformSuite suite("kimi");
  const Whole answer = Chat(suite.port(), "x", "", "kimi-search");
  ASSERT_EQ(answer.status, 200) << answer.error("message");
  const auto& message = answer.json.at("choices").at(0).at("message");
  const auto& annotations = message.at("annotations").as_array();
  ASSERT_EQ(annotations.size(), 2u);
  EXPECT_EQ(annotations[0].at("url_citation").at("url").as_string(), "https://source.example/1");
  EXPECT_EQ(annotations[1].at("url_citation").at("url").as_string(), "https://source.example/2");
}

void ExpectPicture(PlatformSuite& suite) {
  const Whole answer = ChatWithParts(suite.port(), "kimi-vision", {ImagePart()});
  EXPECT_EQ(answer.status, 200) << answer.error("message");
  EXPECT_EQ(suite.platforms().Count("/apiv2-files/file/upload", "kimi"), 1);
  EXPECT_EQ(suite.Recorded().at("message").at("blocks").as_array().size(), 2u);
  suite.ExpectClean();
}

TEST(Kimi, PicturesAndDocumentsAreUploadedAndNamed) {
  PlatformSuite suite("kimi");
  const Whole answer = ChatWithParts(suite.port(), "kimi-vision",
                                     {ImagePart(), FilePart("report.pdf", "application/pdf", "%PDF-1.7"), ImagePart()});
  EXPECT_EQ(answer.status, 200) << answer.error("message");
  EXPECT_EQ(suite.platforms().Count("/apiv2-files/file/upload", "kimi"), 3);
  const auto recorded = suite.Recorded();
  EXPECT_EQ(recorded.at("message").at("blocks").as_array().size(), 4u);
  EXPECT_EQ(suite.Prompt(), "What is it?\n[Image 1]\n[Attached file: report.pdf]\n[Image 2]");
  suite.ExpectClean();
}

TEST(Kimi, AnUploadThatIsRefused) {
  PlatformSuite suite("kimi");
  suite.platforms().Plan("fault=upload_refused", 1, "", "kimi");
  const Whole refused = ChatWithParts(suite.port(), "kimi-vision", {ImagePart()});
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.error("param"), "messages[0].content[1]");
  suite.platforms().Plan("fault=upload_quota", 1, "", "kimi");
  EXPECT_EQ(ChatWithParts(suite.port(), "kimi-vision", {ImagePart()}).status, 429);
  suite.ExpectClean();
}

// The check of addresses is the same for every platform; here it is seen from outside, on what a relay must never
// fetch.
TEST(Kimi, PicturesInsideAreNotFetched) {
  PlatformSuite suite("kimi");
  const std::string simulator = std::to_string(suite.platforms().port());
  for (const std::string& place :
       {"https://127.0.0.1:" + simulator, "https://localhost:" + simulator, "http://127.0.0.1:" + simulator,
        std::string("https://169.254.169.254"), std::string("https://[::1]"), std::string("https://2130706433")}) {
    const Whole answer = ChatWithParts(suite.port(), "kimi-vision",
                                       {R"({"type":"image_url","image_url":{"url":")" + place + R"(/x.png"}})"});
    EXPECT_EQ(answer.status, 400) << place;
    EXPECT_EQ(answer.error("code"), "invalid_request") << place;
    EXPECT_EQ(answer.error("param"), "messages[0].content[1].image_url.url") << place;
  }
  EXPECT_EQ(suite.platforms().Count("requests", "kimi"), 0) << "an account was bothered with it";
}

TEST(Kimi, TextFilesAreRead) {
  PlatformSuite suite("kimi");
  const Whole answer =
      ChatWithParts(suite.port(), "kimi-k1.5", {FilePart("notes.md", "text/markdown", "# Notes\nOne")});
  EXPECT_EQ(answer.status, 200) << answer.error("message");
  EXPECT_EQ(suite.Prompt(), "What is it?\n[File: notes.md]\n# Notes\nOne\n[End of file: notes.md]");
  const Whole refused = ChatWithParts(suite.port(), "kimi-k1.5", {FilePart("report.pdf", "application/pdf", "%PDF-1")});
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.error("code"), "unsupported_parameter");
  EXPECT_EQ(refused.error("param"), "messages[0].content[1]");
  suite.ExpectClean();
}

TEST(Kimi, APictureIsUploadedAndNamed) {
  PlatformSuite suite("kimi");
  ExpectPicture(suite);
  EXPECT_EQ(suite.platforms().Count("web_sockets", "kimi"), 0);
}

TEST(Kimi, AnExpiredTokenIsRefreshedOnceForEveryoneWhoWaits) {
  // All of them at once on the one account, so that none waits for another's turn instead of for the token.
  PlatformSuite suite("kimi", {{"SWITCHYARD_PROVIDERS__KIMI__MAX_IN_FLIGHT_PER_ACCOUNT", "200"},
                               {"SWITCHYARD_PROVIDERS__KIMI__QUEUE_DEPTH", "256"}});
  constexpr char kPrompt[] = "[[sim: chunks=10 chunk_ms=30 streams=200]]";
  constexpr int kRequests = 200;
  suite.platforms().Plan("token_life=2", 1, "", "kimi");
  ASSERT_EQ(Chat(suite.port(), kPrompt, "", "kimi").status, 200);
  const absl::Time expired = absl::Now() + absl::Seconds(2);
  ASSERT_TRUE(Eventually([&] { return absl::Now() > expired; }));
  const int64_t before = suite.platforms().Count("refreshed", "kimi");
  std::vector<std::thread> callers;
  std::vector<int> statuses(kRequests);
  for (int i = 0; i < kRequests; ++i)
    callers.emplace_back([&, i] { statuses[i] = Chat(suite.port(), kPrompt, "", "kimi").status; });
  for (std::thread& caller : callers) caller.join();
  for (const int status : statuses) EXPECT_EQ(status, 200);
  EXPECT_EQ(suite.platforms().Count("refreshed", "kimi"), before + 1);
  EXPECT_GT(suite.platforms().Count("max_running", "kimi"), 1) << "the turns were one after the other";
  // The platform takes back the token: one more exchange, and every turn gets its answer.
  suite.platforms().Plan("fault=expired", 1, "", "kimi");
  EXPECT_EQ(Chat(suite.port(), "[[sim: text=Yes]]", "", "kimi").status, 200);
  EXPECT_EQ(suite.platforms().Count("refreshed", "kimi"), before + 2);
  suite.ExpectClean();
}

class KimiRotation : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Rotation, KimiRotation, testing::Values("lenient", "strict"),
                         [](const auto& test) { return test.param; });

/// It works, or says that somebody has to log in; nothing else.
void ExpectNotSilentlyDead(int port) {
  const Whole answer = Chat(port, "[[sim: text=One]]", "", "kimi");
  if (answer.status == 200) {
    EXPECT_EQ(answer.text(), "One");
    return;
  }
  EXPECT_EQ(answer.error("code"), "credential_expired") << answer.error("message");
  EXPECT_TRUE(absl::StrContains(answer.error("message"), "og in") ||
              absl::StrContains(answer.error("message"), "ign in"))
      << answer.error("message");
}

TEST_P(KimiRotation, KilledBetweenTheRotationAndItsReply) {
  SimulatedPlatforms platforms;
  platforms.Plan(absl::StrCat("rotation=", GetParam()), 1, "", "kimi");
  std::string state;
  {
    Relay relay(platforms);
    state = relay.state_dir();
    platforms.Plan("fault=refresh_stall", 1, "", "kimi");
    HttpProbe probe(relay.port());
    probe.Post("/v1/chat/completions", ChatBody("[[sim: text=One]]", "", "kimi"));
    ASSERT_TRUE(Eventually([&] { return platforms.Count("stalled_refreshes", "kimi") > 0; }));
    relay.process().Signal(SIGKILL);
    relay.process().WaitExit(absl::Seconds(10));
  }
  Relay relay(platforms, {}, state);
  ExpectNotSilentlyDead(relay.port());
  EXPECT_EQ(platforms.Violations("kimi"), "");
}

TEST_P(KimiRotation, KilledRightAfterTheReply) {
  SimulatedPlatforms platforms;
  platforms.Plan(absl::StrCat("rotation=", GetParam()), 1, "", "kimi");
  std::string state;
  {
    Relay relay(platforms);
    state = relay.state_dir();
    ASSERT_EQ(Chat(relay.port(), "[[sim: text=One]]", "", "kimi").status, 200);
    relay.process().Signal(SIGKILL);
    relay.process().WaitExit(absl::Seconds(10));
  }
  Relay relay(platforms, {}, state);
  const Whole answer = Chat(relay.port(), "[[sim: text=Two]]", "", "kimi");
  EXPECT_EQ(answer.text(), "Two") << answer.error("message");
}

TEST_P(KimiRotation, AReplyThatIsLost) {
  SimulatedPlatforms platforms;
  platforms.Plan(absl::StrCat("rotation=", GetParam()), 1, "", "kimi");
  Relay relay(platforms);
  platforms.Plan("fault=refresh_cut", 1, "", "kimi");
  EXPECT_NE(Chat(relay.port(), "x", "", "kimi").status, 200);
  ExpectNotSilentlyDead(relay.port());
}

TEST(Kimi, AConversationThatIsGoneIsTheCallersToKnow) {
  for (const Variables& transport : {Variables(), kBySocket}) {
    PlatformSuite suite("kimi", transport);
    const std::string keep = R"(,"keep_conversation":true)";
    const Whole first = Chat(suite.port(), "[[sim: text=One]]", keep, "kimi");
    ASSERT_EQ(first.status, 200) << first.error("message");
    const std::string on = absl::StrCat(keep, R"(,"conversation_id":")",
                                        std::string(first.json.at("conversation_id").as_string().c_str()), "\"");
    if (transport.empty()) {
      suite.platforms().Plan("fault=not_found", 1, "", "kimi");
      const Whole refused = Chat(suite.port(), "x", on, "kimi");
      EXPECT_EQ(refused.status, 400) << refused.error("message");
      EXPECT_EQ(refused.error("param"), "conversation_id");
    }
    Fetch(suite.platforms().port(), "POST", "/_control/reset");
    const Whole gone = Chat(suite.port(), "x", on, "kimi");
    EXPECT_EQ(gone.status, 400) << gone.error("message");
    EXPECT_EQ(gone.error("param"), "conversation_id");
    EXPECT_EQ(gone.error("code"), "invalid_request");
    suite.ExpectClean();
  }
}

PlatformFaults Faults() {
  return {
      {"first_ms=5000", 504, "deadline_exceeded"},
      {"fault=stall", 504, "deadline_exceeded", nullptr, nullptr, "One two"},
      {"fault=cut at=0", 502, "upstream_broken"},
      {"fault=cut at=3", 502, "upstream_broken", nullptr, nullptr, "One two three"},
      {"fault=http_429", 429, "rate_limited", "30"},
      {"fault=refresh_401", 403, "credential_expired"},
      {"fault=content_filter", 200, "content_filter", nullptr, nullptr, "One two"},
      {"fault=expired", 403, "credential_expired"},
      {"fault=banned", 403, "account_banned"},
      {"fault=forbidden", 403, "client_refused"},
      {"fault=rate", 429, "rate_limited", "30"},
      {"fault=quota", 429, "insufficient_quota", nullptr, "false"},
      {"fault=http_429 retry_after=7", 429, "rate_limited", "7"},
      {"fault=error", 502, "upstream_unavailable"},
      {"fault=http_500", 502, "upstream_unavailable"},
      {"fault=html", 403, "client_refused"},
      {"fault=captcha", 403, "client_refused"},
      {"fault=no_form", 502, "upstream_changed", nullptr, "false"},
      {"fault=empty", 502, "upstream_empty"},
      {"fault=filter_early", 400, "content_policy_violation"},
      {"fault=cut", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=reset", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=garbage", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=not_json", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=bad_utf8", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=oversized", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=late_error", 502, "upstream_broken", nullptr, nullptr, "One two three"},
      {"compress=2", 502, "upstream_changed", nullptr, "false"},
  };
}

TEST(Kimi, EveryFault) {
  PlatformFaults faults = Faults();
  faults.push_back({"fault=not_found", 502, "upstream_changed", nullptr, "false"});
  ExpectFaults("kimi", "connect", "kimi", faults);
}

TEST(Kimi, AWithdrawnAnswerEndsByContentFilter) {
  for (const Variables& transport : {Variables(), kBySocket}) {
    PlatformSuite suite("kimi", transport);
    const Streamed answer = Stream(suite.port(), "[[sim: text=One+two+three fault=content_filter]]", "", "kimi");
    EXPECT_EQ(answer.text, "One two");
    EXPECT_EQ(answer.finish_reason, "content_filter");
    suite.ExpectClean();
  }
}

// ---- by WebSocket

/// Every turn of a suite was one, and no chat went by HTTPS.
void ExpectSockets(const PlatformSuite& suite) {
  const int64_t turns = suite.platforms().Count("/apiv2/kimi.gateway.chat.v1.ChatService/Chat", "kimi");
  EXPECT_GT(turns, 0);
  EXPECT_EQ(suite.platforms().Count("web_sockets", "kimi"), turns);
}

TEST(KimiBySocket, ModelsAndEverythingElse) {
  PlatformSuite suite("kimi", kBySocket);
  suite.ExpectModels({KimiModels().front(), KimiModels().back()});
  suite.ExpectHistory("kimi");
  suite.ExpectReasoningFormats("kimi-thinking");
  suite.ExpectStops("kimi");
  for (const char* script : {"", "comments=1", "snapshots=1", "blocks=1", "route=flags", "route=stage", "end=close"}) {
    SCOPED_TRACE(script);
    suite.ExpectAnyChunking("kimi-thinking", script);
  }
  suite.ExpectAbort("kimi");
  ExpectSockets(suite);
  suite.ExpectForgetting("kimi");
  suite.ExpectContinuation("kimi");
}

TEST(KimiBySocket, CompressionIsAnnouncedByTheHandshake) {
  PlatformSuite suite("kimi", kBySocket);
  suite.platforms().Plan("compress=1", 1, "", "kimi");
  EXPECT_EQ(Chat(suite.port(), "[[sim: text=Yes]]", "", "kimi").text(), "Yes");
  ExpectSockets(suite);
  suite.ExpectClean();
}

TEST(KimiBySocket, APictureGoesTheOldWay) {
  PlatformSuite suite("kimi", kBySocket);
  ExpectPicture(suite);
  ExpectSockets(suite);
}

TEST(KimiBySocket, TheCallersLeavingEndsTheGeneration) {
  PlatformSuite suite("kimi", kBySocket);
  {
    HttpProbe probe(suite.port());
    probe.Post("/v1/chat/completions", ChatBody("[[sim: fault=stall]]", R"(,"stream":true)", "kimi"));
    // The first piece alone: whether the next one is merged with it is a matter of timing.
    ASSERT_TRUE(probe.ReadUntil(R"("content":"This)"));
  }
  EXPECT_TRUE(Eventually([&] { return suite.platforms().Count("client_gone", "kimi") == 1; }));
  suite.ExpectClean();
}

// A token that the handshake is refused for is renewed once, as over HTTPS.
TEST(KimiBySocket, ARefusedTokenIsRenewed) {
  PlatformSuite suite("kimi", kBySocket);
  suite.platforms().Plan("fault=expired", 1, "", "kimi");
  EXPECT_EQ(Chat(suite.port(), "[[sim: text=Yes]]", "", "kimi").text(), "Yes");
  EXPECT_EQ(suite.platforms().Count("refreshed", "kimi"), 2);
  suite.ExpectClean();
}

// Nothing is sent again once the request was: the platform saw each turn once.
TEST(KimiBySocket, NothingIsSaidTwice) {
  for (const char* fault : {"fault=cut at=0", "fault=close code=1011 at=0", "fault=close at=0"}) {
    SCOPED_TRACE(fault);
    PlatformSuite suite("kimi", kBySocket);
    suite.platforms().Plan(fault, 1, "", "kimi");
    const Whole answer = Chat(suite.port(), "[[sim: text=Yes]]", "", "kimi");
    EXPECT_EQ(answer.error("code"), "upstream_broken") << answer.error("message");
    EXPECT_EQ(suite.platforms().Count("web_sockets", "kimi"), 1);
    suite.ExpectClean();
  }
}

TEST(KimiBySocket, EveryFault) {
  PlatformFaults faults = Faults();
  faults.push_back({"fault=not_found", 502, "upstream_changed", nullptr, "false"});
  faults.push_back({"fault=close", 502, "upstream_broken", nullptr, nullptr, "One two"});
  faults.push_back({"fault=close code=1011", 502, "upstream_broken", nullptr, nullptr, "One two"});
  for (const PlatformFault& fault : faults) ExpectFault("kimi", "kimi", fault, kBySocket);
}

}  // namespace
}  // namespace switchyard
