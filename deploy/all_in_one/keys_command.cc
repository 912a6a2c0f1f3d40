#include "deploy/all_in_one/keys_command.h"

#include <getopt.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "deploy/all_in_one/command_line.h"
#include "edge/key_file.h"
#include "services/common/catalogue/catalogue.h"
#include "services/common/config/config.h"
#include "services/common/time/clock.h"

namespace switchyard {
namespace {

constexpr char kHelp[] =
    "Usage: switchyard keys add NAME [--models ID,ID…] [--requests-per-minute N] [--concurrent-streams N]\n"
    "       switchyard keys list\n"
    "       switchyard keys revoke NAME\n\n"
    "API keys for those who use the relay. Once there is one, nobody is served without; a running relay takes changes\n"
    "up within a second. The file holds a hash of each key, so a key is shown once, by add, and never again.\n\n"
    "  --models ID,ID…           the models that the key may use, by their exact ids (default: all)\n"
    "  --requests-per-minute N   more are refused (default: no limit)\n"
    "  --concurrent-streams N    more at once are refused (default: no limit)\n"
    "  --config FILE             configuration (default: config.yaml, if there is one)\n"
    "  --env-file FILE           accounts and overrides (default: .env, if there is one)\n"
    "  --help                    this text\n\n"
    "add prints the key alone on its standard output: KEY=$(switchyard keys add laptop)\n"
    "The file is keys.yaml in state_dir, or server.keys_file of the configuration.\n";

constexpr int kFailed = 1;

struct Wish {
  std::vector<std::string> words;  // add, list or revoke, and the name
  ApiKey key;
  bool limited = false;
  ConfigSources sources = DefaultSources();
};

int Usage(const std::string& what) {
  std::fprintf(stderr, "switchyard keys: %s\nswitchyard keys --help tells the rest.\n", what.c_str());
  return kBadUsage;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "switchyard keys: %s\n", std::string(status.message()).c_str());
  return kFailed;
}

std::string ReadLimit(const char* text, int& limit) {
  if (absl::SimpleAtoi(text, &limit) && limit >= 1 && limit <= kMaxKeyLimit) return "";
  return absl::StrCat("a limit must be a whole number from 1 to ", kMaxKeyLimit);
}

std::string ReadModels(const char* text, std::vector<std::string>& models) {
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const absl::string_view id = absl::StripAsciiWhitespace(part);
    if (FindModel(id) == nullptr) return absl::StrCat("there is no model '", id, "'; GET /v1/models lists them");
    if (std::find(models.begin(), models.end(), id) == models.end()) models.emplace_back(id);
  }
  return models.empty() ? "--models needs at least one model" : "";
}

/// @return the exit status if the command is to end here.
std::optional<int> ReadFlags(int argc, char** argv, Wish& wish) {
  enum { kModels = 1, kRequests, kStreams, kConfig, kEnvFile, kHelpFlag };
  constexpr std::array kOptions = {
      option{"models", required_argument, nullptr, kModels},
      option{"requests-per-minute", required_argument, nullptr, kRequests},
      option{"concurrent-streams", required_argument, nullptr, kStreams},
      option{"config", required_argument, nullptr, kConfig},
      option{"env-file", required_argument, nullptr, kEnvFile},
      option{"help", no_argument, nullptr, kHelpFlag},
      option{nullptr, 0, nullptr, 0},
  };
  for (int chosen; (chosen = getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    std::string fault;
    if (chosen == kModels) {
      fault = ReadModels(optarg, wish.key.models);
      wish.limited = true;
    } else if (chosen == kRequests) {
      fault = ReadLimit(optarg, wish.key.requests_per_minute);
      wish.limited = true;
    } else if (chosen == kStreams) {
      fault = ReadLimit(optarg, wish.key.concurrent_streams);
      wish.limited = true;
    } else if (chosen == kConfig) {
      wish.sources.file = optarg;
      wish.sources.file_optional = false;
    } else if (chosen == kEnvFile) {
      wish.sources.env_file = optarg;
      wish.sources.env_file_optional = false;
    } else if (chosen == kHelpFlag || chosen == 'h') {
      std::fputs(kHelp, stdout);
      return 0;
    } else {
      return Usage("that flag cannot be used");
    }
    if (!fault.empty()) return Usage(fault);
  }
  wish.words.assign(argv + optind, argv + argc);
  return std::nullopt;
}

int Add(const std::string& file, ApiKey key) {
  auto made = NewApiKey();
  if (!made.ok()) return Fail(made.status());
  key.digest = DigestOf(made->Reveal());
  key.created = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", SystemClock::Get().Now(), absl::UTCTimeZone());
  const absl::Status added = UpdateKeyFile(file, false, [&key](std::vector<ApiKey>& keys) {
    for (const ApiKey& other : keys) {
      if (other.name == key.name)
        return absl::AlreadyExistsError(absl::StrCat("there is a key named ", key.name, " already; revoke it first"));
    }
    keys.push_back(key);
    return absl::OkStatus();
  });
  if (!added.ok()) return Fail(added);
  std::fprintf(stderr, "The key of %s, which is not shown again; %s keeps its hash:\n", key.name.c_str(), file.c_str());
  std::fprintf(stdout, "%s\n", made->Reveal().c_str());
  return 0;
}

int Revoke(const std::string& file, const std::string& name) {
  size_t left = 0;
  const absl::Status revoked = UpdateKeyFile(file, true, [&](std::vector<ApiKey>& keys) {
    if (std::erase_if(keys, [&name](const ApiKey& key) { return key.name == name; }) == 0)
      return absl::NotFoundError(absl::StrCat("there is no key named ", name, " in ", file));
    left = keys.size();
    return absl::OkStatus();
  });
  if (!revoked.ok()) return Fail(revoked);
  std::fprintf(stderr, "Revoked the key of %s; a running relay refuses it within a second.\n", name.c_str());
  if (left == 0) {
    std::fprintf(stderr,
                 "There is no key left: nobody is served until there is one, or %s is gone and the relay is "
                 "started again.\n",
                 file.c_str());
  }
  return 0;
}

std::string Limit(int limit) { return limit == 0 ? std::string("-") : absl::StrCat(limit); }

int List(const std::string& file) {
  auto keys = ReadKeyFile(file);
  if (absl::IsNotFound(keys.status()) || (keys.ok() && keys->empty())) {
    std::fprintf(stdout, "There is no key in %s.\n", file.c_str());
    return 0;
  }
  if (!keys.ok()) return Fail(keys.status());
  size_t width = 4;
  for (const ApiKey& key : *keys) width = std::max(width, key.name.size());
  const int name_width = static_cast<int>(width);
  std::fprintf(stdout, "%-*s  %-20s  %8s  %7s  %s\n", name_width, "name", "created", "a minute", "at once", "models");
  for (const ApiKey& key : *keys) {
    std::fprintf(stdout, "%-*s  %-20s  %8s  %7s  %s\n", name_width, key.name.c_str(), key.created.c_str(),
                 Limit(key.requests_per_minute).c_str(), Limit(key.concurrent_streams).c_str(),
                 key.models.empty() ? "all" : absl::StrJoin(key.models, ",").c_str());
  }
  return 0;
}

}  // namespace

int KeysCommand(int argc, char** argv) {
  Wish wish;
  if (const auto exit = ReadFlags(argc, argv, wish)) return *exit;
  const std::string what = wish.words.empty() ? "" : wish.words[0];
  const bool named = what == "add" || what == "revoke";
  if (!named && what != "list") return Usage("say add, list or revoke");
  if (wish.words.size() != (named ? 2 : 1))
    return Usage(named ? absl::StrCat(what, " takes the name of a key") : std::string("list takes no name"));
  if (wish.limited && what != "add") return Usage("models and limits go with add alone");
  if (named) {
    // Somebody who pastes a key where its name belongs does not want it repeated.
    if (const absl::Status status = CheckKeyName(wish.words[1]); !status.ok())
      return Usage(absl::StrCat("the name of a key ", status.message()));
    wish.key.name = wish.words[1];
  }
  const auto config = LoadCommandConfig("keys", wish.sources);
  if (!config) return kBadUsage;
  const std::string file = config->KeysFile();
  if (what == "add") return Add(file, std::move(wish.key));
  return what == "revoke" ? Revoke(file, wish.key.name) : List(file);
}

}  // namespace switchyard
