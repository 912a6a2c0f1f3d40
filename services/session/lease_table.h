// Who uses which account, and who waits for one: in-flight limits, spacing, a fair bounded queue. Pure: every call
// takes `now`, and nothing here waits.
//
//   LeaseTable table({.max_in_flight = 1, .spacing = absl::Seconds(2), .queue_depth = 8});
//   table.AddAccount("deepseek");
//   auto id = table.Enqueue({.caller = "key-1"}, now);
//   for (auto& grant : table.GrantReady(now, usable)) …
//
// Fair: callers take turns, each with its own requests in order, so one that sends many does not hold up one that sends
// few. Among the accounts that could serve, the one unused for longest is taken.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/common/time/clock.h"

namespace switchyard {

struct LeaseWish {
  std::string caller = {};
  std::string account = {};               // the only one that will do; empty for any
  std::vector<std::string> exclude = {};  // those that will not
};

class LeaseTable {
 public:
  using Now = Clock::Monotonic;
  using Id = uint64_t;
  using Usable = std::function<bool(const std::string& account)>;

  struct Options {
    int max_in_flight = 1;
    absl::Duration spacing = absl::ZeroDuration();  // from the end of one use to the start of the next
    int queue_depth = 8;                            // waiting, an account
    absl::Duration queue_limit = absl::Seconds(60);
  };
  struct Grant {
    Id id;
    std::string account;
    LeaseWish wish = {};
    Now since = {};              // when it was first asked for
    uint64_t served_before = 0;  // its caller's turn before this one
  };

  explicit LeaseTable(Options options) : options_(options) {}

  void AddAccount(const std::string& account) { accounts_[account]; }

  /// Takes a place in the queue. RESOURCE_EXHAUSTED (ACCOUNT_BUSY, retry_after) if it is full.
  absl::StatusOr<Id> Enqueue(LeaseWish wish, Now now);

  /// Gives what can be given to those whose turn it is. `usable` says which accounts are healthy.
  std::vector<Grant> GrantReady(Now now, const Usable& usable);

  /// Those that waited too long, taken out of the queue.
  std::vector<Id> TakeOverdue(Now now);

  /// Leaves the queue; no effect if not in it.
  void Withdraw(Id id);

  /// Ends one use of the account.
  void Release(const std::string& account, Now now);

  /// A grant that came to nothing, because another process was first: the wish stands where it stood.
  void PutBack(Grant grant);

  /// A use that began elsewhere goes on here, whatever the limits say.
  void Take(const std::string& account);

  /// How many uses of the account other processes have; fewer than before is the end of one.
  void SetElsewhere(const std::string& account, int uses, Now now);

  /// When GrantReady() or TakeOverdue() may next have something, if nothing else happens.
  std::optional<Now> NextEvent(Now now) const;

  /// How long a newcomer would wait at least; what ACCOUNT_BUSY tells.
  absl::Duration EstimatedWait(Now now) const;

  int queued() const { return static_cast<int>(queue_.size()); }
  /// Of this process.
  int in_flight(const std::string& account) const;
  std::optional<int> PositionOf(Id id) const;

 private:
  struct Use {
    int in_flight = 0;
    int elsewhere = 0;
    std::optional<Now> last_end;
    uint64_t last_used = 0;  // a counter, not a time: ties matter
  };
  struct Waiting {
    Id id;
    LeaseWish wish;
    Now since;
  };

  bool Free(const Use& use, Now now) const;
  std::optional<std::string> Pick(const LeaseWish& wish, Now now, const Usable& usable) const;

  const Options options_;
  std::map<std::string, Use> accounts_;
  std::list<Waiting> queue_;                     // by arrival
  std::map<std::string, uint64_t> last_served_;  // caller -> turn, for taking turns
  uint64_t turns_ = 0;
  Id next_id_ = 1;
};

}  // namespace switchyard
