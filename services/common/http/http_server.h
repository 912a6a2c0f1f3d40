// A small HTTP/1.1 server: the edge's and the simulator's. Keep-alive, pipelining, chunked streaming, strict framing.
//
//   auto server = HttpServer::Listen(runtime, {.host = "127.0.0.1", .port = 0}, handler);
//   … (*server)->port() …
//
// The handler is a coroutine on the connection's executor. It answers exactly once: Send(), or Begin(), Write()… and
// End(), or Upgrade(). A handler that returns without an answer gets a 500; one that returns after Begin() without
// End() has its connection cut, so a broken answer never looks whole.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/runtime.h"
#include "services/common/async/scope.h"
#include "services/common/http/http_types.h"
#include "services/common/http/web_socket.h"

namespace boost::asio::ssl {
class context;
}

namespace switchyard {

struct HttpServerRequest {
  std::string method;
  std::string target;  // as received
  std::string path;    // percent-decoded path of the target, one normalisation; "/v1/models/a/b" for "a%2Fb"
  std::string query;   // raw, without '?'
  HttpHeaders headers;
  std::string body;
  std::string remote_address;  // "127.0.0.1"
};

/// The answer to one request. Not thread-safe; valid while the handler runs.
class HttpResponder {
 public:
  virtual ~HttpResponder() = default;

  /// Ends when the client goes away (FIN or RST), or the server stops; by no deadline of its own.
  virtual Scope& scope() = 0;

  /// A whole answer. Content-Length, Date and Connection are the server's. @return CANCELLED if the client is gone.
  virtual boost::asio::awaitable<absl::Status> Send(int status, HttpHeaders headers, std::string body) = 0;

  /// Starts a streamed answer (chunked; for an HTTP/1.0 client, until close).
  virtual boost::asio::awaitable<absl::Status> Begin(int status, HttpHeaders headers) = 0;
  /// Hands bytes to the socket and waits until it took them: back-pressure. CANCELLED if the client is gone or takes
  /// nothing for the write limit.
  virtual boost::asio::awaitable<absl::Status> Write(absl::string_view bytes) = 0;
  /// Ends a streamed answer properly.
  virtual boost::asio::awaitable<absl::Status> End() = 0;
  /// Cuts the connection: the client sees a broken answer. With `reset`, by RST.
  virtual void Abort(bool reset = false) = 0;

  /// Makes the connection a WebSocket, where the request asks for one. It belongs to the responder, is read all the
  /// time, so that scope() ends when the client closes it, and is cut when the handler returns. One message, and what
  /// waits to be read, has at most max_body_bytes. INVALID_ARGUMENT if the request asks for none, or has sent more than
  /// its header; it can be answered otherwise then. CANCELLED if the client is gone.
  virtual boost::asio::awaitable<absl::StatusOr<WebSocket*>> Upgrade(HttpHeaders headers) = 0;

  virtual bool begun() const = 0;  // Send(), Begin() or Upgrade() was called
};

using HttpHandler = std::function<boost::asio::awaitable<void>(HttpServerRequest& request, HttpResponder& responder)>;

/// An answer given on the header alone.
struct HttpRefusal {
  int status = 400;
  HttpHeaders headers;
  std::string body;
};

enum class ConnectionLimit { kAll, kAddress };

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // an address, not a name
  uint16_t port = 0;               // 0 picks a free one
  size_t max_body_bytes = 32 * 1024 * 1024;
  size_t max_header_bytes = 32 * 1024;
  int max_connections = 10000;
  // Of one client's address, or of one /64 of IPv6, which is what a network gives one household; 0: no limit of its
  // own.
  int max_connections_per_address = 0;
  // This machine's own addresses have no such limit: a proxy there is everybody's address.
  bool spare_loopback = false;
  // From the first byte of a request to its whole header; also, from the connection to the first byte of its first one.
  absl::Duration header_limit = absl::Seconds(10);
  absl::Duration keep_alive_limit = absl::Seconds(75);  // between requests
  absl::Duration body_limit = absl::Seconds(60);        // idle time within a body; also, before its rate counts
  size_t min_body_bytes_per_second = 1024;              // on average, once body_limit has passed
  absl::Duration write_limit = absl::Seconds(60);       // for the client to take bytes
  // Within which a client whose host has vanished is noticed: what it was sent is not acknowledged, or nothing is on
  // its way and it does not answer the system's probes (those in whole seconds, 2 at least). A host that is there may
  // take as little as it likes, as long as write_limit allows. It is looked at 8 times within the limit, so several
  // times as much as a round trip is the least that makes sense. 0: as the system has it.
  absl::Duration vanish_limit = absl::ZeroDuration();
  // HTTPS: what a new connection is shown, asked for with each; empty: in the clear. See MakeHttpsContext().
  std::function<std::shared_ptr<boost::asio::ssl::context>()> https_context = {};
  // Answers what the server itself refuses (malformed request, 413, 431, …) in the API's own error shape: the body, of
  // type application/json; may add headers. `request` is null where its header could not be read. Empty: plain text.
  std::function<std::string(const HttpServerRequest* request, int status, absl::string_view message,
                            HttpHeaders& headers)>
      error_body = {};
  // A connection was closed at once for being too many. Runs on the thread that accepts and must not block.
  std::function<void(ConnectionLimit limit, const std::string& address)> connection_refused = {};
  // A client left before its request's body was there, so the handler does not run; `body` is empty.
  std::function<void(const HttpServerRequest& request)> body_lost = {};
  // Looks at a well-formed request before its body (`body` is empty) and may answer it there and then: no byte of the
  // body is waited for, no 100-continue is sent, and the handler does not run. A connection with a body in it closes.
  // Runs on the connection's thread and must not block.
  std::function<std::optional<HttpRefusal>(const HttpServerRequest& request)> check_header = {};
};

/// Thread-safe.
class HttpServer {
 public:
  /// ALREADY_EXISTS if the port is in use, INVALID_ARGUMENT for a bad address, PERMISSION_DENIED.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(Runtime& runtime, HttpServerOptions options,
                                                            HttpHandler handler);
  virtual ~HttpServer() = default;

  virtual uint16_t port() const = 0;
  /// Everything is still served, but each answer from now on closes its connection: whoever balances connections takes
  /// the next one elsewhere.
  virtual void CloseAfterAnswers() = 0;
  /// New connections are refused, and those closed that have brought no byte of a request; what runs or is being
  /// received goes on, each with Connection: close.
  virtual void StopAccepting() = 0;
  /// StopAccepting(), then waits, blocking, for running requests; after `grace` it ends their scopes with `why`, gives
  /// handlers one more second to say so, and cuts the rest.
  virtual void Shutdown(absl::Duration grace, absl::Status why) = 0;
};

}  // namespace switchyard
