// Encryption at rest: AES-256-GCM under one key, every value bound to the place it belongs to.
//
//   Sealer sealer(key);
//   std::string sealed = sealer.Seal(token.Reveal(), "account:deepseek");
//   auto token = sealer.Open(sealed, "account:deepseek");   // DATA_LOSS for any other place or key
//
// Thread-safe: immutable.
#pragma once

#include <array>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/common/text/secret.h"

namespace switchyard {

class Sealer {
 public:
  /// @param key 64 hex digits, as StoreKey() answers.
  explicit Sealer(const Secret& key);

  /// Nonce, ciphertext and tag; never the same twice. @param place where the value belongs: row and column.
  std::string Seal(absl::string_view plain, absl::string_view place) const;

  /// DATA_LOSS if it was made with another key or for another place, or was changed.
  absl::StatusOr<std::string> Open(absl::string_view sealed, absl::string_view place) const;

  /// A keyed digest, 64 hex digits: recognises a value without holding it, and tells nothing to who lacks the key.
  std::string Fingerprint(absl::string_view value) const;

 private:
  using Key = std::array<unsigned char, 32>;
  Key seal_key_{};
  Key fingerprint_key_{};
};

/// The key of a store, 64 hex digits: `configured` if it is set; else that of `key_file`, which is made, mode 0600, if
/// neither it nor the store exists. INVALID_ARGUMENT for something else than 64 hex digits, FAILED_PRECONDITION if
/// others may read the file, or if the store exists and its key file is gone; UNAVAILABLE if it cannot be made.
absl::StatusOr<Secret> StoreKey(const Secret& configured, const std::string& key_file, bool store_exists);

}  // namespace switchyard
