// How many of something run at once, up to a limit: who finds it full is refused at once instead of being kept waiting.
//
//   InFlightLimit turns(2048);
//   const auto place = turns.Enter();
//   if (!place) co_return MakeError(Reason::REASON_OVERLOADED, …);
#pragma once

#include <atomic>
#include <optional>
#include <utility>

namespace switchyard {

/// Thread-safe. Outlives its places.
class InFlightLimit {
 public:
  /// One of those that run, until it is destroyed.
  class Place {
   public:
    explicit Place(std::atomic<int>& count) : count_(&count) {}
    Place(Place&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (count_ != nullptr) count_->fetch_sub(1);
    }

   private:
    std::atomic<int>* count_;
  };

  /// @param limit 1 and up
  explicit InFlightLimit(int limit) : limit_(limit) {}

  /// @return nullopt if `limit` are running.
  std::optional<Place> Enter() {
    if (count_.fetch_add(1) < limit_) return Place(count_);
    count_.fetch_sub(1);
    return std::nullopt;
  }
  /// A look without entering: what it says may have changed when it is acted upon.
  bool full() const { return count_ >= limit_; }
  int count() const { return count_; }

 private:
  const int limit_;
  std::atomic<int> count_{0};
};

}  // namespace switchyard
