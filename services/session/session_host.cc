#include "services/session/session_host.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_certificate_verifier.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "services/common/config/etcd_address.h"
#include "services/common/log/log.h"
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

// Between looks at certificate files.
constexpr unsigned kLookSeconds = 1;
// Between tries to reach a store that is not there yet, and looks whether that is still wanted.
constexpr absl::Duration kStartPause = absl::Milliseconds(500);
constexpr absl::Duration kTryLimit = absl::Seconds(5);
constexpr absl::Duration kStopLook = absl::Milliseconds(50);

absl::Status CheckReadable(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  std::ifstream in(path, std::ios::binary);
  if (in.peek() != std::ifstream::traits_type::eof()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read, or there is nothing in it"));
}

/// What etcd is shown, and what it has to show. Files that are replaced are in use for the next connection.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> EtcdCredentials(const SessionConfig& session,
                                                                          std::unique_ptr<CertificateFiles>& files) {
  using grpc::experimental::FileWatcherCertificateProvider;
  for (const std::string* path : {&session.etcd_ca, &session.etcd_certificate, &session.etcd_key}) {
    if (auto readable = CheckReadable(*path); !readable.ok()) return readable;
  }
  if (session.etcd_ca.empty() && session.etcd_certificate.empty())
    return grpc::SslCredentials(grpc::SslCredentialsOptions());
  grpc::experimental::TlsChannelCredentialsOptions options;
  std::string authority = session.etcd_ca, certificate = session.etcd_certificate, key = session.etcd_key;
  if (!authority.empty() && !certificate.empty()) {
    auto opened = CertificateFiles::Open({certificate, key, authority}, SystemClock::Get());
    if (!opened.ok()) return absl::InvalidArgumentError(opened.status().message());
    files = *std::move(opened);
    authority = files->PathOf("ca.pem");
    certificate = files->PathOf("cert.pem");
    key = files->PathOf("key.pem");
  }
  options.set_certificate_provider(
      std::make_shared<FileWatcherCertificateProvider>(key, certificate, authority, kLookSeconds));
  if (!authority.empty()) options.watch_root_certs();
  if (!certificate.empty()) options.watch_identity_key_cert_pairs();
  options.set_verify_server_certs(true);
  options.set_certificate_verifier(std::make_shared<grpc::experimental::HostNameCertificateVerifier>());
  options.set_check_call_host(false);
  return grpc::experimental::TlsCredentials(options);
}

absl::StatusOr<std::unique_ptr<Store>> OpenShared(const Config& config, const SessionHostOptions& host,
                                                  std::unique_ptr<CertificateFiles>& files) {
  auto address = ParseEtcdAddress(config.StorePath());
  if (!address.ok()) return address.status();
  EtcdStoreOptions options;
  options.etcd.endpoints = address->endpoints;
  options.prefix = address->prefix;
  options.life = host.life;
  options.start_limit = host.start_limit;
  options.stop = host.stop;
  if (address->tls) {
    auto credentials = EtcdCredentials(config.session, files);
    if (!credentials.ok()) return credentials.status();
    options.etcd.credentials = *std::move(credentials);
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
                                                                SessionHostOptions options) {
  if (auto status = CheckStore(config); !status.ok()) return status;
  Secret key = config.session.store_key;
  auto host = std::make_unique<SessionHost>();
  auto store =
      IsEtcdAddress(config.StorePath()) ? OpenShared(config, options, host->etcd_files_) : OpenOwn(config, key);
  if (!store.ok()) return store.status();
  host->store_ = *std::move(store);
  host->sealer_ = std::make_unique<Sealer>(key);
  host->accounts_ =
      std::make_unique<Accounts>(Accounts::Dependencies{runtime.Next(), *host->store_, *host->sealer_, http, signing,
                                                        SystemClock::Get(), SystemRandom::Get(), options.resume_first},
                                 std::move(options.make_refresher));
  host->accounts_->OnContactChange(std::move(options.contact));
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

absl::StatusOr<std::unique_ptr<SessionHost>> SessionHost::StartPatiently(const Config& config, Runtime& runtime,
                                                                         HttpClient& http, SigningClient& signing,
                                                                         SessionHostOptions options) {
  options.start_limit = std::min(options.start_limit, kTryLimit);
  for (bool told = false;; told = true) {
    auto host = Start(config, runtime, http, signing, options);
    const bool for_good = !IsEtcdAddress(config.StorePath()) || absl::IsInvalidArgument(host.status());
    if (host.ok() || for_good) return host;
    if (!told) {
      LogWarning("store_not_there", {{"error", host.status().message()}});
      Metrics::Get().StoreContact().Set(0);
    }
    for (absl::Duration waited; waited < kStartPause; waited += kStopLook) {
      if (options.stop && options.stop()) return absl::CancelledError("stopped before its store was there");
      absl::SleepFor(kStopLook);
    }
  }
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
