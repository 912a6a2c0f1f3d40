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
#include "services/session/accounts.h"
#include "services/session/seal.h"
#include "services/session/session_service.h"
#include "services/session/store.h"
#include "services/signing/client/signing_client.h"

namespace switchyard {

/// Destroyed after the runtime has stopped and before it is destroyed.
class SessionHost {
 public:
  SessionHost() = default;
  /// Waits for the writes that are under way.
  ~SessionHost();

  /// Makes the state directory (mode 0700) where it does not exist, or waits for etcd. Errors name the file:
  /// PERMISSION_DENIED, DATA_LOSS, INVALID_ARGUMENT, FAILED_PRECONDITION, UNAVAILABLE.
  /// @param contact called when the service loses or regains a store that it shares: it serves nobody meanwhile
  /// @param life of what it holds in a store that it shares, once it is gone; 2 s and up
  static absl::StatusOr<std::unique_ptr<SessionHost>> Start(const Config& config, Runtime& runtime, HttpClient& http,
                                                            SigningClient& signing,
                                                            Accounts::RefresherFactory make_refresher = MakeRefresher,
                                                            std::function<void(bool good)> contact = nullptr,
                                                            absl::Duration life = absl::Seconds(10));

  SessionService& service() { return *service_; }

  /// What can be said of the store without opening it. INVALID_ARGUMENT.
  static absl::Status CheckStore(const Config& config);

 private:
  std::unique_ptr<Store> store_;
  std::unique_ptr<Sealer> sealer_;
  std::unique_ptr<Accounts> accounts_;
  std::unique_ptr<SessionService> service_;
  Metrics::Watch watch_;  // of the accounts
};

}  // namespace switchyard
