#include "tests/simulator/kimi/messages.h"

#include <utility>

namespace simulator::kimi {

namespace asio = boost::asio;

namespace {

constexpr int kServerFailed = 1011;

}  // namespace

asio::awaitable<absl::Status> MessageResponder::Send(int status, switchyard::HttpHeaders, std::string body) {
  begun_ = true;
  if (status != 200) {
    co_await Close(kServerFailed);
    co_return absl::OkStatus();
  }
  const absl::Status sent = co_await Write(body);
  if (sent.ok()) co_await Close(switchyard::WebSocket::kNormalClose);
  co_return sent;
}

asio::awaitable<absl::Status> MessageResponder::Begin(int, switchyard::HttpHeaders) {
  begun_ = true;
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> MessageResponder::Write(absl::string_view bytes) {
  std::string message(bytes);
  co_return co_await socket_.Send(scope(), std::move(message));
}

asio::awaitable<absl::Status> MessageResponder::End() {
  co_await Close(switchyard::WebSocket::kNormalClose);
  co_return absl::OkStatus();
}

asio::awaitable<absl::StatusOr<switchyard::WebSocket*>> MessageResponder::Upgrade(switchyard::HttpHeaders) {
  co_return absl::InternalError("this is a WebSocket already");
}

asio::awaitable<void> MessageResponder::Close(int code) { co_await socket_.Close(scope(), code); }

}  // namespace simulator::kimi
