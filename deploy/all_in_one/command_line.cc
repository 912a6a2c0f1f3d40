#include "deploy/all_in_one/command_line.h"

#include <getopt.h>

#include <array>
#include <cstdio>
#include <utility>

namespace switchyard {

std::optional<int> ReadConfigFlags(int argc, char** argv, const char* help, ConfigSources& sources) {
  enum { kConfig = 1, kEnvFile, kHelpFlag };
  constexpr std::array kOptions = {
      option{"config", required_argument, nullptr, kConfig},
      option{"env-file", required_argument, nullptr, kEnvFile},
      option{"help", no_argument, nullptr, kHelpFlag},
      option{nullptr, 0, nullptr, 0},
  };
  for (int chosen; (chosen = getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    if (chosen == kConfig) {
      sources.file = optarg;
      sources.file_optional = false;
    } else if (chosen == kEnvFile) {
      sources.env_file = optarg;
      sources.env_file_optional = false;
    } else if (chosen == kHelpFlag || chosen == 'h') {
      std::fputs(help, stdout);
      return 0;
    } else {
      std::fprintf(stderr, "switchyard %s --help lists the flags.\n", argv[0]);
      return kBadUsage;
    }
  }
  if (optind == argc) return std::nullopt;
  std::fprintf(stderr, "switchyard %s takes no arguments besides its flags; '%s' is one.\n", argv[0], argv[optind]);
  return kBadUsage;
}

std::optional<Config> LoadCommandConfig(const std::string& command, const ConfigSources& sources) {
  auto config = LoadConfig(sources, ProcessEnvironment());
  if (config.ok()) return *std::move(config);
  std::fprintf(stderr, "switchyard %s: the configuration has faults:\n%s\n", command.c_str(),
               std::string(config.status().message()).c_str());
  return std::nullopt;
}

}  // namespace switchyard
