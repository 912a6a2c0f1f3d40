// What the programs tell about themselves: metrics and readiness on their admin ports.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "services/common/rpc/channel.h"
#include "tests/support/programs.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kAdmin[] = "serving metrics on http://127.0.0.1:";

std::string Metrics(Process& process) { return Fetch(process.PortAfter(kAdmin), "GET", "/metrics").body; }

/// Whether the metrics come to hold `sample`: what is counted at the end of a request is so a moment after its answer.
bool Shows(Process& process, const std::string& sample) {
  const int port = process.PortAfter(kAdmin);
  return Eventually([&] { return absl::StrContains(Fetch(port, "GET", "/metrics").body, sample); });
}

class ObserveTest : public ::testing::Test {
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

TEST_F(ObserveTest, ATurnIsSeenByEveryProgramItGoesThrough) {
  EXPECT_EQ(Stream(programs_->port(), "[[sim: text=Red,+green,+blue]]").text, "Red, green, blue");
  Process& edge = programs_->edge();
  EXPECT_TRUE(Shows(edge,
                    "switchyard_requests_total{api=\"chat/completions\",code=\"200\",model=\"deepseek-chat\","
                    "platform=\"deepseek\",reason=\"ok\"} 1\n"))
      << Metrics(edge);
  EXPECT_TRUE(
      Shows(edge, "switchyard_time_to_first_token_seconds_count{model=\"deepseek-chat\",platform=\"deepseek\"} 1"));
  EXPECT_THAT(Metrics(edge),
              HasSubstr("switchyard_time_between_chunks_seconds_bucket{platform=\"deepseek\",le=\"0.001\"}"));
  EXPECT_THAT(Metrics(edge), HasSubstr("switchyard_requests_in_flight 0"));
  EXPECT_THAT(Metrics(edge), HasSubstr("switchyard_build_info{program=\"switchyard-edge\""));

  Process& provider = programs_->provider("deepseek");
  EXPECT_TRUE(Shows(
      provider, "switchyard_turns_total{code=\"OK\",model=\"deepseek-chat\",platform=\"deepseek\",reason=\"ok\"} 1\n"))
      << Metrics(provider);
  EXPECT_THAT(Metrics(provider),
              HasSubstr("switchyard_turn_time_to_first_token_seconds_count{platform=\"deepseek\"} 1"));
  EXPECT_THAT(Metrics(provider), HasSubstr("switchyard_lease_wait_seconds_count{platform=\"deepseek\"} 1"));
  EXPECT_THAT(Metrics(provider), HasSubstr("switchyard_upstream_requests_total{code=\"2xx\",platform=\"deepseek\"}"));
  EXPECT_THAT(Metrics(provider), HasSubstr("switchyard_upstream_connects_total{outcome=\"ok\"} "));
  EXPECT_TRUE(Shows(provider, "switchyard_turns_in_flight{platform=\"deepseek\"} 0"));

  EXPECT_TRUE(Shows(programs_->signing(), "switchyard_sign_jobs_total{outcome=\"OK\",scheme=\"deepseek_pow\"} "));
  EXPECT_THAT(Metrics(programs_->signing()), HasSubstr("switchyard_proof_of_work_seconds_count "));
  EXPECT_THAT(Metrics(programs_->signing()), HasSubstr("switchyard_sign_queue_length 0"));

  EXPECT_TRUE(Shows(programs_->session(), "switchyard_leases_total{outcome=\"granted\",platform=\"deepseek\"} "));
  EXPECT_THAT(Metrics(programs_->session()),
              HasSubstr("switchyard_lease_queue_wait_seconds_count{platform=\"deepseek\"}"));
  EXPECT_THAT(Metrics(programs_->session()),
              HasSubstr("switchyard_account_state{account=\"deepseek\",platform=\"deepseek\",state=\"ready\"} 1"));
  EXPECT_TRUE(
      Shows(programs_->session(), "switchyard_account_in_flight{account=\"deepseek\",platform=\"deepseek\"} 0"));
  EXPECT_TRUE(Shows(programs_->session(), "switchyard_store_write_seconds_count "));
  EXPECT_THAT(Metrics(programs_->session()), HasSubstr("switchyard_store_write_failures_total 0"));
}

TEST_F(ObserveTest, AFailureIsCountedByItsReason) {
  EXPECT_EQ(Chat(programs_->port(), "x", "", "gpt-4").status, 404);
  EXPECT_TRUE(
      Shows(programs_->edge(),
            "switchyard_requests_total{api=\"chat/completions\",code=\"404\",model=\"other\",platform=\"other\","
            "reason=\"model_not_found\"} 1"));
  EXPECT_EQ(Chat(programs_->port(), "[[sim: fault=not_json]]").error("code"), "upstream_changed");
  EXPECT_TRUE(Shows(programs_->edge(),
                    "switchyard_requests_total{api=\"chat/completions\",code=\"502\",model=\"deepseek-chat\","
                    "platform=\"deepseek\",reason=\"upstream_changed\"} 1"));
  EXPECT_TRUE(Shows(programs_->provider("deepseek"),
                    "switchyard_turns_total{code=\"INTERNAL\",model=\"deepseek-chat\",platform=\"deepseek\","
                    "reason=\"upstream_changed\"} 1"));
  EXPECT_TRUE(Shows(programs_->provider("deepseek"), "switchyard_upstream_changed_total{platform=\"deepseek\"} 1"));
  EXPECT_EQ(Fetch(programs_->port(), "GET", "/nowhere").status, 404);
  EXPECT_TRUE(Shows(programs_->edge(),
                    "switchyard_requests_total{api=\"other\",code=\"404\",model=\"other\","
                    "platform=\"other\",reason=\"invalid_request\"} 1"));
}

// A line says what the metric says.
TEST_F(ObserveTest, WhatIsRefusedAndWhoLeavesIsToldAsItIsCounted) {
  Process& edge = programs_->edge();
  const auto refused = [](const std::string& path, int status) {
    return absl::StrCat("\"path\":\"", path, "\",\"model\":\"\",\"platform\":\"\",\"status\":", status,
                        ",\"code\":\"INVALID_ARGUMENT\",\"reason\":\"invalid_request\"");
  };
  EXPECT_EQ(Fetch(programs_->port(), "GET", "/nothing-there").status, 404);
  EXPECT_TRUE(edge.WaitForOutput(refused("/nothing-there", 404)));
  EXPECT_EQ(Fetch(programs_->port(), "POST", "/healthz", "{}").status, 405);
  EXPECT_TRUE(edge.WaitForOutput(refused("/healthz", 405)));
  EXPECT_TRUE(Shows(edge,
                    "switchyard_requests_total{api=\"other\",code=\"405\",model=\"other\",platform=\"other\","
                    "reason=\"invalid_request\"} 1"));
  EXPECT_EQ(Fetch(programs_->port(), "POST", "/v1/responses", "{}", {{"Content-Type", "text/plain"}}).status, 415);
  EXPECT_TRUE(edge.WaitForOutput(refused("/v1/responses", 415)));

  HttpProbe body(programs_->port());
  body.Send("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
  body.Close();
  EXPECT_TRUE(
      edge.WaitForOutput("\"path\":\"/v1/messages\",\"model\":\"\",\"platform\":\"\",\"status\":0,"
                         "\"code\":\"CANCELLED\",\"reason\":\"cancelled\",\"refused\":\"The client left"));
  EXPECT_TRUE(Shows(edge,
                    "switchyard_requests_total{api=\"messages\",code=\"499\",model=\"other\",platform=\"other\","
                    "reason=\"cancelled\"} 1"));
  EXPECT_TRUE(Shows(edge, "switchyard_clients_gone_total{api=\"messages\"} 1"));

  HttpProbe stream(programs_->port());
  stream.Post("/v1/chat/completions", ChatBody("[[sim: chunks=2000 chunk_ms=20]]", R"(,"stream":true)"));
  ASSERT_TRUE(stream.ReadUntil("piece 1"));
  stream.Close();
  EXPECT_TRUE(edge.WaitForOutput("\"status\":200,\"code\":\"CANCELLED\",\"reason\":\"cancelled\""));
}

TEST_F(ObserveTest, EveryProgramIsReadyUntilItDrains) {
  auto edge = programs_->Edge({{"SWITCHYARD_SERVER__DRAIN_DELAY", "60s"}});
  const int admin = edge->PortAfter(kAdmin);
  EXPECT_EQ(Fetch(admin, "GET", "/healthz").status, 200);
  EXPECT_EQ(Fetch(admin, "GET", "/readyz").status, 200);
  edge->Signal(SIGTERM);
  EXPECT_TRUE(Eventually([&] { return Fetch(admin, "GET", "/readyz").status == 503; }));
  EXPECT_EQ(Fetch(admin, "GET", "/healthz").status, 200);
  for (Process* process : {&programs_->session(), &programs_->signing(), &programs_->provider("zhipu")})
    EXPECT_EQ(Fetch(process->PortAfter(kAdmin), "GET", "/readyz").status, 200);
}

TEST_F(ObserveTest, AnAdminPortThatIsTaken) {
  const int taken = programs_->edge().PortAfter(kAdmin);
  auto second = programs_->Edge({{"SWITCHYARD_ADMIN__LISTEN", absl::StrCat("127.0.0.1:", taken)}});
  EXPECT_EQ(second->WaitExit(absl::Seconds(20)), 1);
  EXPECT_THAT(second->output(), HasSubstr(absl::StrCat("admin.listen: port ", taken)));
  auto without = programs_->Edge({{"SWITCHYARD_ADMIN__LISTEN", "off"}});
  without->PortAfter("serving HTTP on http://127.0.0.1:");
  EXPECT_THAT(without->output(), Not(HasSubstr(kAdmin)));
}

/// Calls a method that takes and gives one message, by name alone.
grpc::Status Call(int port, const std::string& method, const std::string& request, std::string& response) {
  grpc::GenericStub stub(MakeChannel(absl::StrCat("127.0.0.1:", port)));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  const grpc::Slice slice(request);
  const grpc::ByteBuffer in(&slice, 1);
  grpc::ByteBuffer out;
  grpc::Status status;
  absl::Notification done;
  stub.UnaryCall(&context, method, grpc::StubOptions(), &in, &out, [&](grpc::Status ended) {
    status = std::move(ended);
    done.Notify();
  });
  done.WaitForNotification();
  std::vector<grpc::Slice> slices;
  if (status.ok() && out.Dump(&slices).ok()) {
    for (const grpc::Slice& one : slices) response.append(reinterpret_cast<const char*>(one.begin()), one.size());
  }
  return status;
}

constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
constexpr char kChannelz[] = "/grpc.channelz.v1.Channelz/GetServers";
const std::string kListServices("\x3a\x00", 2);  // ServerReflectionRequest{list_services: ""}

TEST_F(ObserveTest, GrpcsOwnToolsAreOffUnlessAskedFor) {
  std::string response;
  EXPECT_EQ(Call(programs_->signing_port(), kReflection, kListServices, response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(Call(programs_->signing_port(), kChannelz, "", response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST(Observe, GrpcsOwnToolsByFlag) {
  Process signing({"services/signing/switchyard-signing", "--env-file", "/dev/null", "--listen", "127.0.0.1:0"},
                  {{"SWITCHYARD_GRPC__REFLECTION", "true"}, {"SWITCHYARD_GRPC__CHANNELZ", "true"}});
  const int port = signing.PortAfter("serving gRPC on 127.0.0.1:");
  std::string services, servers;
  EXPECT_TRUE(Call(port, kReflection, kListServices, services).ok());
  EXPECT_THAT(services, HasSubstr("switchyard.signing.v1.SigningService"));
  EXPECT_TRUE(Call(port, kChannelz, "", servers).ok());
  EXPECT_NE(servers, "");
}

TEST(Observe, LogsThatNobodyReadsStopNothing) {
  SimulatedPlatforms platforms;
  const std::string pipe = FreshDirectory() + "/log";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int unread = open(pipe.c_str(), O_RDONLY | O_NONBLOCK);  // open, and never read
  ASSERT_GE(unread, 0);
  fcntl(unread, F_SETPIPE_SZ, 4096);
  Variables variables = RelayVariables(platforms, FreshDirectory());
  Process relay({"/bin/sh", "-c",
                 absl::StrCat("exec deploy/all_in_one/switchyard --listen 127.0.0.1:0 --env-file /dev/null 2> ", pipe)},
                variables);
  const int port = relay.PortAfter("serving HTTP on http://127.0.0.1:");
  // More lines than the queue holds.
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
  requests += "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (int i = 0; i < 20; ++i) {
    HttpProbe probe(port);
    probe.Send(requests);
    ASSERT_TRUE(probe.ReadUntil("{\"status\":\"ok\"}")) << i;
  }
  const std::string metrics = Metrics(relay);
  EXPECT_THAT(metrics, ::testing::ContainsRegex("\nswitchyard_log_lines_dropped_total [1-9]")) << metrics;
  EXPECT_EQ(Chat(port, "[[sim: text=Red]]").text(), "Red");
  relay.Signal(SIGTERM);
  EXPECT_EQ(relay.WaitExit(absl::Seconds(20)), 0);
  close(unread);
}

TEST(Observe, TheAllInOneShowsAllOfIt) {
  SimulatedPlatforms platforms;
  Relay relay(platforms);
  EXPECT_EQ(Stream(relay.port(), "[[sim: text=Red]]").text, "Red");
  for (const char* name : {"switchyard_requests_total{", "switchyard_turns_total{", "switchyard_sign_jobs_total{",
                           "switchyard_leases_total{", "switchyard_account_state{"})
    EXPECT_TRUE(Shows(relay.process(), name)) << name;
}

}  // namespace
}  // namespace switchyard
