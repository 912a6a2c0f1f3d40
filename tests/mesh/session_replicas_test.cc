// Two session programs over one etcd, a provider that finds both, and what is left of the streams when one of them
// goes.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/certificates.h"
#include "tests/support/etcd.h"
#include "tests/support/process.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

constexpr int kAccounts = 6;

class SessionReplicas : public ::testing::Test {
 protected:
  SessionReplicas() {
    common_ = RelayVariables(platforms_, directory_);
    for (int i = 2; i <= kAccounts; ++i)
      common_[absl::StrCat("DEEPSEEK_TOKEN_", i)] = absl::StrCat("sim-canary-token-", i);
    common_["SWITCHYARD_SESSION__STORE"] = etcd_.Url("mesh");
    common_["SWITCHYARD_SESSION__STORE_KEY"] = std::string(64, 'c');
    common_["SWITCHYARD_PROVIDERS__DEEPSEEK__QUEUE_DEPTH"] = "20";
    signing_ = Start("services/signing/switchyard-signing");
    common_["SWITCHYARD_SIGNING__TARGET"] = At(*signing_);
    common_["SWITCHYARD_SESSION__LISTEN"] = "127.0.0.1:0";
    for (auto& session : sessions_) session = Start("services/session/switchyard-session");
    common_["SWITCHYARD_SESSION__TARGET"] = absl::StrCat("ipv4:", At(*sessions_[0]), ",", At(*sessions_[1]));
    provider_ = Start("services/deepseek/switchyard-deepseek");
    common_["SWITCHYARD_PROVIDERS__DEEPSEEK__BACKEND"] = At(*provider_);
    edge_ = Start("edge/switchyard-edge");
    port_ = edge_->PortAfter("serving HTTP on http://127.0.0.1:");
  }
  ~SessionReplicas() override {
    edge_.reset();
    provider_.reset();
    for (auto& session : sessions_) session.reset();
    signing_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::unique_ptr<Process> Start(const std::string& program) {
    const std::string name = program.substr(program.rfind('/') + 1);
    const std::string files = absl::StrCat(directory_, "/", name);
    const auto pem = authority_.Issue(absl::StrCat("DNS:localhost,IP:127.0.0.1,URI:spiffe://test/", name));
    std::ofstream(files + ".crt") << pem.certificate;
    std::ofstream(files + ".key") << pem.key;
    std::ofstream(files + ".ca") << authority_.certificate();
    Variables variables = common_;
    variables["SWITCHYARD_TLS__CERTIFICATE"] = files + ".crt";
    variables["SWITCHYARD_TLS__KEY"] = files + ".key";
    variables["SWITCHYARD_TLS__AUTHORITY"] = files + ".ca";
    std::vector<std::string> command = {program, "--env-file", "/dev/null"};
    if (!absl::StrContains(program, "session")) command.insert(command.end(), {"--listen", "127.0.0.1:0"});
    return std::make_unique<Process>(command, variables);
  }
  static std::string At(Process& process) {
    return absl::StrCat("127.0.0.1:", process.PortAfter("serving gRPC on 127.0.0.1:"));
  }

  std::unique_ptr<HttpProbe> Ask(const std::string& script) {
    auto probe = std::make_unique<HttpProbe>(port_);
    probe->Post("/v1/chat/completions", ChatBody(absl::StrCat("[[sim: ", script, "]]"), R"(,"stream":true)"));
    return probe;
  }
  std::vector<std::unique_ptr<HttpProbe>> AskAll(const std::string& script, int count = kAccounts) {
    std::vector<std::unique_ptr<HttpProbe>> probes;
    for (int i = 0; i < count; ++i) probes.push_back(Ask(script));
    return probes;
  }
  void ExpectClean() {
    EXPECT_TRUE(Eventually([&] { return platforms_.OpenConversations() == 0; })) << "conversations were left over";
    EXPECT_EQ(platforms_.Count("max_running"), 1) << "an account was in flight twice";
    EXPECT_EQ(platforms_.Violations(), "");
  }
  static int CountOf(const std::string& text, const std::string& part) {
    int count = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
  }

  const std::string directory_ = FreshDirectory();
  const TestAuthority authority_;
  SimulatedPlatforms platforms_;
  EtcdCluster etcd_;
  Variables common_;
  std::unique_ptr<Process> signing_, sessions_[2], provider_, edge_;
  int port_ = 0;
};

TEST_F(SessionReplicas, KilledOneTakesNoStreamWithIt) {
  auto streams = AskAll("chunks=150 chunk_ms=30");
  for (auto& stream : streams) ASSERT_TRUE(stream->ReadUntil("piece 1"));
  // And as many that wait for their turn, at either.
  auto waiting = AskAll("text=Later");
  sessions_[0]->Signal(SIGKILL);
  for (auto& stream : streams) {
    const Streamed answer = ReadStream(stream->Read());
    EXPECT_TRUE(answer.done) << answer.body;
  }
  for (auto& probe : waiting) EXPECT_EQ(ReadStream(probe->Read()).text, "Later");
  EXPECT_GT(CountOf(provider_->output(), "lease_resumed"), 0) << "the killed one held none: nothing was shown";
  EXPECT_EQ(CountOf(provider_->output(), "lease_lost"), 0);
  ExpectClean();
}

TEST_F(SessionReplicas, StoppedForGoodByATermItHandsItsLeasesOver) {
  auto streams = AskAll("chunks=150 chunk_ms=30");
  for (auto& stream : streams) ASSERT_TRUE(stream->ReadUntil("piece 1"));
  sessions_[1]->Signal(SIGTERM);
  EXPECT_EQ(sessions_[1]->WaitExit(absl::Seconds(20)), 0);
  for (auto& stream : streams) {
    const Streamed answer = ReadStream(stream->Read());
    EXPECT_TRUE(answer.done) << answer.body;
  }
  EXPECT_GT(CountOf(provider_->output(), "lease_resumed"), 0);
  ExpectClean();
}

TEST_F(SessionReplicas, FrozenForLongerThanItsLeaseItHoldsNothingAnyMore) {
  auto streams = AskAll("chunks=500 chunk_ms=30");
  for (auto& stream : streams) ASSERT_TRUE(stream->ReadUntil("piece 1"));
  sessions_[0]->Signal(SIGSTOP);
  EXPECT_TRUE(Eventually([&] { return etcd_.Control("get --prefix --keys-only /mesh/replicas").size() < 40; }))
      << "its lease did not end";
  sessions_[0]->Signal(SIGCONT);
  EXPECT_TRUE(sessions_[0]->WaitForOutput("store_contact_back"));
  for (auto& stream : streams) {
    const Streamed answer = ReadStream(stream->Read());
    EXPECT_TRUE(answer.done) << answer.body;
  }
  for (auto& probe : AskAll("text=Fine")) EXPECT_EQ(ReadStream(probe->Read()).text, "Fine");
  ExpectClean();
}

/// A session program alone, whose store is not there.
class WithoutStore : public ::testing::Test {
 protected:
  WithoutStore() {
    etcd_.Kill(0);
    Variables variables;
    variables["SWITCHYARD_STATE_DIR"] = directory_;
    variables["SWITCHYARD_SESSION__STORE"] = etcd_.Url("mesh");
    variables["SWITCHYARD_SESSION__STORE_KEY"] = std::string(64, 'c');
    variables["SWITCHYARD_SESSION__LISTEN"] = "127.0.0.1:0";
    variables["SWITCHYARD_ADMIN__LISTEN"] = "127.0.0.1:0";
    session_ = std::make_unique<Process>(
        std::vector<std::string>{"services/session/switchyard-session", "--env-file", "/dev/null"}, variables);
    EXPECT_TRUE(session_->WaitForOutput("store_not_there"));
  }
  ~WithoutStore() override {
    session_.reset();
    std::filesystem::remove_all(directory_);
  }

  const std::string directory_ = FreshDirectory();
  EtcdCluster etcd_;
  std::unique_ptr<Process> session_;
};

TEST_F(WithoutStore, ItWaitsAndServesOnceItIsThere) {
  etcd_.Start(0);
  EXPECT_TRUE(session_->WaitForOutput("serving gRPC on "));
}

TEST_F(WithoutStore, ATermEndsTheWaitAtOnce) {
  const auto begun = std::chrono::steady_clock::now();
  session_->Signal(SIGTERM);
  EXPECT_EQ(session_->WaitExit(absl::Seconds(10)), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
}

}  // namespace
}  // namespace switchyard
