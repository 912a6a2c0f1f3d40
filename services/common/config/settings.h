// Every setting by its dotted path, each with how its text is read. config.yaml and the environment fill the same
// table, so neither can know a setting that the other does not. Internal to the configuration loader.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "services/common/config/config.h"

namespace switchyard {

/// Reads `text` into its field. @return what is wrong with it ("must be …"), or "".
using SettingReader = std::function<std::string(const std::string& text)>;

/// The settings of `config`, which outlives the table: "server.port", "providers.deepseek.spacing", …
/// @param mutual_tls whether gRPC addresses may be those of other machines
std::map<std::string, SettingReader> SettingsOf(Config& config, bool mutual_tls);

/// The known name nearest to `name`, or "" if none is near.
std::string NearestName(absl::string_view name, const std::map<std::string, SettingReader>& settings);

}  // namespace switchyard
