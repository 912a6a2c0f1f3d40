// Who may use the relay: callers by their API keys, from the key file and from the configuration.
//
//   auto keys = ApiKeys::Load({.file = "/var/lib/switchyard/keys.yaml"}, SystemClock::Get());
//   auto caller = (*keys)->Identify(presented);          // CALLER_UNKNOWN
//   auto turn = caller->Begin(clock.MonotonicNow());     // CALLER_RATE_LIMITED; counted until it goes
//   caller->Admit(chat_request);                         // CALLER_FORBIDDEN; names the caller in it
//
// Thread-safe. A key is compared by its hash, with every hash there is, in constant time.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "edge/key_file.h"
#include "edge/rate_limit.h"
#include "services/common/http/http_types.h"
#include "services/common/text/secret.h"
#include "services/common/time/clock.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// Somebody who asks, with what is theirs to use. A value; cheap to copy.
class Caller {
 public:
  /// Nobody in particular: may do everything.
  Caller() = default;

  /// For the log and for ChatRequest.caller; never a key. "" for nobody in particular.
  const std::string& name() const { return name_; }

  bool MayUse(absl::string_view model) const;

  /// Puts the caller, and its own platform token if it came with one, into `request`. PERMISSION_DENIED
  /// (CALLER_FORBIDDEN) if its model is not for this caller; a model that does not exist passes: that is said later.
  absl::Status Admit(chat::v1::ChatRequest& request) const;

  /// A running request. Counts until it goes.
  class Turn {
   public:
    Turn() = default;
    ~Turn();
    Turn(Turn&& other) noexcept : usage_(std::move(other.usage_)) {}
    Turn& operator=(Turn&&) = delete;
    struct Usage;

   private:
    friend class Caller;
    std::shared_ptr<Usage> usage_;
  };

  /// RESOURCE_EXHAUSTED (CALLER_RATE_LIMITED) if too many run, or ran in the last minute.
  absl::StatusOr<Turn> Begin(Clock::Monotonic now) const;

  /// x-ratelimit-*-requests, where there is such a limit; replaces those that are there.
  void SetLimitHeaders(HttpHeaders& headers, Clock::Monotonic now) const;

  /// The platform whose token the caller brought along; "" if it uses the relay's accounts.
  const std::string& own_platform() const { return own_platform_; }

 private:
  friend class ApiKeys;
  std::string name_;
  std::shared_ptr<const ApiKey> key_;
  std::shared_ptr<Turn::Usage> usage_;
  std::string own_platform_;
  Secret own_token_;
};

class ApiKeys {
 public:
  struct Options {
    std::string file = {};           // "": none
    bool file_must_exist = false;    // at the start
    std::vector<Secret> plain = {};  // from the configuration
    bool pass_through = false;       // take "<platform>:<token>" for the caller's own
  };

  /// INVALID_ARGUMENT for a damaged file, with its lines.
  static absl::StatusOr<std::unique_ptr<ApiKeys>> Load(Options options, const Clock& clock);

  /// Whether nobody is served without a key: there are keys in the configuration, or there is a key file, be it one
  /// without keys. Once true it stays so: a file that goes away opens nothing.
  bool required();
  size_t size();

  /// The caller with this key. Without keys everybody is nobody in particular. UNAUTHENTICATED (CALLER_UNKNOWN).
  absl::StatusOr<Caller> Identify(const std::optional<Secret>& presented);

 private:
  /// Which version of the file has been looked at.
  struct Stamp {
    bool there = false;
    ino_t inode = 0;
    off_t size = 0;
    absl::Time written;
    absl::Time changed;
    bool operator==(const Stamp&) const = default;
  };
  struct Entry {
    std::shared_ptr<const ApiKey> key;
    std::shared_ptr<Caller::Turn::Usage> usage;
  };

  ApiKeys(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}
  Stamp Look() const;
  absl::Status Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Refresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<absl::StatusOr<Caller>> PassThrough(const Secret& presented) const;

  const Options options_;
  const Clock& clock_;
  absl::Mutex mutex_;
  bool required_ ABSL_GUARDED_BY(mutex_) = false;
  Stamp stamp_ ABSL_GUARDED_BY(mutex_);
  Clock::Monotonic looked_ ABSL_GUARDED_BY(mutex_);
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

/// What `Authorization: Bearer …` carries, or, with `anthropic`, `x-api-key`; nullopt without either.
std::optional<Secret> PresentedKey(const HttpHeaders& headers, bool anthropic);

}  // namespace switchyard
