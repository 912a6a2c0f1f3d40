// The socket of a client of the HTTP server, in the clear or under TLS, as one kind of stream. Internal to the server;
// lives on one executor.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "boost/asio/as_tuple.hpp"
#include "boost/asio/awaitable.hpp"
#include "boost/asio/ip/tcp.hpp"
#include "boost/asio/ssl/context.hpp"
#include "boost/asio/ssl/stream.hpp"
#include "boost/asio/use_awaitable.hpp"

namespace switchyard {

/// Reads and writes as Asio's streams do. Under TLS one read and one write may be under way at a time.
class ClientSocket {
 public:
  using executor_type = boost::asio::ip::tcp::socket::executor_type;
  using lowest_layer_type = boost::asio::ip::tcp::socket;

  explicit ClientSocket(boost::asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}
  ClientSocket(const ClientSocket&) = delete;
  ClientSocket& operator=(const ClientSocket&) = delete;

  executor_type get_executor() { return socket_.get_executor(); }
  /// The socket itself: for what concerns the connection, not its bytes.
  boost::asio::ip::tcp::socket& tcp() { return socket_; }
  bool tls() const { return tls_.has_value(); }

  /// From here on everything goes through TLS. The context may be let go of.
  boost::asio::awaitable<boost::system::error_code> Handshake(boost::asio::ssl::context& context) {
    tls_.emplace(socket_, context);
    auto [error] = co_await tls_->async_handshake(Tls::server, boost::asio::as_tuple(boost::asio::use_awaitable));
    co_return error;
  }
  /// Says farewell and waits for the client's.
  boost::asio::awaitable<void> Farewell() {
    auto [ignored] = co_await tls_->async_shutdown(boost::asio::as_tuple(boost::asio::use_awaitable));
    (void)ignored;
  }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_read_some(buffers, std::forward<Token>(token));
    return socket_.async_read_some(buffers, std::forward<Token>(token));
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_write_some(buffers, std::forward<Token>(token));
    return socket_.async_write_some(buffers, std::forward<Token>(token));
  }

 private:
  using Tls = boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>;
  boost::asio::ip::tcp::socket socket_;
  std::optional<Tls> tls_;
};

}  // namespace switchyard
