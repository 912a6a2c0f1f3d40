// Every setting by its dotted path, each with how its text is read. config.yaml and the environment fill the same
// table, so neither can know a setting that the other does not. Internal to the configuration loader.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "services/common/config/config.h"

namespace switchyard {

struct Setting {
  /// Reads `text` into its field. @return what is wrong with it ("must be …"), or "".
  std::function<std::string(const std::string& text)> read;
  /// Its field as YAML; a secret as "(set)".
  std::function<std::string()> show;
  /// In config.yaml a list of single values, which reach `read` joined by ','.
  bool list = false;
};
using Settings = std::map<std::string, Setting>;

/// The settings of `config`, which outlives the table: "server.port", "providers.deepseek.spacing", …
/// @param mutual_tls whether gRPC addresses may be those of other machines
Settings SettingsOf(Config& config, bool mutual_tls);

/// The known name nearest to `name`, or "" if none is near.
std::string NearestName(absl::string_view name, const Settings& settings);

/// How many characters to put in, take out or change to make one of the other.
int EditDistance(absl::string_view a, absl::string_view b);

}  // namespace switchyard
