#include "services/common/config/config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/files.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

class ConfigTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(directory_, "/", name);
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  absl::StatusOr<Config> Load(const std::string& yaml, const std::string& env = "", Environment environment = {}) {
    environment.emplace("HOME", "/home/x");
    return LoadConfig({.file = Write("config.yaml", yaml), .env_file = Write(".env", env)}, environment);
  }
  std::string directory_ = FreshDirectory();
};

TEST_F(ConfigTest, TheShapeThatUsersKnow) {
  const auto config = Load(
      "server:\n  host: \"127.0.0.1\"\n  port: 8000\nproviders:\n  deepseek:\n    base_url: "
      "\"https://chat.deepseek.com/\"\n    enabled: true\n    max_in_flight_per_account: 3\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server.port, 8000);
  EXPECT_EQ(config->providers.at("deepseek").base_url, "https://chat.deepseek.com");
  EXPECT_EQ(config->providers.at("deepseek").max_in_flight_per_account, 3);
}

TEST_F(ConfigTest, EnvironmentBeatsEnvFileBeatsFile) {
  const std::string yaml = "server:\n  port: 1\nthreads: 1\nlog:\n  level: debug\n";
  const std::string env = "SWITCHYARD_SERVER__PORT=2\nSWITCHYARD_THREADS=2\nDEEPSEEK_TOKEN=from-file\n";
  const auto config = Load(yaml, env, {{"SWITCHYARD_SERVER__PORT", "3"}, {"DEEPSEEK_TOKEN", "from-environment"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server.port, 3);
  EXPECT_EQ(config->threads, 2);
  EXPECT_EQ(config->log_level, "debug");
  ASSERT_EQ(config->accounts.size(), 1u);
  EXPECT_EQ(config->accounts[0].credential.Reveal(), "from-environment");
}

TEST_F(ConfigTest, EveryFaultIsToldWithItsLine) {
  const auto config = Load(
      "server:\n  port: eighty\n  prot: 1\n  host: \"a\"\n  host: \"b\"\nproviders:\n  deepsek:\n    enabled: true\n  "
      "deepseek:\n    enabled: maybe\n    spacing: -1s\n    base_url: ftp://x\n"
      "    options:\n      max_continuations: 99\n"
      "  kimi:\n    options:\n      transport: pigeon\n      websocket_path: guess\nlog: 3\n",
      "BROKEN\nSWITCHYARD_THREADS=many\n", {{"SWITCHYARD_LOG__LEVEL", "loud"}, {"SWITCHYARD_NONSENSE", "1"}});
  ASSERT_FALSE(config.ok());
  const std::string all(config.status().message());
  for (const char* fault :
       {"config.yaml:2: server.port: must be a whole number",
        "config.yaml:3: server.prot: there is no such setting; did you mean server.port?",
        "config.yaml:5: server.host: is already set on line 4", "config.yaml:7: providers.deepsek",
        "config.yaml:10: providers.deepseek.enabled: must be true or false",
        "config.yaml:11: providers.deepseek.spacing", "config.yaml:12: providers.deepseek.base_url",
        "config.yaml:14: providers.deepseek.options.max_continuations",
        "config.yaml:17: providers.kimi.options.transport", "config.yaml:18: providers.kimi.options.websocket_path",
        "config.yaml:19: log", ".env:1:", ".env:2:", "SWITCHYARD_LOG__LEVEL", "SWITCHYARD_NONSENSE"}) {
    EXPECT_TRUE(absl::StrContains(all, fault)) << fault << "\nnot in\n" << all;
  }
}

TEST_F(ConfigTest, WhatIsNoConfigurationAtAll) {
  for (const char* text : {"- a\n- b\n", "just text", "a: [1\n", "\t: x"}) {
    const auto config = Load(text);
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_TRUE(absl::StrContains(config.status().message(), "config.yaml:")) << config.status();
  }
  EXPECT_TRUE(Load("").ok());
  EXPECT_FALSE(LoadConfig({.file = directory_}, {{"HOME", "/x"}}).ok());
  EXPECT_FALSE(LoadConfig({.file = "/nonexistent/config.yaml"}, {{"HOME", "/x"}}).ok());
  EXPECT_TRUE(LoadConfig({.file = "/nonexistent/config.yaml", .file_optional = true}, {{"HOME", "/x"}}).ok());
  const auto no_env = LoadConfig({.env_file = "/nonexistent/.env"}, {{"HOME", "/x"}});
  EXPECT_TRUE(absl::StrContains(no_env.status().message(), "/nonexistent/.env: there is no such file"))
      << no_env.status();
  EXPECT_TRUE(LoadConfig({.env_file = "/nonexistent/.env", .env_file_optional = true}, {{"HOME", "/x"}}).ok());
}

TEST_F(ConfigTest, WithCertificatesGrpcMayLeaveTheMachine) {
  const std::string addresses =
      "session:\n  listen: 0.0.0.0:8012\n  target: dns:///switchyard-session:8012\n"
      "providers:\n  qwen:\n    backend: dns:///switchyard-qwen:8025\n";
  const std::string certificates =
      "tls:\n  certificate: a\n  key: b\n  authority: c\n  chat_callers: [billing, other]\n";
  const auto config = Load(addresses + certificates);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->session.listen, "0.0.0.0:8012");
  EXPECT_EQ(config->providers.at("qwen").backend, "dns:///switchyard-qwen:8025");
  EXPECT_EQ(config->tls.chat_callers, (std::vector<std::string>{"billing", "other"}));
  // Wherever the certificates are named.
  EXPECT_TRUE(
      Load(addresses, "SWITCHYARD_TLS__CERTIFICATE=a\nSWITCHYARD_TLS__KEY=b\nSWITCHYARD_TLS__AUTHORITY=c\n").ok());
  const auto clear = Load(addresses);
  for (const char* fault : {"config.yaml:2: session.listen: must be a loopback address",
                            "config.yaml:3: session.target", "config.yaml:6: providers.qwen.backend"}) {
    EXPECT_TRUE(absl::StrContains(clear.status().message(), fault)) << clear.status();
  }
  EXPECT_TRUE(
      absl::StrContains(Load("tls:\n  certificate: a\n").status().message(), "needs certificate, key and authority"));
  EXPECT_FALSE(Load("session:\n  listen: nowhere\n" + certificates).ok());
}

TEST_F(ConfigTest, TheStoreIsAFileOrEtcd) {
  for (const char* good : {"/var/lib/session.db", "session.db", "etcd://a:2379",
                           "etcd://10.0.0.1:2379,b:2379/prefix/two", "etcds://a:1/x"}) {
    const auto config = Load(absl::StrCat("session:\n  store: \"", good, "\"\n"));
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->StorePath(), good);
    EXPECT_TRUE(absl::StrContains(RedactedConfig(*config), good));
  }
  for (const char* bad : {"etcd://", "etcd://a", "etcd://a:0", "etcd://a:2379,", "etcd://user@a:2379",
                          "etcd://a:2379/x/", "http://a:2379", "etcd://a:2379//x"}) {
    const auto config = Load(absl::StrCat("session:\n  store: \"", bad, "\"\n"));
    EXPECT_TRUE(absl::StrContains(config.status().message(), "config.yaml:2: session.store: must be")) << bad;
  }
  EXPECT_TRUE(Load("session:\n  etcd_ca: a\n  etcd_certificate: b\n  etcd_key: c\n").ok());
  EXPECT_TRUE(absl::StrContains(Load("session:\n  etcd_key: c\n").status().message(), "needs etcd_certificate"));
}

TEST_F(ConfigTest, AccountsAreTakenVerbatim) {
  const auto config = Load("",
                           "\xEF\xBB\xBF# comment\r\nDEEPSEEK_TOKEN=a=b$HOME#c\r\n\r\nDEEPSEEK_TOKEN_2=\"quoted "
                           "value\"\nDEEPSEEK_TOKEN_10='x'\nDEEPSEEK_TOKEN_3=\n");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->accounts.size(), 3u);
  EXPECT_EQ(config->accounts[0].label, "deepseek");
  EXPECT_EQ(config->accounts[0].credential.Reveal(), "a=b$HOME#c");
  EXPECT_EQ(config->accounts[1].label, "deepseek-2");
  EXPECT_EQ(config->accounts[1].credential.Reveal(), "quoted value");
  EXPECT_EQ(config->accounts[2].label, "deepseek-10");
}

TEST_F(ConfigTest, NoSecretIsEverQuoted) {
  const auto faulty =
      Load("session:\n  store_key: canary-key\n", "canary-without-equals\nDEEPSEEK_TOKEN=canary-token\n");
  ASSERT_FALSE(faulty.ok());
  EXPECT_FALSE(absl::StrContains(faulty.status().message(), "canary")) << faulty.status();
  const auto good =
      Load(absl::StrCat("session:\n  store_key: ", std::string(64, 'c'), "\n"), "DEEPSEEK_TOKEN=canary-token\n");
  ASSERT_TRUE(good.ok()) << good.status();
  const std::string shown = RedactedConfig(*good);
  EXPECT_FALSE(absl::StrContains(shown, "canary")) << shown;
  EXPECT_FALSE(absl::StrContains(shown, "cccc")) << shown;
  EXPECT_TRUE(absl::StrContains(shown, "accounts: [deepseek]")) << shown;
}

TEST_F(ConfigTest, NamesThatAreNearlyRightAreFaults) {
  for (const char* name : {"DEEPSEEK_TOKENS", "DEEPSEEK_TOKEN2", "DEEPSEK_TOKEN", "KIMI_TOKE", "KIMI_TOKNE",
                           "SWITCHYARD_SERVR__PORT", "SWITCHYARD_SERVER_PORT", "DEEPSEEK_TOKEN_two"}) {
    const auto config = Load("", absl::StrCat(name, "=canary\n"));
    ASSERT_FALSE(config.ok()) << name;
    EXPECT_TRUE(absl::StrContains(config.status().message(), absl::StrCat(".env:1: ", name))) << config.status();
    EXPECT_FALSE(absl::StrContains(config.status().message(), "canary")) << config.status();
  }
  for (const char* name : {"DEEPSEEK_TOKENS", "DEEPSEK_TOKEN", "SWITCHYARD_SERVR__PORT"})
    EXPECT_FALSE(Load("", "", {{name, "canary"}}).ok()) << name;
  // The environment is other programs', too.
  for (const char* name : {"GITHUB_TOKEN", "NPM_TOKEN", "WIKI_TOKEN", "CI_TOKEN", "TOKEN", "KIMI", "DEEPSEEK_API_KEY"})
    EXPECT_TRUE(Load("", "", {{name, "x"}}).ok()) << name;
  const auto told = Load("", "", {{"DEEPSEEK_TOKENS", "x"}});
  EXPECT_TRUE(absl::StrContains(told.status().message(), "did you mean DEEPSEEK_TOKEN,")) << told.status();
}

TEST_F(ConfigTest, ApiKeysAreAListOfSecrets) {
  const auto file = Load("server:\n  api_keys:\n    - canary-key-of-one-kind\n    - canary-key-of-another\n");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->server.api_keys.size(), 2u);
  EXPECT_EQ(file->server.api_keys[1].Reveal(), "canary-key-of-another");
  const auto environment = Load("server:\n  api_keys: [canary-key-of-one-kind]\n", "",
                                {{"SWITCHYARD_SERVER__API_KEYS", "canary-key-number-2, canary-key-number-3"}});
  ASSERT_TRUE(environment.ok()) << environment.status();
  ASSERT_EQ(environment->server.api_keys.size(), 2u);
  EXPECT_EQ(environment->server.api_keys[0].Reveal(), "canary-key-number-2");
  EXPECT_EQ(environment->server.api_keys[1].Reveal(), "canary-key-number-3");
  EXPECT_FALSE(absl::StrContains(RedactedConfig(*environment), "canary"));
  EXPECT_TRUE(absl::StrContains(RedactedConfig(*environment), "api_keys: (set)"));
  for (const char* bad : {"[canary-short]", "[\"canary with a space\"]", "[canary-key-number-1, canary-key-number-1]",
                          "{a: canary-key-number-1}", "[[canary-key-number-1]]"}) {
    const auto config = Load(absl::StrCat("server:\n  api_keys: ", bad, "\n"));
    ASSERT_FALSE(config.ok()) << bad;
    EXPECT_TRUE(absl::StrContains(config.status().message(), "config.yaml:2: server.api_keys: ")) << config.status();
    EXPECT_FALSE(absl::StrContains(config.status().message(), "canary")) << config.status();
  }
}

TEST_F(ConfigTest, WhatIsPrintedIsTheWholeConfiguration) {
  const auto plain = Load("", "DEEPSEEK_TOKEN=canary\n");
  ASSERT_TRUE(plain.ok()) << plain.status();
  const std::string shown = RedactedConfig(*plain);
  for (const char* line :
       {"\nserver:\n", "  drain_delay: 0\n", "  keys_file: \"/home/x/.local/state/switchyard/keys.yaml\"\n",
        "  max_body_bytes: 33554432\n", "  kimi:\n", "    options:\n", "      max_continuations: \"10\"\n",
        "    accounts: [deepseek]", "  store_key: (key file beside the store)\n", "threads: 0\n", "state_dir: \""}) {
    EXPECT_TRUE(absl::StrContains(shown, line)) << line << "not in\n" << shown;
  }
  // It reads back, but for what only looks like a setting.
  std::string again = shown;
  for (const char* gone :
       {"    accounts: [deepseek]  # tokens not shown\n", "  store_key: (key file beside the store)\n"})
    again.erase(again.find(gone), std::string(gone).size());
  const auto read = Load(again, "DEEPSEEK_TOKEN=canary\n");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(RedactedConfig(*read), shown);
}

// A message of gRPC has 64 MiB, and a body becomes one.
TEST_F(ConfigTest, ABodyHasToFitAMessage) {
  EXPECT_TRUE(Load("server:\n  max_body_bytes: 62914560\n").ok());
  const auto larger = Load("server:\n  max_body_bytes: 67108864\n");
  ASSERT_FALSE(larger.ok());
  EXPECT_TRUE(absl::StrContains(larger.status().message(),
                                "server.max_body_bytes: must be a whole number from 1024 to "
                                "62914560"))
      << larger.status();
}

TEST_F(ConfigTest, TheExamplesAreTheDefaults) {
  const auto plain = Load("");
  const auto example = LoadConfig({.file = "config.example.yaml", .env_file = ".env.example"}, {{"HOME", "/home/x"}});
  ASSERT_TRUE(example.ok()) << example.status();
  EXPECT_EQ(RedactedConfig(*example), RedactedConfig(*plain));
  for (const char* platform : {"deepseek", "kimi"})
    EXPECT_EQ(example->providers.at(platform).options, plain->providers.at(platform).options) << platform;
  EXPECT_EQ(example->server.max_body_bytes, plain->server.max_body_bytes);
  EXPECT_EQ(example->server.drain_limit, plain->server.drain_limit);
  EXPECT_EQ(example->signing.target, plain->signing.target);
  EXPECT_TRUE(example->accounts.empty());
}

TEST(Config, WhatOnlyLooksLikeLoopbackIsRefused) {
  for (const char* address : {"127.evil.example:0", "127.0.0.1.evil.example:80", "localhost.evil.example:1"}) {
    const auto config = LoadConfig({}, {{"SWITCHYARD_CHAT__LISTEN", address}});
    EXPECT_FALSE(config.ok()) << address;
  }
  EXPECT_TRUE(LoadConfig({}, {{"SWITCHYARD_CHAT__LISTEN", "127.0.0.2:0"}}).ok());
}

TEST_F(ConfigTest, WhatTheRelayTellsAboutItself) {
  const auto plain = Load("");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->admin.listen, "");
  EXPECT_EQ(plain->tracing.otlp_url, "");
  EXPECT_EQ(plain->tracing.sample_ratio, 1);
  EXPECT_FALSE(plain->reflection);
  EXPECT_FALSE(plain->channelz);
  const auto set = Load(
      "admin:\n  listen: \"0.0.0.0:9464\"\ngrpc:\n  channelz: true\n  reflection: true\n"
      "tracing:\n  otlp_url: \"http://collector:4318/v1/traces\"\n  sample_ratio: 0.25\n");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->admin.listen, "0.0.0.0:9464");
  EXPECT_EQ(set->tracing.otlp_url, "http://collector:4318/v1/traces");
  EXPECT_EQ(set->tracing.sample_ratio, 0.25);
  EXPECT_TRUE(set->reflection);
  EXPECT_TRUE(set->channelz);
  for (const char* good : {"off", "[::1]:9090", "127.0.0.1:0"})
    EXPECT_TRUE(Load("", "", {{"SWITCHYARD_ADMIN__LISTEN", good}}).ok()) << good;
  for (const char* bad : {"9090", "localhost:9090", "127.0.0.1", "127.0.0.1:65536", ":9090", "on", "::1:9090"})
    EXPECT_FALSE(Load("", "", {{"SWITCHYARD_ADMIN__LISTEN", bad}}).ok()) << bad;
  for (const char* bad : {"collector:4318", "ftp://x/v1/traces", "http://collector:4318", "http://a:b@c/v1/traces"})
    EXPECT_FALSE(Load("", "", {{"SWITCHYARD_TRACING__OTLP_URL", bad}}).ok()) << bad;
  for (const char* bad : {"-0.1", "1.1", "nan", "half"})
    EXPECT_FALSE(Load("", "", {{"SWITCHYARD_TRACING__SAMPLE_RATIO", bad}}).ok()) << bad;
}

TEST(Config, AFileIsAFile) {
  const auto endless = LoadConfig({.file = "/dev/zero"}, {});
  EXPECT_FALSE(endless.ok());
  EXPECT_NE(endless.status().message().find("/dev/zero"), absl::string_view::npos);
  EXPECT_TRUE(LoadConfig({.file = "/dev/null", .env_file = "/dev/null"}, {}).ok());
}

}  // namespace
}  // namespace switchyard
