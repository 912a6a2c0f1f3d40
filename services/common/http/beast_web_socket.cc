#include "services/common/http/beast_web_socket.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"
#include "services/common/text/views.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kPiece = 16 * 1024;
constexpr absl::Duration kFarewellLimit = absl::Seconds(2);

absl::Status Changed(absl::string_view message, std::string cause) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, message, {.cause = std::move(cause)});
}
absl::Status Broken(absl::string_view message, std::string cause) {
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, message, {.cause = std::move(cause)});
}
absl::Status Unreachable(absl::string_view message) {
  return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, message, {.cause = "reset"});
}

bool IsProtocolError(const error_code& error) {
  static const auto& http_category = http::make_error_code(http::error::end_of_stream).category();
  static const auto& socket_category = websocket::make_error_code(websocket::error::closed).category();
  return (error.category() == http_category && error != http::error::end_of_stream &&
          error != http::error::partial_message) ||
         error.category() == socket_category;
}
bool IsTooLarge(const error_code& error) {
  return error == websocket::error::message_too_big || error == websocket::error::buffer_overflow ||
         error == http::error::header_limit || error == http::error::body_limit ||
         error == http::error::buffer_overflow;
}

HttpHeaders HeadersOf(const http::fields& fields) {
  HttpHeaders headers;
  for (const auto& field : fields) headers.Add(ToAbsl(field.name_string()), ToAbsl(field.value()));
  return headers;
}
template <typename Message>
void SetAll(Message& message, const HttpHeaders& headers) {
  for (const auto& [name, value] : headers) message.set(name, value);
}

http::request<http::empty_body> UpgradeOf(const std::string& method, const HttpHeaders& headers) {
  http::request<http::empty_body> request;
  request.version(11);
  request.method_string(method);
  request.target("/");
  for (const auto& [name, value] : headers) request.insert(name, value);
  return request;
}

/// The channel as Beast wants to see it.
class Layer {
 public:
  using executor_type = Executor;

  explicit Layer(ByteChannel& channel) : channel_(channel) {}

  executor_type get_executor() const { return channel_.executor(); }
  void Close() { channel_.Close(); }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    asio::mutable_buffer into;
    for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at) {
      into = *at;
      if (into.size() > 0) break;
    }
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [this, into](auto handler) { channel_.ReadSome(into, std::move(handler)); }, token);
  }

  // Frame header and payload are one write: two small ones would be two packets.
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    out_.resize(std::min(asio::buffer_size(buffers), kPiece));
    asio::buffer_copy(asio::buffer(out_), buffers);
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [this](auto handler) { channel_.WriteSome(asio::buffer(out_), std::move(handler)); }, token);
  }

 private:
  ByteChannel& channel_;
  std::string out_;
};

// Found by Beast through the type of its layer.
void beast_close_socket(Layer& layer) { layer.Close(); }

template <typename Handler>
void async_teardown(beast::role_type, Layer& layer, Handler&& handler) {
  layer.Close();
  asio::post(layer.get_executor(), beast::bind_front_handler(std::forward<Handler>(handler), error_code()));
}

class BeastWebSocket final : public WebSocket {
 public:
  BeastWebSocket(std::unique_ptr<ByteChannel> channel, WebSocketLimits limits)
      : channel_(std::move(channel)), limits_(limits), stream_(*channel_) {
    stream_.binary(true);
    stream_.auto_fragment(false);
    stream_.read_message_max(limits.max_message_bytes);
  }

  asio::awaitable<absl::StatusOr<WebSocketAnswer>> Connect(Scope& scope, std::string host, std::string target,
                                                           HttpHeaders headers) {
    Scope bounded(scope, limits_.handshake,
                  MakeError(Reason::REASON_DEADLINE, "the platform did not answer a handshake in time",
                            {.cause = "first_byte_timeout"}));
    if (bounded.ended()) co_return bounded.status();
    auto stop = bounded.OnEnd([this] { channel_->Close(); });
    stream_.set_option(websocket::stream_base::decorator(
        [headers = std::move(headers)](websocket::request_type& request) { SetAll(request, headers); }));
    websocket::response_type response;
    auto [error] = co_await stream_.async_handshake(response, host, target, kTuple);
    if (bounded.ended()) co_return bounded.status();
    if (error && error != websocket::error::upgrade_declined) {
      if (IsTooLarge(error)) co_return Changed("the platform's answer is larger than allowed", "too_large");
      if (IsProtocolError(error)) co_return Changed("the platform's handshake was not understood", "bad_response");
      co_return Unreachable("the platform closed the connection in the middle of a handshake");
    }
    WebSocketAnswer answer;
    answer.status = static_cast<int>(response.result_int());
    answer.headers = HeadersOf(response);
    answer.body = std::move(response.body());
    co_return answer;
  }

  asio::awaitable<absl::Status> Accept(Scope& scope, http::request<http::empty_body> request, HttpHeaders headers) {
    Scope bounded(scope, limits_.handshake, absl::CancelledError("the client did not take the handshake"));
    auto stop = bounded.OnEnd([this] { channel_->Close(); });
    stream_.set_option(websocket::stream_base::decorator(
        [headers = std::move(headers)](websocket::response_type& response) { SetAll(response, headers); }));
    auto [error] = co_await stream_.async_accept(request, kTuple);
    if (bounded.ended()) co_return bounded.status();
    if (error) co_return absl::CancelledError("the client went away");
    co_return absl::OkStatus();
  }

  asio::awaitable<absl::Status> Send(Scope& scope, std::string bytes) override {
    Scope bounded(
        scope, limits_.send,
        MakeError(Reason::REASON_DEADLINE, "a message was not taken in time", {.cause = "first_byte_timeout"}));
    if (bounded.ended()) co_return bounded.status();
    auto stop = bounded.OnEnd([this] { channel_->Close(); });
    const asio::const_buffer buffer = asio::buffer(bytes);
    auto [error, n] = co_await stream_.async_write(buffer, kTuple);
    if (!error) co_return absl::OkStatus();
    if (bounded.ended()) co_return bounded.status();
    co_return Unreachable("the connection broke before a message was sent");
  }

  asio::awaitable<absl::StatusOr<std::optional<WebSocketMessage>>> Read(Scope& scope) override {
    if (!failed_.ok()) co_return failed_;
    if (over_) co_return std::optional<WebSocketMessage>();
    for (;;) {
      const absl::Status status = co_await ReadPiece(scope);
      if (!status.ok()) {
        failed_ = status;
        channel_->Close();
        co_return status;
      }
      if (over_) co_return std::optional<WebSocketMessage>();
      if (stream_.is_message_done()) break;
    }
    WebSocketMessage message;
    message.binary = stream_.got_binary();
    message.bytes = beast::buffers_to_string(buffer_.data());
    buffer_.clear();
    buffer_.shrink_to_fit();
    co_return message;
  }

  asio::awaitable<void> Close(Scope& scope, int code) override {
    if (over_ || !failed_.ok() || !stream_.is_open()) {
      channel_->Close();
      co_return;
    }
    Scope bounded(scope, kFarewellLimit, absl::DeadlineExceededError("no farewell"));
    auto stop = bounded.OnEnd([this] { channel_->Close(); });
    const websocket::close_reason reason(static_cast<websocket::close_code>(code));
    if (!bounded.ended()) co_await stream_.async_close(reason, kTuple);
    over_ = true;
    channel_->Close();
  }

 private:
  asio::awaitable<absl::Status> ReadPiece(Scope& scope) {
    Scope idle(scope, limits_.idle,
               MakeError(Reason::REASON_DEADLINE, "the platform fell silent in the middle of its answer",
                         {.cause = "idle_timeout"}));
    if (idle.ended()) co_return idle.status();
    auto stop = idle.OnEnd([this] { channel_->Close(); });
    auto [error, n] = co_await stream_.async_read_some(buffer_, kPiece, kTuple);
    received_ += n;
    if (!error && received_ > limits_.max_received_bytes)
      co_return Changed("the platform's answer is larger than allowed", "too_large");
    if (!error) co_return absl::OkStatus();
    if (idle.ended()) co_return idle.status();
    if (error == websocket::error::closed) co_return Farewell();
    if (IsTooLarge(error)) co_return Changed("the platform's answer is larger than allowed", "too_large");
    if (IsProtocolError(error)) co_return Changed("the platform's answer is no valid WebSocket", "bad_response");
    const bool early = error == asio::error::eof || error == asio::ssl::error::stream_truncated;
    co_return Broken("the platform's answer ended early", early ? "closed_early" : "reset");
  }

  absl::Status Farewell() {
    const int code = stream_.reason().code;
    if (code != websocket::close_code::normal && code != websocket::close_code::none)
      return Broken(absl::StrCat("the platform closed the connection with code ", code), absl::StrCat("close_", code));
    over_ = true;
    return absl::OkStatus();
  }

  std::unique_ptr<ByteChannel> channel_;
  const WebSocketLimits limits_;
  websocket::stream<Layer> stream_;
  beast::flat_buffer buffer_;
  size_t received_ = 0;
  bool over_ = false;  // closed as it should be
  absl::Status failed_;
};

}  // namespace

asio::awaitable<absl::StatusOr<WebSocketAnswer>> ConnectWebSocket(Scope& scope, std::unique_ptr<ByteChannel> channel,
                                                                  std::string host, std::string target,
                                                                  HttpHeaders headers, WebSocketLimits limits) {
  auto socket = std::make_unique<BeastWebSocket>(std::move(channel), limits);
  auto answer = co_await socket->Connect(scope, std::move(host), std::move(target), std::move(headers));
  if (answer.ok() && answer->status == static_cast<int>(http::status::switching_protocols))
    answer->socket = std::move(socket);
  co_return answer;
}

bool AsksForWebSocket(const std::string& method, const HttpHeaders& headers) {
  return websocket::is_upgrade(UpgradeOf(method, headers));
}

asio::awaitable<absl::StatusOr<std::unique_ptr<WebSocket>>> AcceptWebSocket(Scope& scope,
                                                                            std::unique_ptr<ByteChannel> channel,
                                                                            const HttpHeaders& request,
                                                                            HttpHeaders headers,
                                                                            WebSocketLimits limits) {
  auto socket = std::make_unique<BeastWebSocket>(std::move(channel), limits);
  const absl::Status accepted = co_await socket->Accept(scope, UpgradeOf("GET", request), std::move(headers));
  if (!accepted.ok()) co_return accepted;
  co_return socket;
}

}  // namespace switchyard
