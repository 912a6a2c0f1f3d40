// What configuration knows of each platform: where it is, how gently it is treated, and the settings on which sources
// about it disagree. One table, in platforms.cc.
//
// Thread-safe: constant data.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace switchyard {

/// One of `providers.<platform>.options`: what is uncertain about a platform, so that it can be changed without a new
/// version.
struct PlatformOption {
  enum class Kind {
    kHeader,  // text for a header or a query: visible ASCII
    kWhole,   // a whole number from `low` to `high`
    kChoice,  // one of `choices`
    kOrigin,  // http or https origin; may be empty
    kPath,    // of a URL: visible ASCII from '/' on
  };
  absl::string_view name;
  absl::string_view fallback;  // the default
  Kind kind = Kind::kHeader;
  std::vector<absl::string_view> choices = {};
  int64_t low = 0;
  int64_t high = 0;
};

struct PlatformDefaults {
  absl::string_view name;                   // "deepseek"
  absl::string_view base_url;               // "https://chat.deepseek.com"
  absl::string_view token_variable;         // "DEEPSEEK_TOKEN"
  uint16_t port;                            // of its service: 8021
  absl::Duration spacing;                   // between two turns on one account
  std::vector<absl::string_view> dialects;  // of its protocol, the default first
  std::vector<PlatformOption> options;
  absl::Duration longest_cool_down = absl::Minutes(10);  // of an account that is limited; source: fault list, Q1
};

/// In the order of the documentation.
const std::vector<PlatformDefaults>& Platforms();

}  // namespace switchyard
