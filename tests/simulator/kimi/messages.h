// An answer over a WebSocket, by the code that answers over HTTP: what would be a piece of the body is a message, what
// would end it closes the socket.
#pragma once

#include <string>

#include "services/common/http/http_server.h"

namespace simulator::kimi {

class MessageResponder final : public switchyard::HttpResponder {
 public:
  /// Both outlive it. @param under what the socket was made of
  MessageResponder(switchyard::HttpResponder& under, switchyard::WebSocket& socket) : under_(under), socket_(socket) {}

  switchyard::Scope& scope() override { return under_.scope(); }
  /// A status cannot be said any more: anything but 200 closes the socket as a server's failure does.
  boost::asio::awaitable<absl::Status> Send(int status, switchyard::HttpHeaders headers, std::string body) override;
  boost::asio::awaitable<absl::Status> Begin(int status, switchyard::HttpHeaders headers) override;
  boost::asio::awaitable<absl::Status> Write(absl::string_view bytes) override;
  boost::asio::awaitable<absl::Status> End() override;
  void Abort(bool reset) override { under_.Abort(reset); }
  boost::asio::awaitable<absl::StatusOr<switchyard::WebSocket*>> Upgrade(switchyard::HttpHeaders headers) override;
  bool begun() const override { return begun_; }

  boost::asio::awaitable<void> Close(int code);

 private:
  switchyard::HttpResponder& under_;
  switchyard::WebSocket& socket_;
  bool begun_ = false;
};

}  // namespace simulator::kimi
