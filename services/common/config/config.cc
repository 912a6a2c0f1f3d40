#include "services/common/config/config.h"

#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "services/common/config/env_file.h"
#include "services/common/config/platforms.h"
#include "services/common/config/settings.h"

extern char** environ;

namespace switchyard {
namespace {

constexpr size_t kMaxFileBytes = 1024 * 1024;
constexpr absl::string_view kOverride = "SWITCHYARD_";

// ---- files

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return absl::NotFoundError(absl::StrCat(path, ": there is no such file"));
  if (S_ISDIR(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory"));
  // A device or a pipe may have no end, or no beginning.
  if (!S_ISREG(info.st_mode) && path != "/dev/null")
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not a file"));
  if (static_cast<size_t>(info.st_size) > kMaxFileBytes)
    return absl::InvalidArgumentError(absl::StrCat(path, ": is larger than 1 MiB"));
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf() || info.st_size == 0))
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  return text.str();
}

// ---- config.yaml

class YamlReader {
 public:
  YamlReader(const std::string& file, Config& config, std::map<std::string, SettingReader>& settings,
             std::vector<std::string>& faults)
      : file_(file), config_(config), settings_(settings), faults_(faults) {}

  void Read(const std::string& text) {
    YAML::Node root;
    try {
      root = YAML::Load(text);
    } catch (const YAML::Exception& error) {
      Fault(error.mark, absl::StrCat("not valid YAML: ", error.msg));
      return;
    }
    if (root.IsNull()) return;
    if (!root.IsMap()) {
      Fault(root.Mark(), "must be a map of settings, like `server:`");
      return;
    }
    Walk(root, "");
  }

 private:
  void Fault(const YAML::Mark& mark, absl::string_view what) {
    faults_.push_back(absl::StrCat(file_, ":", mark.line + 1, ": ", what));
  }

  void Walk(const YAML::Node& map, const std::string& at) {
    std::map<std::string, int> seen;
    for (const auto& entry : map) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : std::string("?");
      const std::string path = at.empty() ? key : absl::StrCat(at, ".", key);
      const auto [first, fresh] = seen.emplace(key, entry.first.Mark().line + 1);
      if (!fresh) {
        Fault(entry.first.Mark(), absl::StrCat(path, ": is already set on line ", first->second));
        continue;
      }
      Setting(entry.first, entry.second, path);
    }
  }

  void Setting(const YAML::Node& key, const YAML::Node& value, const std::string& path) {
    const auto found = settings_.find(path);
    if (found != settings_.end()) {
      if (value.IsNull()) return;
      if (!value.IsScalar()) {
        Fault(value.Mark(), absl::StrCat(path, ": must be a single value"));
        return;
      }
      const std::string wrong = found->second(value.Scalar());
      if (!wrong.empty()) Fault(value.Mark(), absl::StrCat(path, ": ", wrong));
      return;
    }
    const bool is_section = [&] {
      const auto next = settings_.lower_bound(path + ".");
      return next != settings_.end() && absl::StartsWith(next->first, path + ".");
    }();
    if (is_section) {
      if (value.IsMap()) {
        Walk(value, path);
      } else if (!value.IsNull()) {
        Fault(value.Mark(), absl::StrCat(path, ": must be a map of settings"));
      }
      return;
    }
    const std::string nearest = NearestName(path, settings_);
    Fault(key.Mark(), absl::StrCat(path, ": there is no such setting",
                                   nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?")));
  }

  const std::string& file_;
  Config& config_;
  std::map<std::string, SettingReader>& settings_;
  std::vector<std::string>& faults_;
};

// ---- the whole

void ApplyOverrides(const std::map<std::string, EnvEntry>& entries, std::map<std::string, SettingReader>& settings,
                    std::vector<std::string>& faults) {
  for (const auto& [name, entry] : entries) {
    if (!absl::StartsWith(name, kOverride)) continue;
    const std::string path =
        absl::AsciiStrToLower(absl::StrReplaceAll(absl::StripPrefix(name, kOverride), {{"__", "."}}));
    const auto found = settings.find(path);
    if (found == settings.end()) {
      const std::string nearest = NearestName(path, settings);
      faults.push_back(absl::StrCat(entry.where, ": ", name, ": there is no setting ", path,
                                    nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?")));
      continue;
    }
    const std::string wrong = found->second(entry.value);
    if (!wrong.empty()) faults.push_back(absl::StrCat(entry.where, ": ", name, ": ", wrong));
  }
}

void CheckHost(const ServerConfig& server, std::vector<std::string>& faults) {
  const bool loopback =
      server.host == "localhost" || server.host == "::1" ||
      (absl::StartsWith(server.host, "127.") && server.host.find_first_not_of("0123456789.") == std::string::npos);
  if (!loopback && !server.insecure) {
    faults.push_back(
        absl::StrCat("server.host: ", server.host,
                     " is reachable from other machines, and there are no API keys: anybody could spend your accounts. "
                     "Use 127.0.0.1, or say server.insecure: true if something else protects it."));
  }
}

std::string DefaultStateDir(const Environment& environment) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  if (!value("XDG_STATE_HOME").empty()) return value("XDG_STATE_HOME") + "/switchyard";
  if (!value("HOME").empty()) return value("HOME") + "/.local/state/switchyard";
  return "/var/lib/switchyard";
}

std::string Quoted(const std::string& text) { return absl::StrCat("\"", text, "\""); }

}  // namespace

std::string Config::SessionTarget() const { return session.target.empty() ? SessionListen() : session.target; }
std::string Config::SessionListen() const {
  return session.listen.empty() ? absl::StrCat("unix:", state_dir, "/session.sock") : session.listen;
}
std::string Config::StorePath() const { return session.store.empty() ? state_dir + "/session.db" : session.store; }

Environment ProcessEnvironment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const absl::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals != absl::string_view::npos)
      environment[std::string(text.substr(0, equals))] = std::string(text.substr(equals + 1));
  }
  return environment;
}

namespace {

/// What the sources hold, before anything is made of it.
struct Texts {
  std::string file;  // the name of config.yaml; empty if there is none
  std::string yaml;
  std::map<std::string, EnvEntry> entries;
};

Config Defaults(const Environment& environment) {
  Config config;
  config.state_dir = DefaultStateDir(environment);
  for (const PlatformDefaults& platform : Platforms()) {
    ProviderConfig& provider = config.providers[std::string(platform.name)];
    provider.base_url = std::string(platform.base_url);
    provider.spacing = platform.spacing;
    provider.dialect = std::string(platform.dialects.front());
    for (const PlatformOption& option : platform.options)
      provider.options[std::string(option.name)] = std::string(option.fallback);
    provider.backend = absl::StrCat("127.0.0.1:", platform.port);
    provider.listen = absl::StrCat("127.0.0.1:", platform.port);
  }
  return config;
}

/// @param mutual_tls whether gRPC may leave the machine
void Apply(const Texts& texts, bool mutual_tls, Config& config, std::vector<std::string>& faults) {
  std::map<std::string, SettingReader> settings = SettingsOf(config, mutual_tls);
  if (!texts.file.empty()) YamlReader(texts.file, config, settings, faults).Read(texts.yaml);
  ApplyOverrides(texts.entries, settings, faults);
}

void CheckMesh(const MeshConfig& tls, std::vector<std::string>& faults) {
  const bool all = !tls.certificate.empty() && !tls.key.empty() && !tls.authority.empty();
  const bool none = tls.certificate.empty() && tls.key.empty() && tls.authority.empty();
  if (!all && !none) faults.emplace_back("tls: needs certificate, key and authority, or none of them");
}

}  // namespace

absl::StatusOr<Config> LoadConfig(const ConfigSources& sources, const Environment& environment) {
  std::vector<std::string> faults;
  Texts texts;
  if (!sources.file.empty()) {
    auto text = ReadFile(sources.file);
    if (text.ok()) {
      texts.file = sources.file;
      texts.yaml = *std::move(text);
    } else if (!(sources.file_optional && absl::IsNotFound(text.status()))) {
      faults.emplace_back(text.status().message());
    }
  }
  if (!sources.env_file.empty()) {
    auto text = ReadFile(sources.env_file);
    if (text.ok()) {
      texts.entries = ParseEnvFile(*text, sources.env_file, faults);
    } else if (!absl::IsNotFound(text.status())) {
      faults.emplace_back(text.status().message());
    }
  }
  for (const auto& [name, value] : environment) texts.entries[name] = {value, "environment"};

  // Which addresses are good depends on mutual TLS, wherever in the sources that is set.
  Config first = Defaults(environment);
  std::vector<std::string> unsaid;
  Apply(texts, /*mutual_tls=*/true, first, unsaid);
  Config config = Defaults(environment);
  Apply(texts, first.tls.enabled(), config, faults);
  config.accounts = AccountsOf(texts.entries, faults);
  CheckHost(config.server, faults);
  CheckMesh(config.tls, faults);
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  return config;
}

std::string RedactedConfig(const Config& config) {
  std::string out;
  const auto line = [&out](int indent, absl::string_view key, const auto&... value) {
    absl::StrAppend(&out, std::string(indent, ' '), key, ":", sizeof...(value) > 0 ? " " : "", value..., "\n");
  };
  const auto truth = [](bool value) { return value ? "true" : "false"; };
  const auto span = [](absl::Duration value) { return absl::FormatDuration(value); };
  line(0, "server");
  line(2, "host", Quoted(config.server.host));
  line(2, "port", config.server.port);
  line(2, "request_limit", span(config.server.request_limit));
  line(2, "heartbeat", span(config.server.heartbeat));
  line(2, "max_in_flight", config.server.max_in_flight);
  line(2, "reasoning_format", config.server.reasoning_format);
  line(2, "ignore_unsupported", truth(config.server.ignore_unsupported));
  line(0, "providers");
  for (const auto& [name, provider] : config.providers) {
    std::vector<std::string> labels;
    for (const AccountConfig& account : config.accounts) {
      if (account.platform == name) labels.push_back(account.label);
    }
    if (labels.empty()) continue;
    line(2, name);
    line(4, "enabled", truth(provider.enabled));
    line(4, "base_url", Quoted(provider.base_url));
    line(4, "dialect", provider.dialect);
    line(4, "max_in_flight_per_account", provider.max_in_flight_per_account);
    line(4, "spacing", span(provider.spacing));
    line(4, "queue_depth", provider.queue_depth);
    line(4, "queue_limit", span(provider.queue_limit));
    line(4, "accounts", "[", absl::StrJoin(labels, ", "), "]  # tokens not shown");
  }
  line(0, "session");
  line(2, "store", Quoted(config.StorePath()));
  line(2, "store_key", config.session.store_key.empty() ? "(key file beside the store)" : "(set)");
  line(0, "http");
  line(2, "connect_limit", span(config.http.connect_limit));
  line(2, "tls_limit", span(config.http.tls_limit));
  line(2, "first_byte_limit", span(config.http.first_byte_limit));
  line(2, "idle_limit", span(config.http.idle_limit));
  if (config.tls.enabled()) {
    line(0, "tls");
    line(2, "certificate", Quoted(config.tls.certificate));
    line(2, "key", Quoted(config.tls.key));
    line(2, "authority", Quoted(config.tls.authority));
    line(2, "chat_callers", Quoted(absl::StrJoin(config.tls.chat_callers, ", ")));
  }
  line(0, "log");
  line(2, "level", config.log_level);
  return out;
}

}  // namespace switchyard
