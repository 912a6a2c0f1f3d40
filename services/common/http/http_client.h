// The way to a platform: HTTP/1.1 over verified TLS, or in the clear for tests, with kept connections, a proxy, and
// bounds on everything.
//
//   HttpRequest request{.method = "POST", .url = "https://chat.deepseek.com/api/v0/…", .body = body};
//   auto response = co_await client.Send(scope, std::move(request));
//   if (!response.ok()) co_return response.status();
//   while (true) { auto piece = co_await (*response)->Read(scope); … }
//
// Errors carry an ErrorDetail whose `cause` is one of: dns, connect_refused, connect_timeout, connect_failed,
// tls_untrusted, tls_name, tls_expired, tls_failed, tls_timeout, proxy_refused, reset, closed_early,
// first_byte_timeout, idle_timeout, bad_response, too_large, decompression.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"
#include "services/common/http/http_types.h"
#include "services/common/http/web_socket.h"

namespace switchyard {

class Metrics;

struct HttpRequest {
  std::string method = "GET";
  std::string url;           // absolute; http or https
  HttpHeaders headers = {};  // Host, Content-Length, Connection and Accept-Encoding are the client's own
  std::string body = {};
  // Whether it does no harm if the server gets it twice. Such a request is sent again, once, on a fresh connection
  // when a kept connection turns out to be closed and nothing came back. Any other is sent at most once.
  bool repeatable = false;
  // Where the host is, if that is not to be looked up: only these are connected to, through a proxy, too, and the
  // connection serves nothing else. TLS still verifies the URL's name.
  std::vector<std::string> addresses = {};
};

/// Limits of one exchange. The scope bounds the whole of it.
struct HttpLimits {
  absl::Duration connect = absl::Seconds(3);      // 100 ms to 60 s; all addresses together
  absl::Duration tls = absl::Seconds(5);          // 100 ms to 60 s
  absl::Duration first_byte = absl::Seconds(30);  // from the last request byte to the whole response header
  int64_t slowest_upload = 64 * 1024;             // bytes a second; a request may take first_byte and that much longer
  absl::Duration idle = absl::Seconds(60);        // between two pieces of body
  size_t max_header_bytes = 64 * 1024;
  // Decoded bytes of a body that Read() hands out in all.
  size_t max_body_bytes = 256 * 1024 * 1024;
};

/// A response whose header has come. Destroying it before the end closes the connection, which tells the server to
/// stop; after the end the connection is kept for the next request. Lives on the executor of the scope it was made
/// with.
class HttpResponse {
 public:
  virtual ~HttpResponse() = default;

  virtual int status() const = 0;
  virtual const HttpHeaders& headers() const = 0;

  /// The next piece of the decoded body, as soon as there is one; "" at the end, and only if the message was whole.
  /// Errors: DATA_LOSS (UPSTREAM_BROKEN) if it was cut; UNAVAILABLE or DEADLINE_EXCEEDED by `cause`; the scope's own.
  virtual boost::asio::awaitable<absl::StatusOr<std::string>> Read(Scope& scope) = 0;

  /// The rest of the body. INTERNAL (UPSTREAM_CHANGED, cause too_large) above `max_bytes`.
  boost::asio::awaitable<absl::StatusOr<std::string>> ReadAll(Scope& scope, size_t max_bytes);
};

/// Thread-safe; each exchange stays on its scope's executor.
class HttpClient {
 public:
  virtual ~HttpClient() = default;

  /// Sends and waits for the response header. Redirects are not followed.
  /// Errors: UNAVAILABLE (UPSTREAM_UNAVAILABLE), DEADLINE_EXCEEDED for limits, the scope's own;
  /// INVALID_ARGUMENT for a URL or header that cannot be sent.
  virtual boost::asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Send(Scope& scope,
                                                                                     HttpRequest request) = 0;

  /// Opens a WebSocket on a connection of its own; `handshake` is a GET without a body, its URL http or https. A
  /// handshake that is refused is no error: the answer then has no socket. Nothing that fails here has reached anybody.
  /// Errors: as Send(), and INTERNAL (UPSTREAM_CHANGED) for an answer that is neither. Limits are the client's, idle
  /// between two messages. @param max_message_bytes of one message received
  virtual boost::asio::awaitable<absl::StatusOr<WebSocketAnswer>> OpenWebSocket(Scope& scope, HttpRequest handshake,
                                                                                size_t max_message_bytes) {
    (void)scope, (void)handshake, (void)max_message_bytes;
    co_return absl::UnimplementedError("this client opens no WebSockets");
  }

  /// Closes kept connections, for shutdown.
  virtual void CloseIdle() = 0;
};

/// Whether the failed Send() is known not to have handed the server a whole request, so that a second try is safe.
bool NothingReached(const absl::Status& status);

/// Marks an error for NothingReached().
absl::Status MarkNothingReached(absl::Status status);

struct HttpClientOptions {
  HttpLimits limits = {};
  // Kept idle connections an origin and thread, and for how long. Platforms close at 60 s or later.
  int max_idle_per_origin = 16;
  absl::Duration idle_life = absl::Seconds(30);
  // "http://host:port" of a proxy for https (CONNECT) and http (absolute URI); empty for none. Loopback is never
  // proxied.
  std::string proxy = {};
  std::string no_proxy = {};  // comma-separated hosts and .suffixes
  // PEM file of trusted roots instead of the system's; for tests.
  std::string ca_file = {};
  // Where its connections are counted, as those to platforms; nullptr: nowhere. Outlives the client.
  Metrics* metrics = nullptr;
};

/// The proxy settings of HTTPS_PROXY / https_proxy and NO_PROXY / no_proxy.
HttpClientOptions HttpClientOptionsFromEnvironment();

/// INVALID_ARGUMENT if the proxy or the CA file cannot be used.
absl::StatusOr<std::unique_ptr<HttpClient>> MakeHttpClient(HttpClientOptions options);

}  // namespace switchyard
