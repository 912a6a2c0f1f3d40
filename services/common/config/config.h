// What a program is told: config.yaml, .env and the environment, read once at start into one struct and passed down.
//
//   auto loaded = LoadConfig({.file = "config.yaml", .env_file = ".env"}, ProcessEnvironment());
//   if (!loaded.ok()) { … loaded.status().message() lists every fault, one a line, with file and line … }
//
// Precedence, highest first: command line (applied by the program), environment, .env, config.yaml, defaults.
// Environment: a setting's path in upper case behind SWITCHYARD_, parts joined by "__":
// SWITCHYARD_SERVER__PORT=8080, SWITCHYARD_PROVIDERS__DEEPSEEK__BASE_URL=…; accounts by their own names
// (DEEPSEEK_TOKEN).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/common/text/secret.h"

namespace switchyard {

/// `server.tls:` — HTTPS. Both files, or none.
struct HttpsConfig {
  std::string certificate;  // PEM, the server's own first
  std::string key;          // PEM

  bool enabled() const { return !certificate.empty(); }
};

/// `server:` — the HTTP API.
struct ServerConfig {
  std::string host = "127.0.0.1";  // an address; anything but loopback needs API keys or --insecure
  uint16_t port = 8000;            // 0 picks a free one
  bool insecure = false;           // allow a non-loopback host without keys
  std::vector<Secret> api_keys;    // each 16 characters or more; further keys beside those of the file
  HttpsConfig tls;
  std::string keys_file;      // empty: <state_dir>/keys.yaml, if there is one; must exist otherwise
  bool pass_through = false;  // take "<platform>:<token>" as a key: the caller's own account
  // 0 to 600 s: how long to go on accepting after SIGTERM, so that discovery can catch up.
  absl::Duration drain_delay = absl::ZeroDuration();
  absl::Duration drain_limit = absl::Seconds(600);    // 0 to 3600 s: how long running streams may take to finish
  absl::Duration request_limit = absl::Seconds(600);  // 1 to 3600 s: the whole of one request
  absl::Duration heartbeat = absl::Seconds(15);       // 1 to 60 s: silence before an SSE comment
  // 1 KiB to 60 MiB: what becomes of a body goes through gRPC as one message, and that has 64 MiB.
  int64_t max_body_bytes = 32 * 1024 * 1024;
  // 0 to 10000, which is how many there may be in all; 0: no limit of its own. A proxy in front is one address.
  int max_connections_per_address = 5000;
  int max_in_flight = 4096;                // 1 to 100000: requests at once, more are OVERLOADED
  std::string reasoning_format = "think";  // think, separate, tags or hidden
  bool ignore_unsupported = false;         // accept fields that cannot be honoured
};

/// `providers.<platform>:` — one platform.
struct ProviderConfig {
  bool enabled = true;
  std::string base_url;               // http or https origin, no path; the platform's own by default
  int max_in_flight = 2048;           // 1 to 100000: chats at once, in one process; more are OVERLOADED
  int max_in_flight_per_account = 1;  // 1 to 1024
  // 0 to 600 s: between the end of one turn and the start of the next on one account.
  absl::Duration spacing = absl::Seconds(2);
  int queue_depth = 8;                             // 0 to 1000 waiting chats an account
  absl::Duration queue_limit = absl::Seconds(60);  // 0 to 600 s in the queue
  std::string dialect;                             // of the platform's protocol: one of those it documents
  std::map<std::string, std::string> options;  // `options:` the platform's own settings, checked, with their defaults
  std::string listen;                          // of its own program; loopback without mutual TLS
  std::string backend;                         // where the edge finds it, when it is a program of its own

  /// One of `options`; "" if the platform has none of that name.
  std::string Option(const std::string& name) const {
    const auto found = options.find(name);
    return found == options.end() ? std::string() : found->second;
  }
};

/// `signing:` and `session:`.
struct SigningConfig {
  std::string target = "127.0.0.1:8011";  // where providers find it
  std::string listen = "127.0.0.1:8011";  // loopback without mutual TLS
  int threads = 0;                        // 1 to 256; 0 is one a core
  int queue_depth = 256;                  // 1 to 65536 jobs waiting
};
struct SessionConfig {
  std::string target;  // empty: unix:<state_dir>/session.sock
  std::string listen;  // the same
  // Empty: <state_dir>/session.db. "etcd://host:2379,host2:2379/prefix" or "etcds://…": several replicas share it.
  std::string store;
  Secret store_key;  // 64 hex digits; empty: a key file beside the store, made at first start; needed with etcd
  // For etcds://, PEM: whose certificates it shows (empty: the system's roots), and the own one, both or none.
  std::string etcd_ca, etcd_certificate, etcd_key;
};

/// `http:` — the way to the platforms.
struct UpstreamConfig {
  absl::Duration connect_limit = absl::Seconds(3);      // 100 ms to 60 s
  absl::Duration tls_limit = absl::Seconds(5);          // 100 ms to 60 s
  absl::Duration first_byte_limit = absl::Seconds(30);  // 1 s to 600 s
  absl::Duration idle_limit = absl::Seconds(60);        // 1 s to 600 s
  std::string ca_file;                                  // PEM roots instead of the system's
};

/// `tls:` — mutual TLS between the services. All three files, or none.
struct MeshConfig {
  std::string certificate;                // PEM, the program's own first; its URI names the program
  std::string key;                        // PEM
  std::string authority;                  // PEM, whose certificates peers show
  std::vector<std::string> chat_callers;  // names beside the edge that may call providers, comma-separated

  bool enabled() const { return !certificate.empty(); }
};

/// `admin:` — /metrics, /healthz and /readyz.
struct AdminConfig {
  // "127.0.0.1:9090"; "off": not served. Empty: the program's own port on loopback, see docs/observability.md. It
  // serves no secret, so it may be an address that others can reach.
  std::string listen;
};

/// `tracing:` — spans to an OpenTelemetry collector.
struct TracingConfig {
  std::string otlp_url;     // "http://collector:4318/v1/traces"; empty: no spans
  double sample_ratio = 1;  // 0 to 1: of the requests that come without a traceparent
};

/// One account, from DEEPSEEK_TOKEN, DEEPSEEK_TOKEN_2, …
struct AccountConfig {
  std::string platform;  // "deepseek"
  std::string label;     // "deepseek", "deepseek-2": safe to show
  Secret credential;
};

struct Config {
  ServerConfig server;
  std::map<std::string, ProviderConfig> providers;  // every known platform has an entry
  SigningConfig signing;
  SessionConfig session;
  UpstreamConfig http;
  MeshConfig tls;
  AdminConfig admin;
  TracingConfig tracing;
  std::string chat_listen = "127.0.0.1:8020";  // `chat.listen`: the all-in-one's ChatService for all models
  std::string state_dir;                       // $XDG_STATE_HOME/switchyard or ~/.local/state/switchyard
  std::string log_level = "info";              // debug, info, warning or error
  bool reflection = false;                     // gRPC reflection on every service
  bool channelz = false;                       // gRPC's own view of its connections and calls, on every service
  int threads = 0;                             // 0 to 64 event-loop threads; 0 is one a core
  std::vector<AccountConfig> accounts;

  std::string SessionTarget() const;  // session.target or its default
  std::string SessionListen() const;
  std::string StorePath() const;
  std::string KeysFile() const;
};

struct ConfigSources {
  std::string file = {};       // empty: no file; must exist otherwise
  bool file_optional = false;  // a missing `file` is not a fault
  std::string env_file = {};   // the same
  bool env_file_optional = false;
};

using Environment = std::map<std::string, std::string>;
Environment ProcessEnvironment();

/// INVALID_ARGUMENT with every fault of every source, one a line: "config.yaml:7: providers.deepseek.spacing: …".
/// Never quotes a secret's value.
absl::StatusOr<Config> LoadConfig(const ConfigSources& sources, const Environment& environment);

/// Every setting as YAML in the file's own shape, secrets as "(set)", with the accounts there are; for printing.
std::string RedactedConfig(const Config& config);

}  // namespace switchyard
