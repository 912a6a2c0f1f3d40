// The session service with all that it stands on, in the order in which that comes and goes.
//
//   auto sessions = SessionHost::Start(config, runtime, http, signing);
//   ServerHost::Start({.listen = …}, {&(*sessions)->service()});
//   … runtime.Stop(); sessions->reset();
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "services/common/async/runtime.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/metrics/metrics.h"
#include "services/common/tls/certificate_files.h"
#include "services/session/accounts.h"
#include "services/session/seal.h"
#include "services/session/session_service.h"
#include "services/session/store.h"
#include "services/signing/client/signing_client.h"

namespace switchyard {

struct SessionHostOptions {
  Accounts::RefresherFactory make_refresher = MakeRefresher;
  // Called when the service loses or regains a store that it shares: it serves nobody meanwhile.
  std::function<void(bool good)> contact = nullptr;
  // Of what it holds in a store that it shares, once it is gone; 2 s and up.
  absl::Duration life = absl::Seconds(10);
  // Until a store that it shares has to have answered.
  absl::Duration start_limit = absl::Seconds(20);
  // Accounts::Dependencies::resume_first
  absl::Duration resume_first = absl::ZeroDuration();
  // Whether a start that waits is to end: CANCELLED, within a moment. On any thread.
  std::function<bool()> stop = nullptr;
};

/// Destroyed after the runtime has stopped and before it is destroyed.
class SessionHost {
 public:
  SessionHost() = default;
  /// Waits for the writes that are under way.
  ~SessionHost();

  /// Makes the state directory (mode 0700) where it does not exist, or waits for etcd. Errors name the file:
  /// PERMISSION_DENIED, DATA_LOSS, INVALID_ARGUMENT, FAILED_PRECONDITION, UNAVAILABLE.
  static absl::StatusOr<std::unique_ptr<SessionHost>> Start(const Config& config, Runtime& runtime, HttpClient& http,
                                                            SigningClient& signing, SessionHostOptions options = {});
  /// The same, and waits for etcd for as long as it takes: what is wrong for good, INVALID_ARGUMENT, ends it, and
  /// `options.stop`.
  static absl::StatusOr<std::unique_ptr<SessionHost>> StartPatiently(const Config& config, Runtime& runtime,
                                                                     HttpClient& http, SigningClient& signing,
                                                                     SessionHostOptions options);

  SessionService& service() { return *service_; }

  /// What can be said of the store without opening it. INVALID_ARGUMENT.
  static absl::Status CheckStore(const Config& config);

 private:
  std::unique_ptr<CertificateFiles> etcd_files_;  // what it shows to etcd
  std::unique_ptr<Store> store_;
  std::unique_ptr<Sealer> sealer_;
  std::unique_ptr<Accounts> accounts_;
  std::unique_ptr<SessionService> service_;
  Metrics::Watch watch_;  // of the accounts
};

}  // namespace switchyard
