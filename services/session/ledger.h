// The conversations that the relay opened on the platforms and has to delete. In memory, beside the store; pure.
//
// A conversation is open while the lease that opened it lasts, pending once that ended without deleting it, and handed
// out for cleaning up to one lease at a time.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace switchyard {

class Ledger {
 public:
  /// What an earlier process left: pending at once.
  void Restore(const std::string& account, const std::string& ref, absl::Time opened, int failures);

  void Open(const std::string& account, const std::string& ref, absl::Time now, const std::string& slot = "");
  /// What another process has opened, or said of it; pending unless it is `held` by the use that opened it.
  void Seen(const std::string& account, const std::string& ref, absl::Time opened, int failures,
            const std::string& slot, bool held, absl::Time now);
  /// The lease that has them in use here goes on elsewhere, or will: they are neither in use nor pending.
  void Yield(const std::string& account, const std::set<std::string>& refs);
  /// A use is over, wherever it was: what it has left is pending.
  void SlotEnded(const std::string& account, const std::string& slot);
  /// Deleted, or kept on purpose: off the ledger. @return whether it was on it.
  bool Drop(const std::string& account, const std::string& ref);
  /// The lease that opened them, or that had them to clean up, has ended: what is still there is pending. A failed
  /// clean-up counts if `count_failures`.
  void Settle(const std::string& account, const std::set<std::string>& refs, absl::Time now, bool count_failures);

  /// Up to `most` pending ones of the account, handed out until Settle() or Drop().
  std::vector<std::string> TakePending(const std::string& account, size_t most, absl::Time now);
  bool HasPending(const std::string& account, absl::Time now) const;
  /// On the ledger, whether open or pending.
  int Count(const std::string& account) const;
  /// Left over by leases that have ended, handed out or not.
  int CountPending(const std::string& account) const;

  struct Entry {
    absl::Time opened;
    absl::Time not_before = absl::InfinitePast();  // back-off after a failed clean-up
    int failures = 0;
    bool in_use = false;
    bool pending = false;
    std::string slot = {};  // the use that has it open; empty once that is over
  };
  const Entry* Find(const std::string& account, const std::string& ref) const;

  /// What has failed too often or is so old that the platform has dropped it itself; taken off the ledger.
  std::vector<std::pair<std::string, std::string>> TakeHopeless(absl::Time now);

 private:
  std::map<std::string, std::map<std::string, Entry>> entries_;  // account -> ref
};

}  // namespace switchyard
