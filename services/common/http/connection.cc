#include "services/common/http/connection.h"

#include <openssl/ssl.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/common/async/rendezvous.h"
#include "services/common/status/reason.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kNextAddressAfter = std::chrono::milliseconds(250);

absl::Status Unavailable(absl::string_view message, std::string cause) {
  return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, message, {.cause = std::move(cause)});
}

absl::Status ReadError(const error_code& error) {
  if (error == ssl::error::stream_truncated) {
    return MakeError(Reason::REASON_UPSTREAM_BROKEN, "the platform closed the connection without a farewell",
                     {.cause = "closed_early"});
  }
  return Unavailable("the connection to the platform broke", "reset");
}

bool SocketIsIdle(tcp::socket& socket) {
  if (!socket.is_open()) return false;
  char byte;
  const ssize_t n = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

template <typename Stream>
tcp::socket& SocketOf(Stream& stream) {
  if constexpr (std::is_same_v<Stream, tcp::socket>) {
    return stream;
  } else {
    return stream.next_layer();
  }
}

template <typename Stream>
class Connection final : public UpstreamConnection {
 public:
  explicit Connection(Stream stream) : stream_(std::move(stream)) {}

  asio::awaitable<absl::StatusOr<size_t>> Read(Scope& scope, asio::mutable_buffer into) override {
    if (scope.ended()) {
      Cancel();
      co_return scope.status();
    }
    auto stop = scope.OnEnd([this] { Cancel(); });
    auto [error, n] = co_await stream_.async_read_some(into, kTuple);
    if (n > 0) co_return n;
    if (scope.ended()) co_return scope.status();
    if (error == asio::error::eof) co_return size_t{0};
    co_return ReadError(error);
  }

  asio::awaitable<absl::Status> Write(Scope& scope, absl::string_view bytes) override {
    if (scope.ended()) {
      Cancel();
      co_return scope.status();
    }
    auto stop = scope.OnEnd([this] { Cancel(); });
    const asio::const_buffer buffer(bytes.data(), bytes.size());
    auto [error, n] = co_await asio::async_write(stream_, buffer, kTuple);
    if (!error) co_return absl::OkStatus();
    if (scope.ended()) co_return scope.status();
    co_return Unavailable("the connection to the platform broke", "reset");
  }

  bool IsIdleAndOpen() override { return SocketIsIdle(SocketOf(stream_)); }

  Executor executor() override { return stream_.get_executor(); }
  void ReadSome(asio::mutable_buffer into, Done done) override { stream_.async_read_some(into, std::move(done)); }
  void WriteSome(asio::const_buffer from, Done done) override { stream_.async_write_some(from, std::move(done)); }
  void Close() override {
    error_code ignored;
    SocketOf(stream_).close(ignored);
  }

  Stream& stream() { return stream_; }

 private:
  // What was given up must not reach the platform after all, when a network that was cut heals: with this, closing the
  // socket drops the bytes that it could not send yet.
  void Cancel() {
    error_code ignored;
    SocketOf(stream_).set_option(asio::socket_base::linger(true, 0), ignored);
    SocketOf(stream_).cancel(ignored);
  }
  Stream stream_;
};

/// Connects to the first address that answers.
class Dial : public std::enable_shared_from_this<Dial> {
 public:
  explicit Dial(Executor executor) : executor_(executor), timer_(executor), done_(executor) {}

  asio::awaitable<absl::StatusOr<tcp::socket>> Run(Scope& scope, std::vector<tcp::endpoint> endpoints) {
    endpoints_ = std::move(endpoints);
    Next();
    auto stop = scope.OnEnd([self = shared_from_this()] { self->Settle(false); });
    co_await done_.Wait();
    if (winner_) co_return std::move(*winner_);
    if (scope.ended()) co_return scope.status();
    co_return last_ == asio::error::connection_refused ? Unavailable("the connection was refused", "connect_refused")
                                                       : Unavailable("no connection could be made", "connect_failed");
  }

 private:
  void Next() {
    if (settled_ || next_ >= endpoints_.size()) return;
    auto socket = std::make_shared<tcp::socket>(executor_);
    sockets_.push_back(socket);
    ++open_;
    socket->async_connect(endpoints_[next_++], [self = shared_from_this(), socket](const error_code& error) {
      --self->open_;
      if (self->settled_) return;
      if (!error) {
        self->winner_.emplace(std::move(*socket));
        self->Settle(true);
        return;
      }
      self->last_ = error;
      if (self->next_ < self->endpoints_.size()) {
        self->Next();
      } else if (self->open_ == 0) {
        self->Settle(false);
      }
    });
    if (next_ >= endpoints_.size()) return;
    timer_.expires_after(kNextAddressAfter);
    timer_.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error) self->Next();
    });
  }

  void Settle(bool connected) {
    if (std::exchange(settled_, true)) return;
    timer_.cancel();
    error_code ignored;
    for (auto& socket : sockets_) socket->close(ignored);
    done_.Complete(connected);
  }

  Executor executor_;
  asio::steady_timer timer_;
  Rendezvous<bool> done_;
  std::vector<tcp::endpoint> endpoints_;
  std::vector<std::shared_ptr<tcp::socket>> sockets_;
  std::optional<tcp::socket> winner_;
  error_code last_;
  size_t next_ = 0;
  int open_ = 0;
  bool settled_ = false;
};

/// @param addresses of the host; empty: its name is resolved
asio::awaitable<absl::StatusOr<tcp::socket>> Connect(Scope& scope, const Origin& to,
                                                     const std::vector<std::string>& addresses, absl::Duration limit) {
  Scope bounded(scope, limit,
                MakeError(Reason::REASON_DEADLINE, absl::StrCat("connecting to ", to.host, " took too long"),
                          {.cause = "connect_timeout"}));
  tcp::resolver resolver(scope.executor());
  std::vector<tcp::endpoint> endpoints;
  int port = 0;
  for (const std::string& text : addresses) {
    error_code error;
    const asio::ip::address address = asio::ip::make_address(text, error);
    if (error || !absl::SimpleAtoi(to.port, &port)) co_return absl::InvalidArgumentError("not an address and a port");
    endpoints.emplace_back(address, static_cast<uint16_t>(port));
  }
  if (endpoints.empty()) {
    auto stop = bounded.OnEnd([&resolver] { resolver.cancel(); });
    auto [error, results] = co_await resolver.async_resolve(to.host, to.port, kTuple);
    if (bounded.ended()) co_return bounded.status();
    if (error) co_return Unavailable(absl::StrCat("the name ", to.host, " cannot be resolved"), "dns");
    for (const auto& result : results) endpoints.push_back(result.endpoint());
  }
  auto dial = std::make_shared<Dial>(scope.executor());
  auto socket = co_await dial->Run(bounded, std::move(endpoints));
  if (!socket.ok()) co_return WithMessage(socket.status(), absl::StrCat(to.host, ": ", socket.status().message()));
  error_code ignored;
  socket->set_option(tcp::no_delay(true), ignored);
  co_return std::move(socket);
}

// Asks a proxy for a tunnel. Its answer's header is read byte by byte up to the empty line, so that nothing of what
// follows is taken away from TLS.
asio::awaitable<absl::Status> OpenTunnel(Scope& scope, tcp::socket& socket, const Origin& to, const Origin& proxy) {
  std::string request = absl::StrCat("CONNECT ", to.HostPort(), " HTTP/1.1\r\nHost: ", to.HostPort(), "\r\n");
  if (!proxy.user_info.empty())
    absl::StrAppend(&request, "Proxy-Authorization: Basic ", absl::Base64Escape(proxy.user_info), "\r\n");
  request += "\r\n";
  auto stop = scope.OnEnd([&socket] {
    error_code ignored;
    socket.cancel(ignored);
  });
  const asio::const_buffer out = asio::buffer(request);
  auto [write_error, written] = co_await asio::async_write(socket, out, kTuple);
  std::string answer;
  while (!write_error && !scope.ended() && answer.size() < 16 * 1024 && !absl::EndsWith(answer, "\r\n\r\n")) {
    char byte;
    const asio::mutable_buffer in(&byte, 1);
    auto [error, n] = co_await socket.async_read_some(in, kTuple);
    if (error) break;
    answer.push_back(byte);
  }
  if (scope.ended()) co_return scope.status();
  if (absl::StartsWith(answer, "HTTP/1.") && answer.size() > 12 && answer.substr(9, 1) == "2" &&
      absl::EndsWith(answer, "\r\n\r\n")) {
    co_return absl::OkStatus();
  }
  co_return Unavailable(absl::StrCat("the proxy ", proxy.host, " refused a connection to ", to.host), "proxy_refused");
}

absl::Status HandshakeError(const Origin& origin, SSL* handle) {
  const long verdict = SSL_get_verify_result(handle);
  switch (verdict) {
    case X509_V_OK:
      return Unavailable(absl::StrCat(origin.host, ": the TLS handshake failed"), "tls_failed");
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Unavailable(absl::StrCat(origin.host, ": its certificate is not valid at this time"), "tls_expired");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Unavailable(absl::StrCat(origin.host, ": its certificate is for another name"), "tls_name");
    default:
      return Unavailable(absl::StrCat(origin.host, ": its certificate is not trusted"), "tls_untrusted");
  }
}

}  // namespace

asio::awaitable<absl::StatusOr<std::unique_ptr<UpstreamConnection>>> OpenConnection(Scope& scope, ConnectPlan plan,
                                                                                    ssl::context& tls) {
  const Origin& first = plan.proxy ? *plan.proxy : plan.origin;
  const std::vector<std::string> resolve;
  const std::vector<std::string>& addresses = plan.proxy ? resolve : plan.addresses;
  auto socket = co_await Connect(scope, first, addresses, plan.connect_limit);
  if (!socket.ok()) co_return MarkNothingReached(socket.status());

  Scope bounded(
      scope, plan.tls_limit,
      MakeError(Reason::REASON_DEADLINE, absl::StrCat("the TLS handshake with ", plan.origin.host, " took too long"),
                {.cause = "tls_timeout"}));
  if (plan.proxy && (plan.origin.tls || plan.tunnel)) {
    Origin end = plan.origin;
    if (!plan.addresses.empty()) end.host = plan.addresses.front();
    const absl::Status tunnel = co_await OpenTunnel(bounded, *socket, end, *plan.proxy);
    if (!tunnel.ok()) co_return MarkNothingReached(tunnel);
  }
  if (!plan.origin.tls) co_return std::make_unique<Connection<tcp::socket>>(*std::move(socket));

  ssl::stream<tcp::socket> stream(*std::move(socket), tls);
  SSL* handle = stream.native_handle();
  error_code address_error;
  asio::ip::make_address(plan.origin.host, address_error);
  if (address_error) {
    SSL_set_tlsext_host_name(handle, plan.origin.host.c_str());  // SNI is for names only
    SSL_set1_host(handle, plan.origin.host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(handle), plan.origin.host.c_str());
  }
  stream.set_verify_mode(ssl::verify_peer);
  {
    auto stop = bounded.OnEnd([&stream] {
      error_code ignored;
      stream.next_layer().cancel(ignored);
    });
    auto [error] = co_await stream.async_handshake(ssl::stream_base::client, kTuple);
    if (bounded.ended()) co_return MarkNothingReached(bounded.status());
    if (error) co_return MarkNothingReached(HandshakeError(plan.origin, handle));
  }
  co_return std::make_unique<Connection<ssl::stream<tcp::socket>>>(std::move(stream));
}

}  // namespace switchyard
