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
#include "absl/strings/str_split.h"
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
  YamlReader(const std::string& file, Config& config, Settings& settings, std::vector<std::string>& faults)
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
      Read(entry.first, entry.second, path);
    }
  }

  static bool TextOf(const YAML::Node& value, bool list, std::string& text) {
    if (value.IsScalar()) {
      text = value.Scalar();
      return true;
    }
    if (!list || !value.IsSequence()) return false;
    for (const YAML::Node& part : value) {
      if (!part.IsScalar()) return false;
      absl::StrAppend(&text, text.empty() ? "" : ",", part.Scalar());
    }
    return true;
  }

  void Read(const YAML::Node& key, const YAML::Node& value, const std::string& path) {
    const auto found = settings_.find(path);
    if (found != settings_.end()) {
      if (value.IsNull()) return;
      std::string text;
      if (!TextOf(value, found->second.list, text)) {
        Fault(value.Mark(), absl::StrCat(path, found->second.list ? ": must be a list" : ": must be a single value"));
        return;
      }
      const std::string wrong = found->second.read(text);
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
  Settings& settings_;
  std::vector<std::string>& faults_;
};

// ---- the whole

void ApplyOverrides(const std::map<std::string, EnvEntry>& entries, Settings& settings,
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
    const std::string wrong = found->second.read(entry.value);
    if (!wrong.empty()) faults.push_back(absl::StrCat(entry.where, ": ", name, ": ", wrong));
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

}  // namespace

std::string Config::SessionTarget() const { return session.target.empty() ? SessionListen() : session.target; }
std::string Config::SessionListen() const {
  return session.listen.empty() ? absl::StrCat("unix:", state_dir, "/session.sock") : session.listen;
}
std::string Config::StorePath() const { return session.store.empty() ? state_dir + "/session.db" : session.store; }
std::string Config::KeysFile() const { return server.keys_file.empty() ? state_dir + "/keys.yaml" : server.keys_file; }

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
  Settings settings = SettingsOf(config, mutual_tls);
  if (!texts.file.empty()) YamlReader(texts.file, config, settings, faults).Read(texts.yaml);
  ApplyOverrides(texts.entries, settings, faults);
}

void CheckHttps(const HttpsConfig& tls, std::vector<std::string>& faults) {
  if (tls.certificate.empty() != tls.key.empty())
    faults.emplace_back("server.tls: needs certificate and key, or neither of them");
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
    } else if (!(sources.env_file_optional && absl::IsNotFound(text.status()))) {
      faults.emplace_back(text.status().message());
    }
  }
  for (const auto& [name, value] : environment) texts.entries[name] = {value, std::string(kEnvironment)};

  // Which addresses are good depends on mutual TLS, wherever in the sources that is set.
  Config first = Defaults(environment);
  std::vector<std::string> unsaid;
  Apply(texts, /*mutual_tls=*/true, first, unsaid);
  Config config = Defaults(environment);
  Apply(texts, first.tls.enabled(), config, faults);
  config.accounts = AccountsOf(texts.entries, faults);
  CheckHttps(config.server.tls, faults);
  CheckMesh(config.tls, faults);
  if (config.session.etcd_certificate.empty() != config.session.etcd_key.empty())
    faults.emplace_back("session: needs etcd_certificate and etcd_key, or none of them");
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  return config;
}

std::string RedactedConfig(const Config& config) {
  Config shown = config;
  shown.server.keys_file = config.KeysFile();
  shown.session.target = config.SessionTarget();
  shown.session.listen = config.SessionListen();
  shown.session.store = config.StorePath();
  std::map<std::string, std::string> lines;
  for (const auto& [path, setting] : SettingsOf(shown, config.tls.enabled())) lines[path] = setting.show();
  for (const auto& [platform, provider] : config.providers) {
    std::vector<std::string> labels;
    for (const AccountConfig& account : config.accounts) {
      if (account.platform == platform) labels.push_back(account.label);
    }
    if (labels.empty()) continue;
    lines[absl::StrCat("providers.", platform, ".accounts")] =
        absl::StrCat("[", absl::StrJoin(labels, ", "), "]  # tokens not shown");
  }
  std::string out;
  std::vector<std::string> open;  // sections that the last line stands in
  for (const auto& [path, value] : lines) {
    std::vector<std::string> parts = absl::StrSplit(path, '.');
    const std::string name = std::move(parts.back());
    parts.pop_back();
    size_t same = 0;
    while (same < parts.size() && same < open.size() && parts[same] == open[same]) ++same;
    for (; same < parts.size(); ++same) absl::StrAppend(&out, std::string(2 * same, ' '), parts[same], ":\n");
    absl::StrAppend(&out, std::string(2 * parts.size(), ' '), name, ": ", value, "\n");
    open = std::move(parts);
  }
  return out;
}

}  // namespace switchyard
