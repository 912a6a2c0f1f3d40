// What the commands of `switchyard` have in common: the flags for the configuration, and what is said of one with
// faults.
#pragma once

#include <optional>
#include <string>

#include "services/common/config/config.h"

namespace switchyard {

/// The exit status for bad flags or configuration.
constexpr int kBadUsage = 2;

/// Of a command that says nothing else: those that RunProgram() reads, too.
inline ConfigSources DefaultSources() {
  return {.file = "config.yaml", .file_optional = true, .env_file = ".env", .env_file_optional = true};
}

/// Reads the flags of a command that has --config, --env-file and --help alone; `argv[0]` is its name.
/// @return the exit status if the command is to end here; what there is to say has been said then
std::optional<int> ReadConfigFlags(int argc, char** argv, const char* help, ConfigSources& sources);

/// @param command its name, "health"
/// @return nothing if it has faults, which have been printed then: the exit status is kBadUsage
std::optional<Config> LoadCommandConfig(const std::string& command, const ConfigSources& sources);

}  // namespace switchyard
