// A server's WebSocket that is read all the time, so that the client's leaving is noticed, and its pings are answered,
// while the handler does something else. Internal to the HTTP server; lives on one executor.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "services/common/async/event.h"
#include "services/common/http/web_socket.h"

namespace switchyard {

class WatchedWebSocket final : public WebSocket {
 public:
  /// Starts to read. `scope`, which outlives it, ends with `gone` when the client has left or closed, or has sent more
  /// than `max_queued_bytes` that nobody took.
  WatchedWebSocket(std::unique_ptr<WebSocket> socket, Scope& scope, size_t max_queued_bytes, absl::Status gone);

  boost::asio::awaitable<absl::Status> Send(Scope& scope, std::string bytes) override;
  /// Messages that came before the end are handed out after it, too.
  boost::asio::awaitable<absl::StatusOr<std::optional<WebSocketMessage>>> Read(Scope& scope) override;
  boost::asio::awaitable<void> Close(Scope& scope, int code) override;

  /// Returns once nothing reads any more; the connection has to be closed by then, or the scope ended.
  boost::asio::awaitable<void> Join();

 private:
  boost::asio::awaitable<void> Watch();

  std::unique_ptr<WebSocket> socket_;
  Scope& scope_;
  const size_t max_queued_bytes_;
  const absl::Status gone_;
  std::deque<WebSocketMessage> messages_;
  size_t queued_bytes_ = 0;
  absl::StatusOr<std::optional<WebSocketMessage>> last_ = std::optional<WebSocketMessage>();  // what ended the reading
  bool ended_ = false;
  Event arrived_;
  Event joined_;
};

}  // namespace switchyard
