#include "services/session/ledger.h"

#include <algorithm>

namespace switchyard {
namespace {

// A platform that refuses a deletion five times over an hour will refuse the sixth.
constexpr int kMostFailures = 5;
constexpr absl::Duration kFirstPause = absl::Minutes(2);
// DeepSeek's sessions expire by themselves after three days (protocol notes, section 1.3); of the others nothing is
// known, so what an account that is out of order has left waits until it works again, for as long as that is likely.
constexpr absl::Duration kOldest = absl::Hours(24 * 30);

absl::Duration PauseAfter(int failures) { return kFirstPause * (1 << std::min(failures, 8)); }

}  // namespace

void Ledger::Restore(const std::string& account, const std::string& ref, absl::Time opened, int failures) {
  entries_[account][ref] = {.opened = opened, .failures = failures, .pending = true};
}

void Ledger::Open(const std::string& account, const std::string& ref, absl::Time now, const std::string& slot) {
  entries_[account][ref] = {.opened = now, .in_use = true, .slot = slot};
}

void Ledger::Seen(const std::string& account, const std::string& ref, absl::Time opened, int failures,
                  const std::string& slot, bool held, absl::Time now) {
  const auto [found, fresh] = entries_[account].try_emplace(ref);
  Entry& entry = found->second;
  if (entry.in_use) return;  // this process knows better
  entry.opened = opened;
  if (failures > entry.failures && !fresh) entry.not_before = now + PauseAfter(failures);
  entry.failures = failures;
  entry.slot = held ? slot : std::string();
  entry.pending = !held;
}

void Ledger::Yield(const std::string& account, const std::set<std::string>& refs) {
  const auto of_account = entries_.find(account);
  if (of_account == entries_.end()) return;
  for (const std::string& ref : refs) {
    const auto found = of_account->second.find(ref);
    if (found == of_account->second.end()) continue;
    found->second.in_use = false;
    found->second.pending = found->second.slot.empty();
  }
}

void Ledger::SlotEnded(const std::string& account, const std::string& slot) {
  const auto of_account = entries_.find(account);
  if (of_account == entries_.end() || slot.empty()) return;
  for (auto& [ref, entry] : of_account->second) {
    if (entry.slot != slot) continue;
    entry.slot.clear();
    if (!entry.in_use) entry.pending = true;
  }
}

bool Ledger::Drop(const std::string& account, const std::string& ref) {
  const auto found = entries_.find(account);
  if (found == entries_.end() || found->second.erase(ref) == 0) return false;
  if (found->second.empty()) entries_.erase(found);
  return true;
}

void Ledger::Settle(const std::string& account, const std::set<std::string>& refs, absl::Time now,
                    bool count_failures) {
  const auto of_account = entries_.find(account);
  if (of_account == entries_.end()) return;
  for (const std::string& ref : refs) {
    const auto found = of_account->second.find(ref);
    if (found == of_account->second.end()) continue;
    Entry& entry = found->second;
    if (entry.pending && entry.in_use && count_failures) {
      ++entry.failures;
      entry.not_before = now + PauseAfter(entry.failures);
    }
    entry.pending = true;
    entry.in_use = false;
    entry.slot.clear();
  }
}

bool Ledger::HasPending(const std::string& account, absl::Time now) const {
  const auto found = entries_.find(account);
  if (found == entries_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const auto& entry) {
    return entry.second.pending && !entry.second.in_use && entry.second.not_before <= now;
  });
}

std::vector<std::string> Ledger::TakePending(const std::string& account, size_t most, absl::Time now) {
  std::vector<std::string> refs;
  for (auto& [ref, entry] : entries_[account]) {
    if (refs.size() == most) break;
    if (!entry.pending || entry.in_use || entry.not_before > now) continue;
    entry.in_use = true;
    refs.push_back(ref);
  }
  return refs;
}

int Ledger::Count(const std::string& account) const {
  const auto found = entries_.find(account);
  return found == entries_.end() ? 0 : static_cast<int>(found->second.size());
}

int Ledger::CountPending(const std::string& account) const {
  const auto found = entries_.find(account);
  if (found == entries_.end()) return 0;
  return static_cast<int>(std::count_if(found->second.begin(), found->second.end(),
                                        [](const auto& entry) { return entry.second.pending; }));
}

const Ledger::Entry* Ledger::Find(const std::string& account, const std::string& ref) const {
  const auto found = entries_.find(account);
  if (found == entries_.end()) return nullptr;
  const auto entry = found->second.find(ref);
  return entry == found->second.end() ? nullptr : &entry->second;
}

std::vector<std::pair<std::string, std::string>> Ledger::TakeHopeless(absl::Time now) {
  std::vector<std::pair<std::string, std::string>> hopeless;
  for (auto& [account, entries] : entries_) {
    for (auto at = entries.begin(); at != entries.end();) {
      const Entry& entry = at->second;
      if (!entry.in_use && entry.pending && (entry.failures >= kMostFailures || now - entry.opened > kOldest)) {
        hopeless.emplace_back(account, at->first);
        at = entries.erase(at);
      } else {
        ++at;
      }
    }
  }
  return hopeless;
}

}  // namespace switchyard
