// The account doctor, as its user runs it: beside a relay and alone.
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

struct Told {
  int status = -1;
  std::string output;
  /// The line of an account; "" if there is none.
  std::string Line(const std::string& label) const {
    for (size_t from = 0; from < output.size();) {
      const size_t to = output.find('\n', from);
      const std::string line = output.substr(from, to - from);
      if (absl::StrContains(line, absl::StrCat(" ", label, " "))) return line;
      if (to == std::string::npos) break;
      from = to + 1;
    }
    return "";
  }
};

Told Doctor(Variables variables) {
  std::erase_if(variables, [](const auto& variable) { return variable.second.empty(); });
  Process process({"deploy/all_in_one/switchyard", "accounts", "--env-file", "/dev/null"}, variables);
  Told told;
  told.status = process.WaitExit(absl::Seconds(60)).value_or(-1);
  told.output = process.output();
  return told;
}

TEST(AccountsCommand, EveryPlatformsAccountIsWell) {
  SimulatedPlatforms platforms;
  const Told told = Doctor(RelayVariables(platforms, FreshDirectory()));
  EXPECT_EQ(told.status, 0) << told.output;
  for (const auto& [variable, credential] : platforms.Credentials()) {
    std::string platform = variable.substr(0, variable.find('_'));
    for (char& c : platform) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    EXPECT_TRUE(absl::StrContains(told.Line(platform), " ok")) << platform << "\n" << told.output;
    EXPECT_FALSE(absl::StrContains(told.output, credential)) << "a credential is shown";
  }
}

TEST(AccountsCommand, WhatIsWrongIsSaid) {
  SimulatedPlatforms platforms;
  Variables variables = RelayVariables(platforms, FreshDirectory());
  variables["DEEPSEEK_TOKEN_2"] = "two words";
  variables["DEEPSEEK_TOKEN_3"] = "unknown-token-that-nobody-issued";
  variables["DEEPSEEK_TOKEN_4"] = "Bearer sim-four";
  const Told told = Doctor(variables);
  EXPECT_EQ(told.status, 1);
  EXPECT_TRUE(absl::StrContains(told.Line("deepseek"), " ok")) << told.output;
  EXPECT_TRUE(absl::StrContains(told.Line("deepseek-2"), "wrong form")) << told.output;
  EXPECT_TRUE(absl::StrContains(told.Line("deepseek-3"), "expired")) << told.output;
  EXPECT_TRUE(absl::StrContains(told.Line("deepseek-4"), " ok")) << told.output;
  EXPECT_TRUE(absl::StrContains(told.Line("deepseek-4"), "Bearer")) << told.output;
  EXPECT_FALSE(absl::StrContains(told.output, "nobody-issued"));
}

TEST(AccountsCommand, APlatformThatIsNotThere) {
  SimulatedPlatforms platforms;
  Variables variables = RelayVariables(platforms, FreshDirectory());
  variables["SWITCHYARD_PROVIDERS__DEEPSEEK__BASE_URL"] = "http://127.0.0.1:1";
  const Told told = Doctor(variables);
  EXPECT_EQ(told.status, 1);
  EXPECT_TRUE(absl::StrContains(told.Line("deepseek"), "not reached")) << told.output;
}

TEST(AccountsCommand, AsksTheRelayThatRuns) {
  SimulatedPlatforms platforms;
  std::string state = "/tmp/switchyard-XXXXXX";  // a socket's path has about a hundred characters at most
  ASSERT_NE(mkdtemp(state.data()), nullptr);
  Relay relay(platforms, {}, state);
  const Told told = Doctor(RelayVariables(platforms, state));
  EXPECT_EQ(told.status, 0) << told.output;
  EXPECT_TRUE(absl::StrContains(told.output, "Asked the relay that is running")) << told.output;
}

TEST(AccountsCommand, ASessionElsewhereIsNotReplacedByAStoreOfThisMachine) {
  SimulatedPlatforms platforms;
  Relay other(platforms);
  // It speaks gRPC and has no session service, so it refuses at once.
  const std::string target = absl::StrCat("127.0.0.1:", other.grpc_port());
  const std::string state = FreshDirectory();
  Variables variables = RelayVariables(platforms, state);
  variables["SWITCHYARD_SESSION__TARGET"] = target;
  const Told told = Doctor(variables);
  EXPECT_EQ(told.status, 1);
  EXPECT_TRUE(absl::StrContains(told.output, absl::StrCat("session.target: ", target, ": UNIMPLEMENTED: ")))
      << told.output;
  EXPECT_EQ(told.Line("deepseek"), "");
  EXPECT_TRUE(std::filesystem::is_empty(state)) << "a store was opened";
}

TEST(AccountsCommand, NoAccountAndBadFlags) {
  EXPECT_EQ(Doctor({{"SWITCHYARD_STATE_DIR", FreshDirectory()}}).status, 1);
  Process wrong({"deploy/all_in_one/switchyard", "accounts", "--nonsense"}, {});
  EXPECT_EQ(wrong.WaitExit(absl::Seconds(10)), 2);
  Process help({"deploy/all_in_one/switchyard", "accounts", "--help"}, {});
  EXPECT_EQ(help.WaitExit(absl::Seconds(10)), 0);
  EXPECT_TRUE(absl::StrContains(help.output(), "--env-file"));
}

}  // namespace
}  // namespace switchyard
