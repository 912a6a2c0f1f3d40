// How long an account rests when Metaso limits it without saying for how long: two minutes, and twice as long each time
// that it is limited again before a search succeeds, up to an hour.
//
//   CoolDowns rests(clock);
//   absl::Duration wait = rests.Limited(account.token);
//   rests.Succeeded(account.token);
//
// Thread-safe. Source: protocol notes of Metaso, section 7.
#pragma once

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/common/text/secret.h"
#include "services/common/time/clock.h"

namespace switchyard::metaso {

class CoolDowns {
 public:
  /// @param clock outlives it
  explicit CoolDowns(const Clock& clock) : clock_(clock) {}

  /// @param cookies the account's credential
  absl::Duration Limited(const Secret& cookies);
  void Succeeded(const Secret& cookies);

 private:
  struct Entry {
    Secret cookies;
    absl::Duration wait;
    Clock::Monotonic until;
  };

  const Clock& clock_;
  absl::Mutex mutex_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // the oldest first; few
};

}  // namespace switchyard::metaso
