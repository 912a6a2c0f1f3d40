// The metrics as Prometheus' own tool judges them, and dashboard and alerts against what the programs export.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "boost/json/parse.hpp"
#include "boost/json/value.hpp"
#include "tests/support/certificates.h"
#include "tests/support/collector.h"
#include "tests/support/files.h"
#include "tests/support/process.h"
#include "tests/support/programs.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kAdmin[] = "serving metrics on http://127.0.0.1:";
constexpr char kAlerts[] = "deploy/observability/alerts.yaml";
constexpr char kScrape[] = "deploy/observability/scrape-kubernetes.yaml";
constexpr char kDashboard[] = "deploy/observability/grafana-dashboard.json";

/// What `promtool ARGUMENTS` says, if it is not content.
std::string Promtool(const std::string& arguments) {
  Process tool({"/bin/sh", "-c", absl::StrCat("promtool ", arguments)}, {});
  const auto exit = tool.WaitExit(absl::Seconds(60));
  // Hints of `check metrics` end with success.
  if (exit == 0 && !absl::StrContains(arguments, "check metrics")) return "";
  return exit == 0 && tool.output().empty() ? "" : absl::StrCat("exit ", exit.value_or(-1), ": ", tool.output());
}

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

/// The names of all samples in a text of metrics.
std::set<std::string> NamesIn(const std::string& text) {
  std::set<std::string> names;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!line.empty() && line[0] != '#') names.emplace(line.substr(0, line.find_first_of("{ ")));
  }
  return names;
}

/// The metrics of ours that an expression of PromQL names.
std::set<std::string> NamesOf(const std::string& expression) {
  static const std::regex kName("(switchyard|process)_[a-z_]+");
  std::set<std::string> names;
  for (std::sregex_iterator at(expression.begin(), expression.end(), kName), end; at != end; ++at)
    names.insert(at->str());
  return names;
}

void CollectExpressions(const json::value& value, std::vector<std::string>& expressions) {
  if (value.is_array()) {
    for (const json::value& one : value.get_array()) CollectExpressions(one, expressions);
  } else if (value.is_object()) {
    for (const auto& [key, member] : value.get_object()) {
      const bool query = key == "expr" || key == "definition";
      if (query && member.is_string()) expressions.emplace_back(member.get_string().c_str());
      CollectExpressions(member, expressions);
    }
  }
}

/// What Prometheus itself says of a target, and etcd of itself: tests/deploy/k8s/cluster_test.py asks a member for its.
bool LooksAtOthers(const std::string& expression) {
  static const std::regex kOthers("^(up|etcd_[a-z_]+)\\{");
  return std::regex_search(expression, kOthers);
}

/// A certificate of its own for each program, by its path.
Programs::OwnVariables Certificates(const TestAuthority& authority) {
  return [&authority](const std::string& program) {
    const std::string directory = FreshDirectory(), name = program.substr(program.rfind('/') + 1);
    const auto pem = authority.Issue(absl::StrCat("DNS:localhost,IP:127.0.0.1,URI:spiffe://test/", name));
    Write(directory + "/crt", pem.certificate);
    Write(directory + "/key", pem.key);
    Write(directory + "/ca", authority.certificate());
    return Variables{{"SWITCHYARD_TLS__CERTIFICATE", directory + "/crt"},
                     {"SWITCHYARD_TLS__KEY", directory + "/key"},
                     {"SWITCHYARD_TLS__AUTHORITY", directory + "/ca"}};
  };
}

class ObservabilityTest : public ::testing::Test {
 protected:
  // Some of everything: answers, faults, callers who leave, spans.
  static void SetUpTestSuite() {
    Collector collector;
    SimulatedPlatforms platforms;
    const TestAuthority authority;
    Programs programs(
        platforms, {{"SWITCHYARD_TRACING__OTLP_URL", collector.url()}, {"SWITCHYARD_SESSION__LISTEN", "127.0.0.1:0"}},
        Certificates(authority));
    for (const char* model : {"deepseek", "kimi", "metaso", "doubao", "qwen", "zhipu", "minimax"})
      EXPECT_EQ(Stream(programs.port(), "[[sim: text=Red,+green,+blue]] canary-prompt", "", model).status, 200)
          << model;
    EXPECT_EQ(Chat(programs.port(), "x", "", "gpt-4").status, 404);
    EXPECT_EQ(Fetch(programs.port(), "GET", "/v1/models").status, 200);
    EXPECT_EQ(Fetch(programs.port(), "GET", "/canary-path").status, 404);
    // The last thing that happens to a turn is that session hears of its end.
    EXPECT_TRUE(Eventually([&] {
      const std::string text = Fetch(programs.session().PortAfter(kAdmin), "GET", "/metrics").body;
      return absl::StrContains(text, "switchyard_leases_total{outcome=\"granted\",platform=\"minimax\"}");
    }));
    std::map<std::string, Process*> all = {
        {"edge", &programs.edge()}, {"session", &programs.session()}, {"signing", &programs.signing()}};
    for (const char* platform : kPlatformNames) all[platform] = &programs.provider(platform);
    for (const auto& [name, process] : all) texts_[name] = Fetch(process->PortAfter(kAdmin), "GET", "/metrics").body;

    Relay relay(platforms, {{"SWITCHYARD_TRACING__OTLP_URL", collector.url()}});
    EXPECT_EQ(Stream(relay.port(), "[[sim: text=Red]]").status, 200);
    texts_["all_in_one"] = Fetch(relay.process().PortAfter(kAdmin), "GET", "/metrics").body;
    for (const char* platform : kPlatformNames) {
      const std::string service = absl::StrCat("switchyard-", platform);
      EXPECT_TRUE(Eventually([&] { return absl::StrContains(collector.bodies(), service); })) << service;
    }
    spans_ = collector.bodies();
    for (const auto& [name, value] : RelayVariables(platforms, "")) {
      if (absl::EndsWith(name, "_TOKEN")) secrets_[name] = value;
    }
  }

  static std::set<std::string> Exported() {
    std::set<std::string> names;
    for (const auto& [program, text] : texts_) names.merge(NamesIn(text));
    return names;
  }

  static inline std::map<std::string, std::string> texts_;    // of metrics, by program
  static inline std::string spans_;                           // as they came
  static inline std::map<std::string, std::string> secrets_;  // the accounts' credentials, by variable
  const std::string directory_ = FreshDirectory();
};

TEST_F(ObservabilityTest, PromtoolFindsNothingWrongWithTheMetrics) {
  for (const auto& [program, text] : texts_) {
    EXPECT_THAT(text, HasSubstr("switchyard_build_info{")) << program;
    const std::string path = absl::StrCat(directory_, "/", program, ".txt");
    Write(path, text);
    EXPECT_EQ(Promtool(absl::StrCat("check metrics < ", path)), "") << program;
  }
  // The check does check.
  Write(directory_ + "/bad.txt", "# TYPE requests_count counter\nrequests_count 1\n");
  EXPECT_NE(Promtool(absl::StrCat("check metrics < ", directory_, "/bad.txt")), "");
}

TEST_F(ObservabilityTest, NothingThatACallerOrAnOwnerWroteIsInMetricsOrSpans) {
  EXPECT_EQ(secrets_.size(), 7u);
  auto told = texts_;
  told["spans"] = spans_;
  for (const auto& [where, text] : told) {
    EXPECT_THAT(text, Not(HasSubstr("canary"))) << where;
    for (const auto& [name, secret] : secrets_)
      EXPECT_EQ(text.find(secret), std::string::npos) << name << " in " << where;
  }
}

TEST_F(ObservabilityTest, LabelsAreBounded) {
  // Of each program, after a turn or a few: what grows with use grows with models and platforms alone.
  for (const auto& [program, text] : texts_) {
    const std::vector<std::string> lines = absl::StrSplit(text, '\n');
    EXPECT_LT(lines.size(), 1500u) << program;
  }
}

TEST_F(ObservabilityTest, PromtoolFindsNothingWrongWithTheAlerts) {
  EXPECT_EQ(Promtool(absl::StrCat("check rules ", kAlerts)), "");
  // Rules and their tests beside each other, as the tests name them.
  Write(directory_ + "/alerts.yaml", ReadTestFile(kAlerts));
  Write(directory_ + "/alerts_test.yaml", ReadTestFile("tests/deploy/observability/alerts_test.yaml"));
  EXPECT_EQ(Promtool(absl::StrCat("test rules ", directory_, "/alerts_test.yaml")), "");
}

TEST_F(ObservabilityTest, PromtoolFindsNothingWrongWithTheJob) {
  // Debian's promtool is built without Kubernetes, so the targets are others here.
  const std::string text = ReadTestFile(kScrape);
  const std::regex discovery("kubernetes_sd_configs:[^]*?(?=    relabel_configs:)");
  ASSERT_TRUE(std::regex_search(text, discovery));
  Write(directory_ + "/scrape.yaml",
        std::regex_replace(text, discovery, "static_configs:\n      - targets: [\"127.0.0.1:9090\"]\n"));
  EXPECT_EQ(Promtool(absl::StrCat("check config ", directory_, "/scrape.yaml")), "");
  // The alerts and the dashboard look at a job of this name.
  EXPECT_EQ(YAML::Load(ReadTestFile(kScrape))["scrape_configs"][0]["job_name"].as<std::string>(), "switchyard");
}

TEST_F(ObservabilityTest, EveryProgramSaysWhenItsCertificateEnds) {
  for (const auto& [program, text] : texts_) {
    if (program == "all_in_one") continue;  // it has none
    EXPECT_THAT(text, HasSubstr("switchyard_certificate_expiry_seconds{set=\"mesh\"} ")) << program;
  }
}

TEST_F(ObservabilityTest, EveryAlertIsTestedAndSaysWhatToDo) {
  const std::string tests = ReadTestFile("tests/deploy/observability/alerts_test.yaml");
  int alerts = 0;
  for (const auto& group : YAML::Load(ReadTestFile(kAlerts))["groups"]) {
    for (const auto& rule : group["rules"]) {
      ++alerts;
      const std::string name = rule["alert"].as<std::string>();
      EXPECT_THAT(tests, HasSubstr(absl::StrCat("alertname=\"", name, "\", alertstate=\"firing\", "))) << name;
      EXPECT_THAT(rule["labels"]["severity"].as<std::string>(), ::testing::AnyOf("page", "ticket", "info")) << name;
      EXPECT_NE(rule["annotations"]["summary"].as<std::string>(), "") << name;
      EXPECT_GT(rule["annotations"]["runbook"].as<std::string>().size(), 50u) << name;
    }
  }
  EXPECT_GE(alerts, 15);
}

TEST_F(ObservabilityTest, WhatTheAlertsLookAtIsExported) {
  const std::set<std::string> exported = Exported();
  for (const auto& group : YAML::Load(ReadTestFile(kAlerts))["groups"]) {
    for (const auto& rule : group["rules"]) {
      const auto names = NamesOf(rule["expr"].as<std::string>());
      EXPECT_TRUE(!names.empty() || LooksAtOthers(rule["expr"].as<std::string>()));
      for (const std::string& name : names)
        EXPECT_EQ(exported.count(name), 1u) << rule["alert"].as<std::string>() << ": " << name;
    }
  }
}

TEST_F(ObservabilityTest, WhatTheDashboardShowsIsExported) {
  const std::set<std::string> exported = Exported();
  const json::value dashboard = json::parse(ReadTestFile(kDashboard));
  std::vector<std::string> expressions;
  CollectExpressions(dashboard, expressions);
  EXPECT_GT(expressions.size(), 40u);
  std::set<std::string> shown;
  for (const std::string& expression : expressions) {
    const auto names = NamesOf(expression);
    EXPECT_FALSE(names.empty()) << expression;
    for (const std::string& name : names) EXPECT_EQ(exported.count(name), 1u) << expression;
    shown.insert(names.begin(), names.end());
  }
  // What is worth counting is worth showing: every metric of ours is somewhere on it.
  for (const std::string& name : exported) {
    if (!absl::StartsWith(name, "switchyard_") || absl::EndsWith(name, "_sum") || absl::EndsWith(name, "_count"))
      continue;
    if (name == "switchyard_spans_exported_total") continue;
    EXPECT_EQ(shown.count(name), 1u) << name << " is not on the dashboard";
  }
  // And PromQL, once Grafana has put its own words in.
  std::string rules = "groups:\n  - name: dashboard\n    rules:\n";
  int number = 0;
  for (std::string expression : expressions) {
    if (absl::StartsWith(expression, "label_values(")) continue;
    expression = std::regex_replace(expression, std::regex(R"(\$__rate_interval)"), "5m");
    expression = std::regex_replace(expression, std::regex(R"(\$[a-z]+)"), ".*");
    absl::StrAppend(&rules, "      - record: panel:", ++number, "\n        expr: >-\n          ", expression, "\n");
  }
  rules = std::regex_replace(rules, std::regex("panel:([0-9]+)"), "panel:number$1");
  Write(directory_ + "/dashboard.yaml", rules);
  EXPECT_EQ(Promtool(absl::StrCat("check rules ", directory_, "/dashboard.yaml")), "");
}

TEST_F(ObservabilityTest, WhatEveryReplicaOfSessionShowsIsCountedOnce) {
  std::vector<std::string> expressions;
  CollectExpressions(json::parse(ReadTestFile(kDashboard)), expressions);
  for (const auto& group : YAML::Load(ReadTestFile(kAlerts))["groups"]) {
    for (const auto& rule : group["rules"]) expressions.push_back(rule["expr"].as<std::string>());
  }
  static const std::regex kShared("switchyard_(account_state|account_in_flight|ledger_conversations)");
  static const std::regex kOnce("max by \\([a-z, ]+\\) \\(switchyard_[a-z_]+(\\{[^}]*\\})?\\)");
  int found = 0;
  for (const std::string& expression : expressions) {
    if (!std::regex_search(expression, kShared)) continue;
    ++found;
    EXPECT_TRUE(std::regex_search(expression, kOnce)) << expression;
  }
  EXPECT_GE(found, 8);
}

}  // namespace
}  // namespace switchyard
