#include "services/common/config/env_file.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/common/config/platforms.h"
#include "services/common/config/settings.h"

namespace switchyard {
namespace {

bool IsName(absl::string_view name) {
  return !name.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

absl::string_view Unquote(absl::string_view value) {
  const bool quoted =
      value.size() >= 2 && value.front() == value.back() && (value.front() == '"' || value.front() == '\'');
  return quoted ? value.substr(1, value.size() - 2) : value;
}

// A name that is nearly one of ours is one of ours, mistyped: an account that is silently not there would be missed for
// long. Two slips are forgiven to the environment, where every other program's variables are, too.
void FindSlips(const std::map<std::string, EnvEntry>& entries, std::vector<std::string>& faults) {
  for (const auto& [name, entry] : entries) {
    if (entry.value.empty()) continue;
    const int slips = entry.where == kEnvironment ? 1 : 2;
    const PlatformDefaults* near = nullptr;
    bool known = false;
    for (const PlatformDefaults& platform : Platforms()) {
      absl::string_view rest = name;
      const bool begins = absl::ConsumePrefix(&rest, platform.token_variable);
      known |= begins && (rest.empty() || rest[0] == '_');
      if (begins || EditDistance(name, platform.token_variable) <= slips) near = &platform;
    }
    if (near == nullptr || known) continue;
    faults.push_back(absl::StrCat(entry.where, ": ", name, ": there is no such variable; did you mean ",
                                  near->token_variable, ", or ", near->token_variable, "_2 for a further account?"));
  }
}

}  // namespace

std::map<std::string, EnvEntry> ParseEnvFile(absl::string_view text, absl::string_view file,
                                             std::vector<std::string>& faults) {
  std::map<std::string, EnvEntry> entries;
  text = absl::StripPrefix(text, "\xEF\xBB\xBF");
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const std::string where = absl::StrCat(file, ":", number);
    line = absl::StripSuffix(line, "\r");
    const absl::string_view bare = absl::StripLeadingAsciiWhitespace(line);
    if (absl::StripAsciiWhitespace(bare).empty() || bare[0] == '#') continue;
    const size_t equals = bare.find('=');
    if (equals == absl::string_view::npos) {
      faults.push_back(absl::StrCat(where, ": not of the form NAME=value"));
      continue;
    }
    const absl::string_view name = absl::StripAsciiWhitespace(absl::StripPrefix(bare.substr(0, equals), "export "));
    if (!IsName(name)) {
      faults.push_back(absl::StrCat(where, ": what stands before '=' is not a name"));
      continue;
    }
    const absl::string_view value = bare.substr(equals + 1);
    if (value.find('\0') != absl::string_view::npos) {
      faults.push_back(absl::StrCat(where, ": ", name, ": the value holds a NUL"));
      continue;
    }
    if (const auto earlier = entries.find(std::string(name)); earlier != entries.end()) {
      faults.push_back(absl::StrCat(where, ": ", name, " is already set at ", earlier->second.where));
      continue;
    }
    entries[std::string(name)] = {std::string(Unquote(absl::StripAsciiWhitespace(value))), where};
  }
  return entries;
}

std::vector<AccountConfig> AccountsOf(const std::map<std::string, EnvEntry>& entries,
                                      std::vector<std::string>& faults) {
  FindSlips(entries, faults);
  std::vector<AccountConfig> accounts;
  for (const PlatformDefaults& platform : Platforms()) {
    std::map<int64_t, std::pair<std::string, EnvEntry>> numbered;
    for (const auto& [name, entry] : entries) {
      if (!absl::StartsWith(name, platform.token_variable)) continue;
      const absl::string_view suffix = absl::string_view(name).substr(platform.token_variable.size());
      int64_t number = 1;
      if (!suffix.empty()) {
        if (suffix[0] != '_') continue;
        if (!absl::SimpleAtoi(suffix.substr(1), &number) || number < 2 || suffix[1] == '0') {
          faults.push_back(absl::StrCat(entry.where, ": ", name,
                                        ": further accounts are numbered from 2: ", platform.token_variable, "_2"));
          continue;
        }
      }
      if (!entry.value.empty()) numbered[number] = {name, entry};
    }
    std::map<std::string, std::string> seen;
    for (const auto& [number, named] : numbered) {
      const auto& [name, entry] = named;
      const auto [earlier, fresh] = seen.emplace(entry.value, name);
      if (!fresh) {
        faults.push_back(absl::StrCat(entry.where, ": ", name, " holds the same token as ", earlier->second));
        continue;
      }
      accounts.push_back({std::string(platform.name),
                          number == 1 ? std::string(platform.name) : absl::StrCat(platform.name, "-", number),
                          Secret(entry.value)});
    }
  }
  return accounts;
}

}  // namespace switchyard
