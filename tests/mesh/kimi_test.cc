// Kimi, through everything: what every platform is expected to do, and what is its own.
#include <string>
#include <thread>
#include <vector>

#include "tests/mesh/models_kimi.h"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

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

// A token that is as good as expired when it comes is exchanged again for the next turn, once for all who wait.
TEST(Kimi, AnExpiredTokenIsRefreshedOnceForEveryoneWhoWaits) {
  PlatformSuite suite("kimi", {{"SWITCHYARD_PROVIDERS__KIMI__MAX_IN_FLIGHT_PER_ACCOUNT", "1"},
                               {"SWITCHYARD_PROVIDERS__KIMI__QUEUE_DEPTH", "256"}});
  constexpr int kRequests = 200;
  std::vector<std::thread> callers;
  std::vector<int> statuses(kRequests);
  for (int i = 0; i < kRequests; ++i)
    callers.emplace_back([&, i] { statuses[i] = Chat(suite.port(), "[[sim: text=Yes]]", "", "kimi").status; });
  for (std::thread& caller : callers) caller.join();
  for (const int status : statuses) EXPECT_EQ(status, 200);
  EXPECT_EQ(suite.platforms().Count("refreshed", "kimi"), 1);
  // The platform takes back the token: one more exchange, and every turn gets its answer.
  suite.platforms().Plan("fault=expired", 1, "", "kimi");
  EXPECT_EQ(Chat(suite.port(), "[[sim: text=Yes]]", "", "kimi").status, 200);
  EXPECT_EQ(suite.platforms().Count("refreshed", "kimi"), 2);
  suite.ExpectClean();
}

TEST(Kimi, EveryFault) {
  const PlatformFaults faults = {
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
  ExpectFaults("kimi", "connect", "kimi", faults);
}

TEST(Kimi, AWithdrawnAnswerEndsByContentFilter) {
  PlatformSuite suite("kimi");
  const Streamed answer = Stream(suite.port(), "[[sim: text=One+two+three fault=content_filter]]", "", "kimi");
  EXPECT_EQ(answer.text, "One two");
  EXPECT_EQ(answer.finish_reason, "content_filter");
  suite.ExpectClean();
}

}  // namespace
}  // namespace switchyard
