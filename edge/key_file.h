// The file of API keys: names, what each may do, and a hash of each key; never a key.
//
//   keys:
//     - name: laptop
//       sha256: "4f…"                # of the key; 64 hex digits
//       models: [deepseek-chat]      # left out: all
//       requests_per_minute: 60      # left out: no limit
//       concurrent_streams: 2        # left out: no limit
//       created: "2026-11-25T08:00:00Z"
//
// Thread-safe: functions. They read and write files, and block for that.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/common/text/secret.h"

namespace switchyard {

/// A caller's key, as it is kept.
struct ApiKey {
  std::string name;                 // 1 to 64 letters, digits, '.', '_' or '-'
  std::string digest;               // DigestOf() the key, 32 bytes
  std::vector<std::string> models;  // exact ids; empty: all
  int requests_per_minute = 0;      // 1 to 100000; 0: no limit
  int concurrent_streams = 0;       // 1 to 100000; 0: no limit
  std::string created;              // for people
};

inline constexpr int kMaxKeyLimit = 100000;
/// What the names of keys from the configuration begin with; a key of the file may not.
inline constexpr absl::string_view kConfiguredPrefix = "configured-";

/// "sk-sy-" and 43 characters for 32 bytes of OpenSSL's generator. INTERNAL if it has none.
absl::StatusOr<Secret> NewApiKey();

/// The SHA-256 of a key. A plain hash is enough, and right: a key has 256 bits of randomness, so there is nothing to
/// guess that a slow, salted hash would make slower, and every request has to compute it.
std::string DigestOf(absl::string_view key);

/// INVALID_ARGUMENT unless it can be the name of a key of the file.
absl::Status CheckKeyName(absl::string_view name);

/// INVALID_ARGUMENT with every fault, one a line, each with its line: "keys.yaml:7: …".
absl::StatusOr<std::vector<ApiKey>> ParseKeyFile(absl::string_view text, absl::string_view file);
std::string FormatKeyFile(const std::vector<ApiKey>& keys);

/// NOT_FOUND if there is none; otherwise as ParseKeyFile().
absl::StatusOr<std::vector<ApiKey>> ReadKeyFile(const std::string& path);

/// Reads the file, lets `change` have the keys, and writes it: mode 0600, whole or not at all, on disk when this
/// returns. One at a time, also among processes. A file that is not there is one without keys, unless
/// `must_exist`. Errors of `change` leave it as it was.
absl::Status UpdateKeyFile(const std::string& path, bool must_exist,
                           const std::function<absl::Status(std::vector<ApiKey>& keys)>& change);

}  // namespace switchyard
