// The edge as a deployment needs it: leaving without losing anybody, refusing what would be too much, speaking HTTPS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/common/status/reason.h"
#include "tests/support/certificates.h"
#include "tests/support/programs.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kSlow[] = "[[sim: chunks=2000 chunk_ms=20]]";

std::unique_ptr<HttpProbe> StartStream(int port, const std::string& text = kSlow) {
  auto probe = std::make_unique<HttpProbe>(port);
  probe->Post("/v1/chat/completions", ChatBody(text, R"(,"stream":true)"));
  return probe;
}

TEST(EdgeLife, WhileItDrainsEverybodyIsServedAndSentElsewhere) {
  SimulatedPlatforms platforms;
  Relay relay(platforms,
              {{"SWITCHYARD_SERVER__DRAIN_DELAY", "60s"}, {"SWITCHYARD_PROVIDERS__DEEPSEEK__QUEUE_DEPTH", "8"}});
  auto kept = std::make_unique<HttpProbe>(relay.port());
  kept->Request("GET", "/healthz", "");
  ASSERT_TRUE(kept->ReadUntil("\"ok\""));
  EXPECT_THAT(kept->raw(), Not(HasSubstr("Connection: close")));
  auto stream = StartStream(relay.port(), "[[sim: chunks=40 chunk_ms=20]]");
  ASSERT_TRUE(stream->ReadUntil("piece 1"));

  relay.process().Signal(SIGTERM);
  ASSERT_TRUE(Eventually([&] { return Fetch(relay.port(), "GET", "/readyz").status == 503; }));
  kept->Request("GET", "/healthz", "");
  EXPECT_TRUE(kept->ReadUntil("Connection: close"));
  const HttpReply fresh = Fetch(relay.port(), "POST", "/v1/chat/completions", ChatBody("[[sim: text=Still]]"));
  EXPECT_EQ(fresh.status, 200) << fresh.body;
  EXPECT_EQ(fresh.headers.at("connection"), "close");
  EXPECT_TRUE(stream->ReadUntil("data: [DONE]")) << "a stream that had begun was not finished";
  relay.process().Signal(SIGTERM);  // in a hurry after all
  EXPECT_EQ(relay.process().WaitExit(absl::Seconds(10)), 0);
}

// A terminal that closes while the relay stops is no second signal, and leaves it able to hear one.
TEST(EdgeLife, ATerminalThatClosesIsNoHurry) {
  SimulatedPlatforms platforms;
  {
    Relay relay(platforms, {{"SWITCHYARD_SERVER__DRAIN_DELAY", "60s"}});
    relay.process().Signal(SIGTERM);
    ASSERT_TRUE(Eventually([&] { return Fetch(relay.port(), "GET", "/readyz").status == 503; }));
    relay.process().Signal(SIGHUP);
    EXPECT_EQ(relay.process().WaitExit(absl::Seconds(2)), std::nullopt);
    relay.process().Signal(SIGTERM);
    EXPECT_EQ(relay.process().WaitExit(absl::Seconds(10)), 0);
  }
  Relay relay(platforms);
  auto stream = StartStream(relay.port());
  ASSERT_TRUE(stream->ReadUntil("piece 1"));
  relay.process().Signal(SIGTERM);
  ASSERT_TRUE(relay.process().WaitForOutput("\"event\":\"stopping\""));
  relay.process().Signal(SIGHUP);
  EXPECT_EQ(relay.process().WaitExit(absl::Seconds(2)), std::nullopt);
  relay.process().Signal(SIGTERM);
  EXPECT_EQ(relay.process().WaitExit(absl::Seconds(10)), 0);
}

// Streams of HTTP and of gRPC have one limit, not one after the other.
TEST(EdgeLife, ADrainTakesNoLongerThanItsLimit) {
  SimulatedPlatforms platforms;
  Relay relay(platforms, {{"SWITCHYARD_SERVER__DRAIN_LIMIT", "4s"}});
  auto stream = StartStream(relay.port());
  ASSERT_TRUE(stream->ReadUntil("piece 1"));
  std::thread other([&] { Ask(relay.grpc_port(), GrpcRequest(kSlow, "qwen")); });
  ASSERT_TRUE(Eventually([&] { return platforms.State("qwen").at("running").to_number<int64_t>() == 1; }));
  const absl::Time since = absl::Now();
  relay.process().Signal(SIGTERM);
  EXPECT_EQ(relay.process().WaitExit(absl::Seconds(20)), 0);
  EXPECT_GT(absl::Now() - since, absl::Seconds(3));
  EXPECT_LT(absl::Now() - since, absl::Seconds(7));
  other.join();
}

TEST(EdgeLife, OnePlatformTakesNoMoreThanItsShare) {
  SimulatedPlatforms platforms;
  Programs programs(platforms, {{"SWITCHYARD_PROVIDERS__DEEPSEEK__MAX_IN_FLIGHT", "1"}});
  auto running = StartStream(programs.port());
  ASSERT_TRUE(running->ReadUntil("piece 1"));

  const HttpReply refused = Fetch(programs.port(), "POST", "/v1/chat/completions", ChatBody("x"));
  EXPECT_EQ(refused.status, 503) << refused.body;
  EXPECT_THAT(refused.body, HasSubstr("\"overloaded\""));
  EXPECT_GE(std::atoi(refused.headers.at("retry-after").c_str()), 1);
  const GrpcAnswer same = Ask(programs.provider_port("deepseek"), GrpcRequest("x"));
  EXPECT_EQ(same.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(same.status), Reason::REASON_OVERLOADED);
  EXPECT_EQ(Chat(programs.port(), "[[sim: text=Other]]", "", "qwen").text(), "Other");

  running->Close();
  EXPECT_TRUE(Eventually([&] { return Chat(programs.port(), "[[sim: text=Again]]").text() == "Again"; }));
}

class HttpsAtTheEdge : public ::testing::Test {
 protected:
  HttpsAtTheEdge() : directory_(FreshDirectory()) {
    Write("ca.pem", authority_.certificate());
    Renew(authority_);
  }

  void Write(const std::string& name, const std::string& text) const { std::ofstream(At(name)) << text; }
  std::string At(const std::string& name) const { return absl::StrCat(directory_, "/", name); }
  void Renew(const TestAuthority& authority) const {
    const TestAuthority::Pem pem = authority.Issue("DNS:localhost,IP:127.0.0.1");
    Write("tls.key", pem.key);
    Write("tls.crt", pem.certificate);
  }
  std::unique_ptr<Process> Start(Variables more = {}) {
    Variables variables = RelayVariables(platforms_, FreshDirectory());
    variables["SWITCHYARD_SERVER__TLS__CERTIFICATE"] = At("tls.crt");
    variables["SWITCHYARD_SERVER__TLS__KEY"] = At("tls.key");
    for (const auto& [name, value] : more) variables[name] = value;
    return std::make_unique<Process>(
        std::vector<std::string>{"deploy/all_in_one/switchyard", "--listen", "127.0.0.1:0"}, variables);
  }
  /// What curl makes of it: another program's idea of HTTPS.
  std::string Curl(const std::string& words) const {
    Process process({"/bin/sh", "-c", absl::StrCat("curl -sS --max-time 20 --cacert '", At("ca.pem"), "' ", words)},
                    {});
    process.WaitExit(absl::Seconds(30));
    return process.output();
  }

  const TestAuthority authority_;
  const std::string directory_;
  SimulatedPlatforms platforms_;
};

TEST_F(HttpsAtTheEdge, AnswersAndStreams) {
  auto relay = Start();
  const int port = relay->PortAfter("serving HTTPS on https://127.0.0.1:");
  ASSERT_GT(port, 0) << relay->output();
  const std::string url = absl::StrCat("https://localhost:", port);
  const auto chat = [&](const std::string& more) {
    return Curl(absl::StrCat("-i --http2 ", url, "/v1/chat/completions -H 'Content-Type: application/json' -d '",
                             ChatBody("[[sim: text=Red,+green]]", more), "'"));
  };
  const std::string whole = chat("");
  EXPECT_THAT(whole, HasSubstr("HTTP/1.1 200")) << "what else is offered is not taken";
  EXPECT_THAT(whole, HasSubstr("Red, green"));
  const std::string streamed = chat(R"(,"stream":true)");
  EXPECT_THAT(streamed, HasSubstr("text/event-stream"));
  EXPECT_THAT(streamed, HasSubstr("data: [DONE]"));
  EXPECT_THAT(Curl("--tls-max 1.1 " + url + "/healthz 2>&1"), Not(HasSubstr("\"ok\"")));
  EXPECT_EQ(platforms_.Violations(), "");
}

TEST_F(HttpsAtTheEdge, TakesANewerCertificateAndNoDamagedOne) {
  auto relay = Start();
  const int port = relay->PortAfter("serving HTTPS on https://127.0.0.1:");
  ASSERT_GT(port, 0) << relay->output();
  const std::string health = absl::StrCat("https://127.0.0.1:", port, "/healthz 2>&1");
  EXPECT_THAT(Curl(health), HasSubstr("\"ok\""));
  Write("tls.crt", "damaged");
  EXPECT_TRUE(relay->WaitForOutput("certificates_not_replaced"));
  EXPECT_THAT(Curl(health), HasSubstr("\"ok\""));
  const TestAuthority other;
  Renew(other);
  Write("ca.pem", other.certificate());
  EXPECT_TRUE(Eventually([&] { return absl::StrContains(Curl(health), "\"ok\""); }));
}

TEST_F(HttpsAtTheEdge, DoesNotStartWithoutAGoodPair) {
  Write("tls.key", authority_.Issue("DNS:localhost").key);
  auto relay = Start();
  EXPECT_EQ(relay->WaitExit(absl::Seconds(20)), 1);
  EXPECT_THAT(relay->output(), HasSubstr("the key is not that of the certificate"));
  auto half = Start({{"SWITCHYARD_SERVER__TLS__KEY", ""}});
  EXPECT_EQ(half->WaitExit(absl::Seconds(20)), 2);
  EXPECT_THAT(half->output(), HasSubstr("server.tls: needs certificate and key"));
}

}  // namespace
}  // namespace switchyard
