#include "services/session/session_host.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "services/common/time/clock.h"
#include "services/common/time/random.h"

namespace switchyard {

namespace fs = std::filesystem;

namespace {

std::vector<Metrics::AccountSample> Samples(const Accounts& accounts) {
  constexpr absl::string_view kPrefix = "STATE_";
  std::vector<Metrics::AccountSample> samples;
  for (const session::v1::Account& account : accounts.List("")) {
    Metrics::AccountSample sample{account.platform(), account.label()};
    sample.state = absl::AsciiStrToLower(absl::StripPrefix(session::v1::Account::State_Name(account.state()), kPrefix));
    sample.in_flight = account.in_flight();
    sample.queued = account.queued();
    sample.pending_conversations = account.pending_conversations();
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace

// What is told of a write reaches the accounts, which go before the store. Changes are applied in order, so after one
// that changes nothing there is no other left.
SessionHost::~SessionHost() {
  if (!store_) return;
  absl::Notification idle;
  store_->Write(Store::EndExchange{}, [&idle](const absl::Status&) { idle.Notify(); });
  idle.WaitForNotification();
}

absl::StatusOr<std::unique_ptr<SessionHost>> SessionHost::Start(const Config& config, Runtime& runtime,
                                                                HttpClient& http, SigningClient& signing,
                                                                Accounts::RefresherFactory make_refresher) {
  const fs::path path = config.StorePath();
  std::error_code error;
  if (const fs::path directory = path.parent_path(); !directory.empty() && !fs::exists(directory, error)) {
    fs::create_directories(directory, error);
    if (!error) fs::permissions(directory, fs::perms::owner_all, error);
    if (error)
      return absl::PermissionDeniedError(absl::StrCat(directory.string(), ": cannot be made: ", error.message()));
  }
  auto key = StoreKey(config.session.store_key, absl::StrCat(path.string(), ".key"), fs::exists(path, error));
  if (!key.ok()) return key.status();
  auto host = std::make_unique<SessionHost>();
  auto store = Store::Open(path.string(), *key);
  if (!store.ok()) return store.status();
  host->store_ = *std::move(store);
  host->sealer_ = std::make_unique<Sealer>(*key);
  host->accounts_ =
      std::make_unique<Accounts>(Accounts::Dependencies{runtime.Next(), *host->store_, *host->sealer_, http, signing,
                                                        SystemClock::Get(), SystemRandom::Get()},
                                 std::move(make_refresher));
  if (auto status = host->accounts_->Load(config); !status.ok()) return status;
  host->watch_ = Metrics::Get().WatchAccounts([accounts = host->accounts_.get()] { return Samples(*accounts); });
  host->service_ = std::make_unique<SessionService>(runtime, *host->accounts_, *host->sealer_);
  host->service_->KeepTokens();
  std::vector<std::string> platforms;
  for (const auto& [platform, provider] : config.providers) {
    if (provider.enabled) platforms.push_back(platform);
  }
  Metrics::Get().ShowSession(platforms);
  return host;
}

}  // namespace switchyard
