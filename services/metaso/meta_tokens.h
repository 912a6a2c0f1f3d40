// The tokens that Metaso's page hands out, kept for as long as they are good: one an account.
//
//   MetaTokens tokens(clock);
//   if (auto token = tokens.Find(account.token)) …
//   tokens.Keep(account.token, fetched);
//   tokens.Drop(account.token);   // after any error
//
// Thread-safe. Source: protocol notes of Metaso, section 3.1.
#pragma once

#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/common/text/secret.h"
#include "services/common/time/clock.h"
#include "services/metaso/platform.h"

namespace switchyard::metaso {

class MetaTokens {
 public:
  /// @param clock outlives it
  explicit MetaTokens(const Clock& clock) : clock_(clock) {}

  /// The account's token, if it is younger than kMetaTokenLife. @param cookies the account's credential
  std::optional<Secret> Find(const Secret& cookies);
  void Keep(const Secret& cookies, Secret token);
  void Drop(const Secret& cookies);

 private:
  struct Entry {
    Secret cookies;
    Secret token;
    Clock::Monotonic got;
  };
  void Forget(const Secret& cookies) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  absl::Mutex mutex_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // the newest last; few
};

}  // namespace switchyard::metaso
