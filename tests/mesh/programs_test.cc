// The services as programs of their own, gRPC clients straight at a provider, and what every program does with flags
// and configuration.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/client_context.h"
#include "services/common/rpc/channel.h"
#include "services/common/status/grpc_status.h"
#include "services/common/status/reason.h"
#include "switchyard/chat/v1/chat.grpc.pb.h"
#include "tests/support/programs.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

using chat::v1::ChatEvent;
using chat::v1::ChatRequest;

std::vector<std::string> AllPrograms() {
  std::vector<std::string> all = {"deploy/all_in_one/switchyard", "edge/switchyard-edge",
                                  "services/session/switchyard-session", "services/signing/switchyard-signing"};
  for (const char* platform : kPlatformNames) all.push_back(PlatformProgram(platform));
  return all;
}

class ProgramsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    platforms_ = new SimulatedPlatforms();
    programs_ = new Programs(*platforms_);
  }
  static void TearDownTestSuite() {
    delete programs_;
    delete platforms_;
  }
  static inline SimulatedPlatforms* platforms_ = nullptr;
  static inline Programs* programs_ = nullptr;
};

TEST_F(ProgramsTest, AnHttpClientThroughTheEdge) {
  EXPECT_EQ(Chat(programs_->port(), "[[sim: text=Red,+green]]").text(), "Red, green");
  const Streamed streamed = Stream(programs_->port(), "[[sim: text=Red,+green think=Hmm]]", "", "deepseek-reasoner");
  EXPECT_EQ(streamed.text, "<think:Hmm>Red, green");
  EXPECT_TRUE(streamed.done);
  EXPECT_TRUE(absl::StrContains(Fetch(programs_->port(), "GET", "/v1/models").body, "deepseek-chat"));
  EXPECT_EQ(Fetch(programs_->port(), "GET", "/readyz").status, 200);
  EXPECT_EQ(Chat(programs_->port(), "x", "", "gpt-4").error("code"), "model_not_found");
  EXPECT_TRUE(Eventually([] { return platforms_->OpenConversations() == 0; }));
  EXPECT_EQ(platforms_->Violations(), "");
}

TEST_F(ProgramsTest, TheEdgeOfItsOwnReadsTheKeyFile) {
  const std::string directory = FreshDirectory();
  const auto keys = [&](const std::string& words) {
    Process process({"/bin/sh", "-c", "deploy/all_in_one/switchyard keys " + words},
                    {{"SWITCHYARD_STATE_DIR", directory}});
    EXPECT_EQ(process.WaitExit(absl::Seconds(20)), 0) << process.output();
    return std::string(absl::StripAsciiWhitespace(process.output()));
  };
  const std::string key = keys("add laptop --models deepseek-chat 2> /dev/null");
  auto edge = programs_->Edge({{"SWITCHYARD_SERVER__KEYS_FILE", directory + "/keys.yaml"}});
  const int port = edge->PortAfter("serving HTTP on http://127.0.0.1:");
  const std::map<std::string, std::string> as{{"Authorization", "Bearer " + key}};
  const auto ask = [&](const std::string& model, const std::map<std::string, std::string>& headers) {
    return Fetch(port, "POST", "/v1/chat/completions", ChatBody("[[sim: text=Fine]]", "", model), headers).status;
  };
  EXPECT_EQ(ask("deepseek-chat", {}), 401);
  EXPECT_EQ(ask("deepseek-chat", as), 200);
  EXPECT_EQ(ask("kimi", as), 403);
  keys("revoke laptop");
  EXPECT_TRUE(Eventually([&] { return ask("kimi", as) == 401; })) << "revoked, and served";
  EXPECT_FALSE(absl::StrContains(edge->output(), key));
}

TEST_F(ProgramsTest, AGrpcClientStraightAtTheProvider) {
  const GrpcAnswer answer = Ask(programs_->provider_port("deepseek"), GrpcRequest("[[sim: text=Red,+green]]"));
  EXPECT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.text(), "Red, green");
  EXPECT_EQ(answer.finished(), 1);
  ASSERT_FALSE(answer.events.empty());
  EXPECT_TRUE(answer.events.front().has_started());
  EXPECT_TRUE(answer.events.back().has_finished());
}

TEST_F(ProgramsTest, AGrpcClientGetsTheSameErrors) {
  platforms_->Plan("fault=empty", 1);
  const GrpcAnswer empty = Ask(programs_->provider_port("deepseek"), GrpcRequest("x"));
  EXPECT_EQ(empty.status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(empty.status), Reason::REASON_UPSTREAM_EMPTY);
  EXPECT_EQ(empty.finished(), 0);
  const GrpcAnswer unknown = Ask(programs_->provider_port("deepseek"), GrpcRequest("x", "kimi"));
  EXPECT_EQ(ReasonOf(unknown.status), Reason::REASON_MODEL_NOT_FOUND);
  ChatRequest bad = GrpcRequest("x");
  bad.mutable_sampling()->set_temperature(7);
  const GrpcAnswer refused = Ask(programs_->provider_port("deepseek"), bad);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DetailOf(refused.status).field(), "temperature");
}

TEST_F(ProgramsTest, ACancelledGrpcCallStopsThePlatform) {
  auto stub =
      chat::v1::ChatService::NewStub(MakeChannel(absl::StrCat("127.0.0.1:", programs_->provider_port("deepseek"))));
  const int64_t stops = platforms_->Count("/chat/stop_stream");
  grpc::ClientContext context;
  auto reader = stub->Chat(&context, GrpcRequest("[[sim: chunks=2000 chunk_ms=20]]"));
  ChatEvent event;
  while (reader->Read(&event) && !event.has_text()) {
  }
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return platforms_->Count("/chat/stop_stream") == stops + 1; }));
  EXPECT_TRUE(Eventually([&] { return platforms_->OpenConversations() == 0; }));
}

TEST_F(ProgramsTest, AKilledEdgeLeavesNothingBehind) {
  SimulatedPlatforms platforms;
  Programs programs(platforms);
  HttpProbe probe(programs.port());
  probe.Post("/v1/chat/completions", ChatBody("[[sim: chunks=2000 chunk_ms=20]]", R"(,"stream":true)"));
  ASSERT_TRUE(probe.ReadUntil("piece 1"));
  programs.edge().Signal(SIGKILL);
  EXPECT_TRUE(Eventually([&] { return platforms.OpenConversations() == 0; }));
  EXPECT_GE(platforms.Count("/chat/stop_stream"), 1);
}

TEST_F(ProgramsTest, AKilledProviderIsAnErrorEvent) {
  SimulatedPlatforms platforms;
  Programs programs(platforms);
  HttpProbe probe(programs.port());
  probe.Post("/v1/chat/completions", ChatBody("[[sim: chunks=2000 chunk_ms=20]]", R"(,"stream":true)"));
  ASSERT_TRUE(probe.ReadUntil("piece 1"));
  programs.provider("deepseek").Signal(SIGKILL);
  const Streamed answer = ReadStream(probe.Read());
  EXPECT_TRUE(answer.error.is_object()) << answer.body;
  EXPECT_FALSE(answer.done);
  const Whole next = Chat(programs.port(), "x");
  EXPECT_EQ(next.status, 503);
  EXPECT_EQ(next.error("code"), "no_backend");
  EXPECT_TRUE(next.headers.count("retry-after"));
}

// ---- flags and configuration

std::string WriteFile(const std::string& text) {
  const std::string path = absl::StrCat(FreshDirectory(), "/config.yaml");
  std::ofstream(path) << text;
  return path;
}

TEST(Flags, Help) {
  for (const std::string& program : AllPrograms()) {
    Process process({program, "--help"}, {});
    EXPECT_EQ(process.WaitExit(absl::Seconds(10)), 0) << program;
    for (const char* flag : {"--config", "--env-file", "--listen", "--check-config"})
      EXPECT_TRUE(absl::StrContains(process.output(), flag)) << program << flag;
  }
}

TEST(Flags, WrongOnes) {
  for (const std::string& program : AllPrograms()) {
    Process unknown({program, "--nonsense"}, {});
    EXPECT_EQ(unknown.WaitExit(absl::Seconds(10)), 2) << program;
    Process argument({program, "word"}, {});
    EXPECT_EQ(argument.WaitExit(absl::Seconds(10)), 2) << program;
    Process missing({program, "--config", "/nonexistent/config.yaml"}, {});
    EXPECT_EQ(missing.WaitExit(absl::Seconds(10)), 2) << program;
    EXPECT_TRUE(absl::StrContains(missing.output(), "/nonexistent/config.yaml")) << missing.output();
  }
}

TEST(Flags, BadConfigurationIsOneErrorWithEveryFault) {
  const std::string path = WriteFile(
      "server:\n  port: eighty\n  hots: \"x\"\nproviders:\n  deepseek:\n    max_in_flight_per_account: 0\n    "
      "base_url: \"ftp://x\"\n");
  for (const std::string& program : AllPrograms()) {
    Process process({program, "--config", path}, {{"SWITCHYARD_LOG__LEVEL", "loud"}});
    EXPECT_EQ(process.WaitExit(absl::Seconds(10)), 2);
    const std::string output = process.output();
    for (const char* fault : {":2: server.port", ":3: server.hots", ":6: providers.deepseek.max_in_flight_per_account",
                              ":7: providers.deepseek.base_url", "LOG__LEVEL"}) {
      EXPECT_TRUE(absl::StrContains(output, fault)) << fault << " not in\n" << output;
    }
  }
}

TEST(Flags, ConfigurationIsPrintedWithoutSecrets) {
  for (const std::string& program : AllPrograms()) {
    Process process({program, "--check-config"},
                    {{"DEEPSEEK_TOKEN", "sim-canary-token"}, {"SWITCHYARD_SESSION__STORE_KEY", std::string(64, 'c')}});
    EXPECT_EQ(process.WaitExit(absl::Seconds(10)), 0) << process.output();
    EXPECT_TRUE(absl::StrContains(process.output(), "base_url: \"https://chat.deepseek.com\"")) << process.output();
    EXPECT_FALSE(absl::StrContains(process.output(), "canary"));
    EXPECT_FALSE(absl::StrContains(process.output(), "cccc"));
  }
}

TEST(Flags, AnAddressThatOthersReachIsRefused) {
  for (const std::string& program : AllPrograms()) {
    Process process({program, "--listen", "0.0.0.0:0"}, {{"SWITCHYARD_STATE_DIR", FreshDirectory()}});
    const auto exit = process.WaitExit(absl::Seconds(10));
    ASSERT_TRUE(exit.has_value()) << program;
    EXPECT_NE(*exit, 0) << program;
  }
}

TEST(Flags, APortInUseIsSaid) {
  SimulatedPlatforms platforms;
  Process process({"deploy/all_in_one/switchyard", "--listen", absl::StrCat("127.0.0.1:", platforms.port())},
                  {{"SWITCHYARD_STATE_DIR", FreshDirectory()}, {"SWITCHYARD_CHAT__LISTEN", "127.0.0.1:0"}});
  EXPECT_EQ(process.WaitExit(absl::Seconds(10)), 1);
  EXPECT_TRUE(absl::StrContains(process.output(), absl::StrCat(platforms.port()))) << process.output();
}

TEST(Flags, TwoRelaysDoNotShareAState) {
  SimulatedPlatforms platforms;
  Relay relay(platforms);
  Variables variables = RelayVariables(platforms, relay.state_dir());
  Process second({"deploy/all_in_one/switchyard", "--listen", "127.0.0.1:0"}, variables);
  EXPECT_EQ(second.WaitExit(absl::Seconds(20)), 1);
}

}  // namespace
}  // namespace switchyard
