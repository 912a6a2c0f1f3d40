// The messages of a WebSocket as one body: the envelopes in them are the same, and may lie across them.
#pragma once

#include <memory>
#include <string>

#include "services/common/http/http_client.h"

namespace switchyard::kimi {

class MessageBody final : public HttpResponse {
 public:
  /// @param answer of a handshake that was accepted
  explicit MessageBody(WebSocketAnswer answer)
      : headers_(std::move(answer.headers)), socket_(std::move(answer.socket)) {}

  int status() const override { return 200; }
  const HttpHeaders& headers() const override { return headers_; }
  /// Errors as WebSocket::Read(), and UPSTREAM_CHANGED (cause envelope) for a text message.
  boost::asio::awaitable<absl::StatusOr<std::string>> Read(Scope& scope) override;

  /// The answer was complete: the next Read() closes the socket and is at the end.
  void Finish() { finished_ = true; }

 private:
  HttpHeaders headers_;
  std::unique_ptr<WebSocket> socket_;
  bool finished_ = false;
};

}  // namespace switchyard::kimi
