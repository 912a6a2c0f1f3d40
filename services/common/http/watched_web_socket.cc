#include "services/common/http/watched_web_socket.h"

#include <utility>

#include "services/common/async/task_group.h"

namespace switchyard {

namespace asio = boost::asio;

WatchedWebSocket::WatchedWebSocket(std::unique_ptr<WebSocket> socket, Scope& scope, size_t max_queued_bytes,
                                   absl::Status gone)
    : socket_(std::move(socket)),
      scope_(scope),
      max_queued_bytes_(max_queued_bytes),
      gone_(std::move(gone)),
      arrived_(scope.executor()),
      joined_(scope.executor()) {
  SpawnDetached(scope.executor(), Watch());
}

asio::awaitable<void> WatchedWebSocket::Watch() {
  for (;;) {
    auto message = co_await socket_->Read(scope_);
    if (!message.ok() || !*message) {
      last_ = std::move(message);
      break;
    }
    queued_bytes_ += (*message)->bytes.size();
    if (queued_bytes_ > max_queued_bytes_) {
      last_ = absl::ResourceExhaustedError("the client sends more than is read");
      break;
    }
    messages_.push_back(**std::move(message));
    arrived_.Set();
  }
  ended_ = true;
  scope_.Cancel(gone_);
  arrived_.Set();
  joined_.Set();
}

asio::awaitable<absl::Status> WatchedWebSocket::Send(Scope& scope, std::string bytes) {
  co_return co_await socket_->Send(scope, std::move(bytes));
}

asio::awaitable<absl::StatusOr<std::optional<WebSocketMessage>>> WatchedWebSocket::Read(Scope& scope) {
  while (messages_.empty() && !ended_) {
    if (scope.ended()) co_return scope.status();
    co_await arrived_.Wait(scope);
  }
  if (messages_.empty()) co_return last_;
  WebSocketMessage message = std::move(messages_.front());
  messages_.pop_front();
  queued_bytes_ -= message.bytes.size();
  co_return message;
}

asio::awaitable<void> WatchedWebSocket::Close(Scope& scope, int code) { co_await socket_->Close(scope, code); }

asio::awaitable<void> WatchedWebSocket::Join() {
  Scope open(scope_.executor());
  while (!ended_) co_await joined_.Wait(open);
}

}  // namespace switchyard
