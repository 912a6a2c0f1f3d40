#include "edge/api_keys.h"

#include <openssl/crypto.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/catalogue/catalogue.h"
#include "services/common/log/log.h"
#include "services/common/status/reason.h"

namespace switchyard {

// Lives on when its key is read anew, or revoked while a request runs.
struct Caller::Turn::Usage {
  absl::Mutex mutex;
  RequestWindow window ABSL_GUARDED_BY(mutex);
  int running ABSL_GUARDED_BY(mutex) = 0;
};

namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(1);
// When a stream of the caller's may have ended.
constexpr absl::Duration kStreamRetry = absl::Seconds(2);

absl::Status Unknown(absl::string_view message) { return MakeError(Reason::REASON_CALLER_UNKNOWN, message); }

bool IsPlatform(absl::string_view name) {
  return std::any_of(AllModels().begin(), AllModels().end(),
                     [name](const ModelEntry& model) { return model.platform == name; });
}

}  // namespace

// ---- Caller

Caller::Turn::~Turn() {
  if (!usage_) return;
  absl::MutexLock lock(&usage_->mutex);
  --usage_->running;
}

bool Caller::MayUse(absl::string_view model) const {
  if (!own_platform_.empty()) {
    const ModelEntry* entry = FindModel(model);
    return entry != nullptr && entry->platform == own_platform_;
  }
  return !key_ || key_->models.empty() ||
         std::find(key_->models.begin(), key_->models.end(), model) != key_->models.end();
}

absl::Status Caller::Admit(chat::v1::ChatRequest& request) const {
  if (FindModel(request.model()) != nullptr && !MayUse(request.model())) {
    const std::string why = own_platform_.empty()
                                ? absl::StrCat("This API key may not use the model '", request.model(),
                                               "'. GET /v1/models lists those that it may.")
                                : absl::StrCat("A token of ", own_platform_, " cannot be used with the model '",
                                               request.model(), "', which is another platform's.");
    return MakeError(Reason::REASON_CALLER_FORBIDDEN, why, {.field = "model"});
  }
  request.set_caller(name_);
  if (!own_token_.empty()) request.mutable_credential()->set_token(own_token_.Reveal());
  return absl::OkStatus();
}

absl::StatusOr<Caller::Turn> Caller::Begin(Clock::Monotonic now) const {
  Turn turn;
  if (!usage_) return turn;
  absl::MutexLock lock(&usage_->mutex);
  if (key_->concurrent_streams > 0 && usage_->running >= key_->concurrent_streams) {
    return MakeError(Reason::REASON_CALLER_RATE_LIMITED,
                     absl::StrCat("This API key may have ", key_->concurrent_streams,
                                  " requests at once, and as many are running. Try again when one has ended."),
                     {.retry_after = kStreamRetry, .cause = "concurrent_streams"});
  }
  if (const int limit = key_->requests_per_minute; limit > 0 && !usage_->window.Take(limit, now)) {
    return MakeError(
        Reason::REASON_CALLER_RATE_LIMITED,
        absl::StrCat("This API key may make ", limit, " requests a minute, and has made them. Try again later."),
        {.retry_after = usage_->window.Look(limit, now).retry_after, .cause = "requests_per_minute"});
  }
  ++usage_->running;
  turn.usage_ = usage_;
  return turn;
}

void Caller::SetLimitHeaders(HttpHeaders& headers, Clock::Monotonic now) const {
  if (!usage_ || key_->requests_per_minute == 0) return;
  absl::MutexLock lock(&usage_->mutex);
  const RequestWindow::State state = usage_->window.Look(key_->requests_per_minute, now);
  headers.Set("x-ratelimit-limit-requests", absl::StrCat(state.limit));
  headers.Set("x-ratelimit-remaining-requests", absl::StrCat(state.remaining));
  headers.Set("x-ratelimit-reset-requests", ResetText(state.reset));
}

// ---- ApiKeys

absl::StatusOr<std::unique_ptr<ApiKeys>> ApiKeys::Load(Options options, const Clock& clock) {
  std::unique_ptr<ApiKeys> keys(new ApiKeys(std::move(options), clock));
  absl::MutexLock lock(&keys->mutex_);
  keys->stamp_ = keys->Look();
  keys->looked_ = clock.MonotonicNow();
  keys->required_ = !keys->options_.plain.empty() || keys->stamp_.there;
  if (auto status = keys->Read(); !status.ok()) return status;
  return keys;
}

ApiKeys::Stamp ApiKeys::Look() const {
  Stamp stamp;
  struct stat info;
  if (options_.file.empty() || stat(options_.file.c_str(), &info) != 0) return stamp;
  stamp.there = true;
  stamp.inode = info.st_ino;
  stamp.size = info.st_size;
  stamp.written = absl::TimeFromTimespec(info.st_mtim);
  stamp.changed = absl::TimeFromTimespec(info.st_ctim);
  return stamp;
}

absl::Status ApiKeys::Read() {
  std::vector<ApiKey> read;
  if (stamp_.there || options_.file_must_exist) {
    auto keys = ReadKeyFile(options_.file);
    if (!keys.ok()) return keys.status();
    read = *std::move(keys);
  }
  for (size_t i = 0; i < options_.plain.size(); ++i) {
    ApiKey key;
    key.name = absl::StrCat(kConfiguredPrefix, i + 1);
    key.digest = DigestOf(options_.plain[i].Reveal());
    read.push_back(std::move(key));
  }
  std::map<std::string, std::shared_ptr<Caller::Turn::Usage>> usages;
  for (const Entry& entry : entries_) usages[entry.key->name] = entry.usage;
  std::vector<Entry> entries;
  for (ApiKey& key : read) {
    auto& usage = usages[key.name];
    if (!usage) usage = std::make_shared<Caller::Turn::Usage>();
    entries.push_back({std::make_shared<const ApiKey>(std::move(key)), usage});
  }
  entries_ = std::move(entries);
  return absl::OkStatus();
}

// Looked at by the requests themselves, so that nothing runs when nobody asks. A file that is not good, or gone, leaves
// the keys as they are, and is told of once.
void ApiKeys::Refresh() {
  const Clock::Monotonic now = clock_.MonotonicNow();
  if (options_.file.empty() || absl::FromChrono(now - looked_) < kLookEvery) return;
  looked_ = now;
  const Stamp stamp = Look();
  if (stamp == stamp_) return;
  stamp_ = stamp;
  if (!stamp.there) {
    LogWarning("api_keys_gone", {{"file", options_.file}, {"effect", "the keys stay as they were"}});
    return;
  }
  required_ = true;
  if (const absl::Status read = Read(); !read.ok()) {
    LogWarning("api_keys_bad", {{"error", read.message()}, {"effect", "the keys stay as they were"}});
    return;
  }
  LogInfo("api_keys_read", {{"file", options_.file}, {"keys", entries_.size()}});
}

bool ApiKeys::required() {
  absl::MutexLock lock(&mutex_);
  Refresh();
  return required_;
}

size_t ApiKeys::size() {
  absl::MutexLock lock(&mutex_);
  return entries_.size();
}

std::optional<absl::StatusOr<Caller>> ApiKeys::PassThrough(const Secret& presented) const {
  const absl::string_view all = presented.Reveal();
  const size_t colon = all.find(':');
  if (colon == absl::string_view::npos || !IsPlatform(all.substr(0, colon))) return std::nullopt;
  const std::string platform(all.substr(0, colon));
  if (!options_.pass_through) {
    // Never served from the relay's own accounts: whoever sends a token means that one.
    return Unknown(absl::StrCat("The key looks like a token of ", platform,
                                " to be passed through, and this relay does not do that (server.pass_through)."));
  }
  if (all.size() == colon + 1) return Unknown(absl::StrCat("There is no token behind '", platform, ":'."));
  Caller caller;
  caller.name_ = absl::StrCat("pass-through:", platform);
  caller.own_platform_ = platform;
  caller.own_token_ = Secret(std::string(all.substr(colon + 1)));
  return caller;
}

absl::StatusOr<Caller> ApiKeys::Identify(const std::optional<Secret>& presented) {
  if (presented) {
    if (auto own = PassThrough(*presented)) return *std::move(own);
  }
  absl::MutexLock lock(&mutex_);
  Refresh();
  if (!required_) return Caller();
  if (!presented || presented->empty())
    return Unknown("This relay wants an API key: send it as 'Authorization: Bearer <key>'.");
  const std::string digest = DigestOf(presented->Reveal());
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (CRYPTO_memcmp(entry.key->digest.data(), digest.data(), digest.size()) == 0) found = &entry;
  }
  if (found == nullptr) return Unknown("The API key is not known here, or was revoked.");
  Caller caller;
  caller.name_ = found->key->name;
  caller.key_ = found->key;
  caller.usage_ = found->usage;
  return caller;
}

std::optional<Secret> PresentedKey(const HttpHeaders& headers, bool anthropic) {
  if (const auto key = headers.Find("x-api-key"); anthropic && key && !key->empty()) return Secret(std::string(*key));
  absl::string_view value = headers.Get("authorization");
  constexpr absl::string_view kScheme = "bearer ";
  if (!absl::StartsWithIgnoreCase(value, kScheme)) return std::nullopt;
  value.remove_prefix(kScheme.size());
  value = absl::StripAsciiWhitespace(value);
  if (value.empty()) return std::nullopt;
  return Secret(std::string(value));
}

}  // namespace switchyard
