#include "services/metaso/cool_downs.h"

#include <algorithm>

namespace switchyard::metaso {
namespace {

constexpr absl::Duration kFirst = absl::Seconds(120);
constexpr absl::Duration kLongest = absl::Hours(1);
// Callers may bring accounts of their own; the oldest entries make room.
constexpr size_t kMostEntries = 256;

}  // namespace

absl::Duration CoolDowns::Limited(const Secret& cookies) {
  absl::MutexLock lock(&mutex_);
  const Clock::Monotonic now = clock_.MonotonicNow();
  auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.cookies == cookies; });
  if (entry == entries_.end()) {
    if (entries_.size() == kMostEntries) entries_.erase(entries_.begin());
    entries_.push_back({cookies, kFirst, now});
    entry = entries_.end() - 1;
  } else if (now >= entry->until) {
    // Searches that were limited together count as one.
    entry->wait = std::min(entry->wait * 2, kLongest);
  }
  entry->until = now + absl::ToChronoNanoseconds(entry->wait);
  return entry->wait;
}

void CoolDowns::Succeeded(const Secret& cookies) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(entries_, [&](const Entry& entry) { return entry.cookies == cookies; });
}

}  // namespace switchyard::metaso
