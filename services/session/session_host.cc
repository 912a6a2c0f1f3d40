#include "services/session/session_host.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "grpcpp/security/credentials.h"
#include "services/common/config/etcd_address.h"
#include "services/common/time/clock.h"
#include "services/common/time/random.h"
#include "services/session/etcd/etcd_store.h"

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

namespace {

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in.good() && !in.eof()) return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  if (text.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": there is nothing in it"));
  return text;
}

absl::StatusOr<std::unique_ptr<Store>> OpenShared(const Config& config, absl::Duration life) {
  auto address = ParseEtcdAddress(config.StorePath());
  if (!address.ok()) return address.status();
  EtcdStoreOptions options;
  options.etcd.endpoints = address->endpoints;
  options.prefix = address->prefix;
  options.life = life;
  if (address->tls) {
    auto authority = ReadPem(config.session.etcd_ca);
    auto certificate = ReadPem(config.session.etcd_certificate);
    auto own_key = ReadPem(config.session.etcd_key);
    for (const auto* pem : {&authority, &certificate, &own_key}) {
      if (!pem->ok()) return pem->status();
    }
    options.etcd.credentials = grpc::SslCredentials({*authority, *own_key, *certificate});
  }
  return OpenEtcdStore(std::move(options), config.session.store_key);
}

absl::StatusOr<std::unique_ptr<Store>> OpenOwn(const Config& config, Secret& key);

}  // namespace

absl::Status SessionHost::CheckStore(const Config& config) {
  if (!IsEtcdAddress(config.StorePath())) return absl::OkStatus();
  if (auto address = ParseEtcdAddress(config.StorePath()); !address.ok())
    return absl::InvalidArgumentError(absl::StrCat("session.store: ", address.status().message()));
  if (config.session.store_key.empty()) {
    return absl::InvalidArgumentError(
        "session.store_key: has to be set, to the same 64 hex digits for every replica, where the store is in etcd "
        "(openssl rand -hex 32)");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SessionHost>> SessionHost::Start(const Config& config, Runtime& runtime,
                                                                HttpClient& http, SigningClient& signing,
                                                                Accounts::RefresherFactory make_refresher,
                                                                std::function<void(bool good)> contact,
                                                                absl::Duration life) {
  if (auto status = CheckStore(config); !status.ok()) return status;
  Secret key = config.session.store_key;
  auto store = IsEtcdAddress(config.StorePath()) ? OpenShared(config, life) : OpenOwn(config, key);
  if (!store.ok()) return store.status();
  auto host = std::make_unique<SessionHost>();
  host->store_ = *std::move(store);
  host->sealer_ = std::make_unique<Sealer>(key);
  host->accounts_ =
      std::make_unique<Accounts>(Accounts::Dependencies{runtime.Next(), *host->store_, *host->sealer_, http, signing,
                                                        SystemClock::Get(), SystemRandom::Get()},
                                 std::move(make_refresher));
  host->accounts_->OnContactChange(std::move(contact));
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

namespace {

absl::StatusOr<std::unique_ptr<Store>> OpenOwn(const Config& config, Secret& key) {
  const fs::path path = config.StorePath();
  std::error_code error;
  if (const fs::path directory = path.parent_path(); !directory.empty() && !fs::exists(directory, error)) {
    fs::create_directories(directory, error);
    if (!error) fs::permissions(directory, fs::perms::owner_all, error);
    if (error)
      return absl::PermissionDeniedError(absl::StrCat(directory.string(), ": cannot be made: ", error.message()));
  }
  auto found = StoreKey(config.session.store_key, absl::StrCat(path.string(), ".key"), fs::exists(path, error));
  if (!found.ok()) return found.status();
  key = *found;
  return Store::Open(path.string(), key);
}

}  // namespace

}  // namespace switchyard
