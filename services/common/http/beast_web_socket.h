// Both handshakes of a WebSocket over a connection that is there. Internal to the HTTP client and server.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"
#include "services/common/http/byte_channel.h"
#include "services/common/http/http_types.h"
#include "services/common/http/web_socket.h"

namespace switchyard {

struct WebSocketLimits {
  absl::Duration handshake;   // from its first byte to the whole answer
  absl::Duration send;        // for the peer to take a message
  absl::Duration idle;        // between two pieces of a message, and between two messages
  size_t max_message_bytes;   // of one message
  size_t max_received_bytes;  // of all messages together
};

/// The client's side. Errors: UNAVAILABLE (UPSTREAM_UNAVAILABLE, cause reset), DEADLINE_EXCEEDED (cause
/// first_byte_timeout), INTERNAL (UPSTREAM_CHANGED, cause bad_response or too_large), the scope's own.
/// @param host as in the Host header
boost::asio::awaitable<absl::StatusOr<WebSocketAnswer>> ConnectWebSocket(Scope& scope,
                                                                         std::unique_ptr<ByteChannel> channel,
                                                                         std::string host, std::string target,
                                                                         HttpHeaders headers, WebSocketLimits limits);

/// Whether the request wants to become a WebSocket.
bool AsksForWebSocket(const std::string& method, const HttpHeaders& headers);

/// The server's side, for such a request, whose header has been read. CANCELLED if nothing came of it.
/// @param headers further ones of the answer
boost::asio::awaitable<absl::StatusOr<std::unique_ptr<WebSocket>>> AcceptWebSocket(Scope& scope,
                                                                                   std::unique_ptr<ByteChannel> channel,
                                                                                   const HttpHeaders& request,
                                                                                   HttpHeaders headers,
                                                                                   WebSocketLimits limits);

}  // namespace switchyard
