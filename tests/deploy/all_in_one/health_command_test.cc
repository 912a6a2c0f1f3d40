#include "deploy/all_in_one/health_command.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/process.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

/// Its exit status, and in `said` its words.
int Health(const std::vector<std::string>& flags, const Variables& variables, std::string& said) {
  std::vector<std::string> command = {"deploy/all_in_one/switchyard", "health", "--env-file", "/dev/null"};
  command.insert(command.end(), flags.begin(), flags.end());
  Process health(command, variables);
  const auto status = health.WaitExit(absl::Seconds(20));
  said = health.output();
  return status.value_or(-1);
}

TEST(HealthCommand, AsksTheRelayThatRuns) {
  const SimulatedPlatforms platforms;
  Relay relay(platforms);
  const std::string port = absl::StrCat(relay.port());
  std::string said;
  EXPECT_EQ(Health({}, {{"SWITCHYARD_SERVER__PORT", port}}, said), 0) << said;
  EXPECT_EQ(said, "ready\n");
  // Not by its name alone: as one that serves every address.
  EXPECT_EQ(Health({}, {{"SWITCHYARD_SERVER__PORT", port}, {"SWITCHYARD_SERVER__HOST", "0.0.0.0"}}, said), 0) << said;
  relay.process().Signal(SIGTERM);
  ASSERT_EQ(relay.process().WaitExit(absl::Seconds(20)), 0);
  EXPECT_EQ(Health({}, {{"SWITCHYARD_SERVER__PORT", port}}, said), 1);
  EXPECT_TRUE(absl::StrContains(said, absl::StrCat("http://127.0.0.1:", port, "/readyz"))) << said;
}

TEST(HealthCommand, RefusesWhatItDoesNotKnow) {
  std::string said;
  EXPECT_EQ(Health({"--verbose"}, {}, said), 2);
  EXPECT_EQ(Health({"now"}, {}, said), 2);
  EXPECT_TRUE(absl::StrContains(said, "'now'")) << said;
  EXPECT_EQ(Health({"--config", "/nowhere.yaml"}, {}, said), 2);
  EXPECT_EQ(Health({"--help"}, {}, said), 0);
}

TEST(HealthCommand, AddressesAreThoseOfThisMachine) {
  const auto url = [](const std::string& host, uint16_t port) {
    ServerConfig server;
    server.host = host;
    server.port = port;
    return ReadinessUrl(server);
  };
  EXPECT_EQ(url("127.0.0.1", 8000), "http://127.0.0.1:8000/readyz");
  EXPECT_EQ(url("0.0.0.0", 8000), "http://127.0.0.1:8000/readyz");
  EXPECT_EQ(url("::", 1), "http://[::1]:1/readyz");
  EXPECT_EQ(url("10.0.0.7", 1), "http://10.0.0.7:1/readyz");
  ServerConfig https;
  https.tls = {.certificate = "tls.crt", .key = "tls.key"};
  EXPECT_EQ(ReadinessUrl(https), "http://127.0.0.1:9090/readyz");
}

}  // namespace
}  // namespace switchyard
