// Accounts and overrides from .env and the environment. Internal to the configuration loader.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/common/config/config.h"

namespace switchyard {

inline constexpr absl::string_view kEnvironment = "environment";

struct EnvEntry {
  std::string value;
  std::string where;  // ".env:3", or kEnvironment
};

/// KEY=VALUE lines: the value verbatim after the first '=', one pair of outer quotes stripped, nothing expanded.
/// Faults, which never quote a value, are appended.
std::map<std::string, EnvEntry> ParseEnvFile(absl::string_view text, absl::string_view file,
                                             std::vector<std::string>& faults);

/// DEEPSEEK_TOKEN, DEEPSEEK_TOKEN_2, … of all platforms, in the order of their numbers.
std::vector<AccountConfig> AccountsOf(const std::map<std::string, EnvEntry>& entries, std::vector<std::string>& faults);

}  // namespace switchyard
