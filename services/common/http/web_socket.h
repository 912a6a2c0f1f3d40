// A WebSocket, whichever side of it one is: whole messages in and out. Nothing here knows Beast.
//
//   auto answer = co_await client.OpenWebSocket(scope, std::move(handshake), kMaxMessage);
//   if (!answer.ok()) co_return answer.status();
//   if (!answer->socket) co_return RefusedWith(answer->status, answer->body);
//   auto sent = co_await answer->socket->Send(scope, bytes);
//   auto message = co_await answer->socket->Read(scope);
//
// Pings are answered while somebody reads. Extensions, compression among them, are not spoken.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"
#include "services/common/http/http_types.h"

namespace switchyard {

struct WebSocketMessage {
  bool binary = true;  // otherwise text, and valid UTF-8
  std::string bytes = {};
};

/// Destroying it closes the connection without a farewell. Lives on the executor of the scope it was made with; one
/// Send() and one Read() at a time, also at once. When a scope ends in the middle of a call, so does the connection.
class WebSocket {
 public:
  static constexpr int kNormalClose = 1000;

  virtual ~WebSocket() = default;

  /// One binary message. Errors, with none of which the peer got the whole message: UNAVAILABLE (UPSTREAM_UNAVAILABLE),
  /// DEADLINE_EXCEEDED if it is not taken, the scope's own.
  virtual boost::asio::awaitable<absl::Status> Send(Scope& scope, std::string bytes) = 0;

  /// The next message; nullopt once the peer has closed with code 1000 or none. Errors: DATA_LOSS (UPSTREAM_BROKEN),
  /// cause close_<code> for any other code, closed_early or reset without one; DEADLINE_EXCEEDED, cause idle_timeout;
  /// INTERNAL (UPSTREAM_CHANGED), cause too_large or bad_response; the scope's own.
  virtual boost::asio::awaitable<absl::StatusOr<std::optional<WebSocketMessage>>> Read(Scope& scope) = 0;

  /// Says goodbye, waits for the peer's for 2 s at most, and closes. No effect on a closed one.
  virtual boost::asio::awaitable<void> Close(Scope& scope, int code = kNormalClose) = 0;
};

/// What a handshake came to: the socket, or else the HTTP answer that refused it.
struct WebSocketAnswer {
  int status = 0;
  HttpHeaders headers = {};
  std::string body = {};
  std::unique_ptr<WebSocket> socket = {};
};

}  // namespace switchyard
