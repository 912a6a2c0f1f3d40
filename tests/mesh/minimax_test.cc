// MiniMax, through everything: what every platform is expected to do, which parameters each id means, and what polling
// adds.
#include "tests/mesh/models_minimax.h"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

constexpr char kModel[] = "MiniMax-M2.7";

/// Polls as often as a test can wait for.
Variables Quick() {
  const std::string options = "SWITCHYARD_PROVIDERS__MINIMAX__OPTIONS__";
  return {{options + "POLL_MS", "5"},
          {options + "POLL_LATER_MS", "5"},
          {options + "POLL_BACKOFF_MS", "1"},
          {options + "DELETE_RETRY_MS", "500"},
          {options + "SILENCE_S", "2"}};
}

TEST(MiniMax, EveryModel) { PlatformSuite("minimax", Quick()).ExpectModels(MiniMaxModels()); }

TEST(MiniMax, EverythingElse) {
  PlatformSuite suite("minimax", Quick());
  suite.ExpectHistory(kModel);
  suite.ExpectReasoningFormats(kModel);
  suite.ExpectStops(kModel);
  for (const char* dialect :
       {"", "order=asc", "ids=text", "wrap=1", "status=none", "growth=1", "polls=3", "fault=bad_utf8"})
    suite.ExpectAnyChunking(kModel, dialect);
  suite.ExpectAbort(kModel);
  suite.ExpectContinuation(kModel);
}

TEST(MiniMax, SeveralMessagesAreOneAnswer) {
  PlatformSuite suite("minimax", Quick());
  const Streamed answer = Stream(suite.port(), "[[sim: text=One+two+three chunks=2 messages=2]]", "", kModel);
  EXPECT_EQ(answer.text, "One tw\n\no three");
  suite.ExpectClean();
}

TEST(MiniMax, PollsThatFailAreFollowedByOneThatDoesNot) {
  PlatformSuite suite("minimax", Quick());
  for (const char* fault : {"poll_500", "poll_html", "poll_error", "poll_expired", "cut"}) {
    SCOPED_TRACE(fault);
    const std::string script = std::string("[[sim: text=One+two+three growth=1 at=1 times=4 fault=") + fault + "]]";
    const Streamed answer = Stream(suite.port(), script, "", kModel);
    EXPECT_EQ(answer.text, "One two three");
    EXPECT_EQ(answer.finish_reason, "stop");
  }
  EXPECT_EQ(suite.platforms().Count("/matrix/api/v1/chat/send_msg", "minimax"), 5) << "a message was sent again";
  suite.ExpectClean();
}

TEST(MiniMax, AChatThatIsSaidToRunIsDeletedLater) {
  PlatformSuite suite("minimax", Quick());
  EXPECT_EQ(Chat(suite.port(), "[[sim: text=One deletes=2]]", "", kModel).text(), "One");
  suite.ExpectClean();
  EXPECT_EQ(suite.platforms().Count("refused_deletes", "minimax"), 2);
}

/// Of the message that is sent: the same in both dialects.
PlatformFaults WithRefusals(PlatformFaults faults) {
  for (const PlatformFault& refusal : PlatformFaults{
           {"fault=http_429 retry_after=7", 429, "rate_limited", "7"},
           {"fault=http_429", 429, "rate_limited", "30"},
           {"fault=rate", 429, "rate_limited", "30"},
           {"fault=busy", 429, "rate_limited", "30"},
           {"fault=quota", 429, "insufficient_quota", nullptr, "false"},
           {"fault=expired", 403, "credential_expired"},
           {"fault=expired_code", 403, "credential_expired"},
           {"fault=http_500", 502, "upstream_unavailable"},
           {"fault=html", 403, "client_refused"},
           {"fault=challenge", 403, "client_refused"},
           {"fault=not_json", 502, "upstream_changed", nullptr, "false"},
           {"fault=oversized", 502, "upstream_changed", nullptr, "false"},
           {"fault=garbage", 502, "upstream_changed", nullptr, "false"},
           {"fault=error", 502, "upstream_changed", nullptr, "false"},
           {"fault=signature", 502, "signature_refused", nullptr, "false"},
           {"fault=sandbox", 502, "upstream_unavailable"},
           {"fault=empty", 502, "upstream_empty"},
           {"first_ms=5000", 504, "deadline_exceeded"},
       })
    faults.push_back(refusal);
  return faults;
}

TEST(MiniMax, Faults) {
  const PlatformFaults faults = WithRefusals({
      {"fault=cut growth=1 at=3", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=cut at=0", 502, "upstream_broken"},
      {"fault=reset growth=1 at=3", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=stall growth=1 at=3", 504, "deadline_exceeded", nullptr, nullptr, "One two"},
      {"fault=poll_500 growth=1 at=3", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=poll_html growth=1 at=3", 403, "client_refused", nullptr, nullptr, "One two"},
      {"fault=poll_error growth=1 at=3", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=poll_expired growth=1 at=3", 403, "credential_expired", nullptr, nullptr, "One two"},
      {"fault=bad_utf8 growth=1", 200, "stop", nullptr, nullptr, "One two three"},
      {"fault=conflict", 429, "account_busy", "5"},
  });
  // The poll that brings the last of the text brings the end, too.
  ExpectFaults("minimax", "matrix", kModel, faults, {kBeforeTheEnd}, Quick());
}

TEST(MiniMax, ATokenIsRenewedBeforeItRunsOut) {
  constexpr int kNearlyExpired = 7;
  Variables variables = Quick();
  variables["MINIMAX_TOKEN"] = SimulatedPlatforms().Credentials(kNearlyExpired).at("MINIMAX_TOKEN");
  PlatformSuite suite("minimax", variables);
  suite.ExpectAnswers(kModel);
  EXPECT_EQ(suite.platforms().Count("renewals", "minimax"), 1);
}

TEST(MiniMax, AnAccountWhoseUserIdIsGivenInFrontOfTheToken) {
  Variables variables = Quick();
  variables["MINIMAX_TOKEN"] = SimulatedPlatforms().Credentials(2).at("MINIMAX_TOKEN");
  PlatformSuite("minimax", variables).ExpectAnswers(kModel);
}

// ---- The agent dialect.

Variables Agent() {
  Variables variables = Quick();
  variables["SWITCHYARD_PROVIDERS__MINIMAX__DIALECT"] = "agent";
  variables["SWITCHYARD_PROVIDERS__MINIMAX__OPTIONS__AGENT_WAIT_MS"] = "0";
  return variables;
}

TEST(MiniMaxAgent, EveryModel) { PlatformSuite("minimax", Agent()).ExpectModels(MiniMaxAgentModels()); }

TEST(MiniMaxAgent, EverythingElse) {
  PlatformSuite suite("minimax", Agent());
  suite.ExpectHistory("MiniMax-M3");
  suite.ExpectReasoningFormats("MiniMax-M3-thinking");
  suite.ExpectStops("MiniMax-M3");
  for (const char* dialect : {"", "dialect=increments", "space=1", "done=1", "comments=1"})
    suite.ExpectAnyChunking("MiniMax-M3-thinking", dialect);
  suite.ExpectAbort("MiniMax-M3");
}

TEST(MiniMaxAgent, ABusySessionIsReplacedBeforeItsAnswerBegins) {
  PlatformSuite suite("minimax", Agent());
  for (const char* fault : {"fault=conflict", "fault=sandbox"}) {
    suite.platforms().Plan(fault, 2, "", "minimax");
    EXPECT_EQ(Chat(suite.port(), "[[sim: text=One]]", "", "MiniMax-M3").text(), "One");
  }
  EXPECT_EQ(suite.platforms().Count("sessions", "minimax"), 6);
}

TEST(MiniMaxAgent, Faults) {
  const PlatformFaults faults = WithRefusals({
      {"fault=cut", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=cut at=3", 502, "upstream_broken", nullptr, nullptr, "One two three"},
      {"fault=cut at=0", 502, "upstream_broken"},
      {"fault=reset", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=stall", 504, "deadline_exceeded", nullptr, nullptr, "One two"},
      {"fault=in_stream", 502, "upstream_broken", nullptr, nullptr, "One two"},
      {"fault=in_stream_unknown", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=in_stream_garbage", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=in_stream_oversized", 502, "upstream_changed", nullptr, "false", "One two"},
      {"fault=in_stream_utf8", 200, "stop", nullptr, nullptr, "One two three"},
      {"fault=conflict", 429, "account_busy", "5"},
  });
  ExpectFaults("minimax", "agent", "MiniMax-M3", faults, {}, Agent());
}

}  // namespace
}  // namespace switchyard
