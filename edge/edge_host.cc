#include "edge/edge_host.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "edge/origin_guard.h"
#include "services/common/http/https_context.h"
#include "services/common/log/log.h"
#include "services/common/net/host_port.h"
#include "services/common/status/reason.h"
#include "services/common/time/random.h"
#include "services/common/tls/certificate_files.h"

namespace switchyard {
namespace {

// A client whose host vanished is noticed by then; its account is lent all that time.
constexpr absl::Duration kVanishLimit = absl::Seconds(30);

std::string Authority(const std::string& host, int port) {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

bool IsLoopback(const Config& config) { return IsLoopbackAuthority(Authority(config.server.host, config.server.port)); }

/// The keys, if they are good, and if there need to be any, there.
absl::StatusOr<std::unique_ptr<ApiKeys>> OpenKeys(const Config& config) {
  ApiKeys::Options options;
  options.file = config.KeysFile();
  options.file_must_exist = !config.server.keys_file.empty();
  options.plain = config.server.api_keys;
  options.pass_through = config.server.pass_through;
  auto keys = ApiKeys::Load(std::move(options), SystemClock::Get());
  if (!keys.ok()) return keys.status();
  if (!IsLoopback(config) && !config.server.insecure && !(*keys)->required()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "server.host: ", config.server.host,
        " can be reached from other machines, and there are no API keys: anybody there could spend the "
        "accounts. Make keys (switchyard keys add NAME), or keep 127.0.0.1, or say --insecure if something "
        "else protects it."));
  }
  return keys;
}

}  // namespace

absl::Status SetHttpListen(Config& config, const std::string& listen) {
  const auto address = ParseHostPort(listen);
  if (!address) return absl::InvalidArgumentError("--listen: must be an address and a port, like 127.0.0.1:8000");
  config.server.host = address->host.empty() ? "127.0.0.1" : address->host;
  config.server.port = address->port;
  return absl::OkStatus();
}

class EdgeHost::Https {
 public:
  static absl::StatusOr<std::unique_ptr<Https>> Open(const HttpsConfig& config) {
    if (!config.enabled()) return std::unique_ptr<Https>();
    auto files = CertificateFiles::Open({config.certificate, config.key, ""}, SystemClock::Get());
    if (!files.ok()) return WithMessage(files.status(), absl::StrCat("server.tls: ", files.status().message()));
    auto https = std::make_unique<Https>();
    // Sets come checked, so what OpenSSL may still have against one is rare enough to keep the one before.
    (*files)->OnChange([https = https.get()](const CertificateSet& set) { https->Take(MakeHttpsContext(set)); });
    https->files_ = *std::move(files);
    if (https->Current() == nullptr) return https->status_;
    return https;
  }

  std::shared_ptr<boost::asio::ssl::context> Current() {
    absl::MutexLock lock(&mutex_);
    return current_;
  }

 private:
  void Take(absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> context) {
    absl::MutexLock lock(&mutex_);
    if (context.ok()) current_ = *std::move(context);
    if (!context.ok()) LogWarning("certificate_not_usable", {{"error", context.status().message()}});
    status_ = context.status();
  }

  absl::Mutex mutex_;
  std::shared_ptr<boost::asio::ssl::context> current_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_;                      // of the first set, once Open() asks
  std::unique_ptr<CertificateFiles> files_;  // ends first: it tells of changes
};

EdgeHost::EdgeHost() = default;

absl::Status EdgeHost::Check(const Config& config) { return OpenKeys(config).status(); }

absl::StatusOr<std::unique_ptr<EdgeHost>> EdgeHost::Start(const Config& config, Runtime& runtime, ChatClient& chat) {
  auto keys = OpenKeys(config);
  if (!keys.ok()) return keys.status();
  auto https = Https::Open(config.server.tls);
  if (!https.ok()) return https.status();
  if ((*keys)->required() && (*keys)->size() == 0)
    LogWarning("no_api_keys", {{"file", config.KeysFile()}, {"effect", "nobody is served until there is a key"}});
  auto edge = std::make_unique<EdgeHost>();
  edge->host_ = config.server.host;
  edge->https_ = *std::move(https);
  edge->keys_ = *std::move(keys);
  EdgeService::Options options;
  options.turn.request_limit = config.server.request_limit;
  options.turn.heartbeat = config.server.heartbeat;
  options.max_in_flight = config.server.max_in_flight;
  options.loopback_only = IsLoopback(config);
  edge->service_ = std::make_unique<EdgeService>(chat, *edge->keys_, options, SystemClock::Get(), SystemRandom::Get());
  HttpServerOptions http;
  http.host = config.server.host;
  http.port = config.server.port;
  http.max_body_bytes = static_cast<size_t>(config.server.max_body_bytes);
  http.max_connections_per_address = config.server.max_connections_per_address;
  http.spare_loopback = true;
  http.vanish_limit = kVanishLimit;
  if (edge->https_) http.https_context = [https = edge->https_.get()] { return https->Current(); };
  http.error_body = [service = edge->service_.get()](const HttpServerRequest* request, int status,
                                                     absl::string_view message, HttpHeaders& headers) {
    return service->RefusalBody(request, status, message, headers);
  };
  http.check_header = [service = edge->service_.get()](const HttpServerRequest& request) {
    return service->CheckHeader(request);
  };
  http.body_lost = [service = edge->service_.get()](const HttpServerRequest& request) { service->BodyLost(request); };
  http.connection_refused = [service = edge->service_.get()](ConnectionLimit limit, const std::string& address) {
    service->ConnectionRefused(limit, address);
  };
  auto server = HttpServer::Listen(runtime, std::move(http), edge->service_->Handler());
  if (!server.ok()) return server.status();
  edge->server_ = *std::move(server);
  return edge;
}

EdgeHost::~EdgeHost() {
  if (server_) Finish(absl::ZeroDuration());
}

std::string EdgeHost::url() const {
  return absl::StrCat(https_ ? "https://" : "http://", Authority(host_, server_->port()));
}

std::string EdgeHost::Greeting() const {
  return absl::StrCat("serving ", https_ ? "HTTPS" : "HTTP", " on ", url(),
                      keys_->required() ? "\ncallers need an API key (switchyard keys add NAME makes one)" : "");
}

void EdgeHost::Drain() {
  service_->Drain();
  server_->CloseAfterAnswers();
}

void EdgeHost::Finish(absl::Duration limit) {
  const absl::Status why = MakeError(Reason::REASON_NO_BACKEND, "the relay is stopping", {.cause = "stopping"});
  server_->Shutdown(limit, why);
}

}  // namespace switchyard
