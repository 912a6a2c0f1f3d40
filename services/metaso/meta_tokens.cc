#include "services/metaso/meta_tokens.h"

#include <utility>

namespace switchyard::metaso {
namespace {

// Callers may bring accounts of their own; the oldest tokens make room.
constexpr size_t kMostEntries = 256;

}  // namespace

std::optional<Secret> MetaTokens::Find(const Secret& cookies) {
  absl::MutexLock lock(&mutex_);
  const auto oldest = clock_.MonotonicNow() - absl::ToChronoNanoseconds(kMetaTokenLife);
  for (const Entry& entry : entries_) {
    if (entry.cookies == cookies && entry.got > oldest) return entry.token;
  }
  return std::nullopt;
}

void MetaTokens::Keep(const Secret& cookies, Secret token) {
  absl::MutexLock lock(&mutex_);
  Forget(cookies);
  if (entries_.size() == kMostEntries) entries_.erase(entries_.begin());
  entries_.push_back({cookies, std::move(token), clock_.MonotonicNow()});
}

void MetaTokens::Drop(const Secret& cookies) {
  absl::MutexLock lock(&mutex_);
  Forget(cookies);
}

void MetaTokens::Forget(const Secret& cookies) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.cookies == cookies; });
}

}  // namespace switchyard::metaso
