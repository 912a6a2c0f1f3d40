#include "deploy/all_in_one/health_command.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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

TEST(HealthCommand, AsksTheAdminPortOfARelayThatSpeaksHttps) {
  const SimulatedPlatforms platforms;
  Relay relay(platforms);
  const std::string admin = absl::StrCat(relay.process().PortAfter("serving metrics on http://127.0.0.1:"));
  Variables variables = {{"SWITCHYARD_SERVER__TLS__CERTIFICATE", "tls.crt"},
                         {"SWITCHYARD_SERVER__TLS__KEY", "tls.key"},
                         {"SWITCHYARD_ADMIN__LISTEN", absl::StrCat("0.0.0.0:", admin)}};
  std::string said;
  EXPECT_EQ(Health({}, variables, said), 0) << said;
  variables["SWITCHYARD_ADMIN__LISTEN"] = "off";
  EXPECT_EQ(Health({}, variables, said), 2) << said;
  EXPECT_TRUE(absl::StrContains(said, "admin.listen is off")) << said;
}

/// A port whose connections are taken and never answered.
class Silence {
 public:
  Silence() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Silence() { close(socket_); }
  int port() const { return port_; }

 private:
  const int socket_;
  int port_ = 0;
};

// What holds for every command, seen of the one that can be made to wait before it has done anything else.
TEST(HealthCommand, ACrashWouldLeaveNoCore) {
  const Silence silence;
  Process health({"deploy/all_in_one/switchyard", "health", "--env-file", "/dev/null"},
                 {{"SWITCHYARD_SERVER__PORT", absl::StrCat(silence.port())}});
  bool running = true;
  EXPECT_TRUE(Eventually([&] {
    std::ifstream limits(absl::StrCat("/proc/", health.pid(), "/limits"));
    running = running && health.running();
    for (std::string line; std::getline(limits, line);) {
      const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (absl::StartsWith(line, "Max core file size") && words[4] == "0" && words[5] == "0") return true;
    }
    return !running;
  })) << "a core holds tokens";
  EXPECT_TRUE(running) << health.output();
}

TEST(HealthCommand, AddressesAreThoseOfThisMachine) {
  const auto url = [](const std::string& host, uint16_t port) {
    Config config;
    config.server.host = host;
    config.server.port = port;
    return ReadinessUrl(config).value_or("");
  };
  EXPECT_EQ(url("127.0.0.1", 8000), "http://127.0.0.1:8000/readyz");
  EXPECT_EQ(url("0.0.0.0", 8000), "http://127.0.0.1:8000/readyz");
  EXPECT_EQ(url("::", 1), "http://[::1]:1/readyz");
  EXPECT_EQ(url("10.0.0.7", 1), "http://10.0.0.7:1/readyz");
}

TEST(HealthCommand, TheAdminPortIsWhereItsSettingSays) {
  const auto url = [](const std::string& listen) {
    Config config;
    config.server.tls = {.certificate = "tls.crt", .key = "tls.key"};
    config.admin.listen = listen;
    return ReadinessUrl(config);
  };
  EXPECT_EQ(url("").value_or(""), "http://127.0.0.1:9090/readyz");
  EXPECT_EQ(url("127.0.0.1:9464").value_or(""), "http://127.0.0.1:9464/readyz");
  EXPECT_EQ(url("0.0.0.0:9090").value_or(""), "http://127.0.0.1:9090/readyz");
  EXPECT_EQ(url("[::]:9091").value_or(""), "http://[::1]:9091/readyz");
  EXPECT_EQ(url("10.0.0.7:9090").value_or(""), "http://10.0.0.7:9090/readyz");
  for (const char* nowhere : {"off", "127.0.0.1:0"})
    EXPECT_EQ(url(nowhere).status().code(), absl::StatusCode::kFailedPrecondition) << nowhere;
}

}  // namespace
}  // namespace switchyard
