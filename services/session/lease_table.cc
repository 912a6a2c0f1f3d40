#include "services/session/lease_table.h"

#include <algorithm>
#include <utility>

#include "services/common/status/reason.h"

namespace switchyard {
namespace {

// A guess at a turn's length where only the number of waiting turns is known.
constexpr absl::Duration kTypicalTurn = absl::Seconds(5);
constexpr absl::Duration kShortestWait = absl::Seconds(1);

std::chrono::nanoseconds Nanos(absl::Duration duration) { return absl::ToChronoNanoseconds(duration); }

}  // namespace

bool LeaseTable::Free(const Use& use, Now now) const {
  if (use.in_flight + use.elsewhere >= options_.max_in_flight) return false;
  return !use.last_end || now - *use.last_end >= Nanos(options_.spacing);
}

std::optional<std::string> LeaseTable::Pick(const LeaseWish& wish, Now now, const Usable& usable) const {
  const std::string* best = nullptr;
  uint64_t best_used = 0;
  for (const auto& [label, use] : accounts_) {
    if (!wish.account.empty() && label != wish.account) continue;
    if (std::find(wish.exclude.begin(), wish.exclude.end(), label) != wish.exclude.end()) continue;
    if (!Free(use, now) || !usable(label)) continue;
    if (best == nullptr || use.last_used < best_used) {
      best = &label;
      best_used = use.last_used;
    }
  }
  if (best == nullptr) return std::nullopt;
  return *best;
}

absl::StatusOr<LeaseTable::Id> LeaseTable::Enqueue(LeaseWish wish, Now now) {
  const size_t places = accounts_.size() * static_cast<size_t>(options_.queue_depth);
  // Who can be served at once never stands in the queue, so needs no place in it.
  const bool at_once = Pick(wish, now, [](const std::string&) { return true; }).has_value();
  if (queue_.size() >= places && !at_once) {
    return MakeError(
        Reason::REASON_ACCOUNT_BUSY,
        "Every account of this platform is busy and its queue is full. Try again later, or add an account.",
        {.retry_after = EstimatedWait(now), .cause = "queue_full"});
  }
  queue_.push_back({next_id_, std::move(wish), now});
  return next_id_++;
}

std::vector<LeaseTable::Grant> LeaseTable::GrantReady(Now now, const Usable& usable) {
  std::vector<Grant> grants;
  for (;;) {
    // The caller served longest ago is next; within a caller, the oldest request.
    auto chosen = queue_.end();
    std::optional<std::string> account;
    uint64_t chosen_served = 0;
    for (auto at = queue_.begin(); at != queue_.end(); ++at) {
      const auto served = last_served_.find(at->wish.caller);
      const uint64_t turn = served == last_served_.end() ? 0 : served->second;
      if (chosen != queue_.end() && turn >= chosen_served) continue;
      auto pick = Pick(at->wish, now, usable);
      if (!pick) continue;
      chosen = at;
      chosen_served = turn;
      account = std::move(pick);
    }
    if (chosen == queue_.end()) break;
    Use& use = accounts_[*account];
    ++use.in_flight;
    use.last_used = ++turns_;
    last_served_[chosen->wish.caller] = turns_;
    grants.push_back({chosen->id, *account, std::move(chosen->wish), chosen->since, chosen_served});
    queue_.erase(chosen);
  }
  // Who does not wait has no turn to lose.
  if (queue_.empty() && last_served_.size() > 1024) last_served_.clear();
  return grants;
}

std::vector<LeaseTable::Id> LeaseTable::TakeOverdue(Now now) {
  std::vector<Id> overdue;
  for (auto at = queue_.begin(); at != queue_.end();) {
    if (now - at->since >= Nanos(options_.queue_limit)) {
      overdue.push_back(at->id);
      at = queue_.erase(at);
    } else {
      ++at;
    }
  }
  return overdue;
}

void LeaseTable::Withdraw(Id id) {
  queue_.remove_if([&](const Waiting& waiting) { return waiting.id == id; });
}

void LeaseTable::Release(const std::string& account, Now now) {
  const auto found = accounts_.find(account);
  if (found == accounts_.end() || found->second.in_flight == 0) return;
  --found->second.in_flight;
  found->second.last_end = now;
}

void LeaseTable::PutBack(Grant grant) {
  Use& use = accounts_[grant.account];
  if (use.in_flight > 0) --use.in_flight;
  last_served_[grant.wish.caller] = grant.served_before;
  // Ids grow with arrival.
  const auto place = std::find_if(queue_.begin(), queue_.end(), [&](const Waiting& one) { return one.id > grant.id; });
  queue_.insert(place, {grant.id, std::move(grant.wish), grant.since});
}

void LeaseTable::Take(const std::string& account) {
  Use& use = accounts_[account];
  ++use.in_flight;
  use.last_used = ++turns_;
}

void LeaseTable::SetElsewhere(const std::string& account, int uses, Now now) {
  const auto found = accounts_.find(account);
  if (found == accounts_.end()) return;
  if (uses < found->second.elsewhere) found->second.last_end = now;
  found->second.elsewhere = uses;
}

std::optional<LeaseTable::Now> LeaseTable::NextEvent(Now now) const {
  if (queue_.empty()) return std::nullopt;
  std::optional<Now> next;
  const auto consider = [&](Now at) {
    if (at > now && (!next || at < *next)) next = at;
  };
  for (const Waiting& waiting : queue_) consider(waiting.since + Nanos(options_.queue_limit));
  for (const auto& [label, use] : accounts_) {
    if (use.in_flight + use.elsewhere < options_.max_in_flight && use.last_end)
      consider(*use.last_end + Nanos(options_.spacing));
  }
  return next;
}

absl::Duration LeaseTable::EstimatedWait(Now) const {
  const auto accounts =
      static_cast<double>(std::max<size_t>(accounts_.size(), 1) * static_cast<size_t>(options_.max_in_flight));
  const absl::Duration a_turn = kTypicalTurn + options_.spacing;
  return std::max(kShortestWait,
                  absl::Ceil(a_turn * (static_cast<double>(queue_.size() + 1) / accounts), absl::Seconds(1)));
}

int LeaseTable::in_flight(const std::string& account) const {
  const auto found = accounts_.find(account);
  return found == accounts_.end() ? 0 : found->second.in_flight;
}

std::optional<int> LeaseTable::PositionOf(Id id) const {
  int position = 0;
  for (const Waiting& waiting : queue_) {
    if (waiting.id == id) return position;
    ++position;
  }
  return std::nullopt;
}

}  // namespace switchyard
