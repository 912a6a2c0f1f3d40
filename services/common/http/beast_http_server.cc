#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <limits>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "services/common/async/sleep.h"
#include "services/common/async/task_group.h"
#include "services/common/http/beast_web_socket.h"
#include "services/common/http/client_socket.h"
#include "services/common/http/http_path.h"
#include "services/common/http/http_server.h"
#include "services/common/http/watched_web_socket.h"
#include "services/common/log/log.h"
#include "services/common/text/views.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

// How long, and how much, a client that was refused may go on sending.
constexpr absl::Duration kLingerLimit = absl::Seconds(5);
constexpr size_t kLingerBytes = 256 * 1024 * 1024;
constexpr size_t kLingerPiece = 64 * 1024;
// How long the farewell of a client is waited for.
constexpr absl::Duration kFarewellLimit = absl::Seconds(1);
// How long a client may take over the last words of an answer that the server itself ended.
constexpr absl::Duration kLastWordsLimit = absl::Seconds(1);
// Looks at a client's host in the course of vanish_limit.
constexpr int kContactChecks = 8;
// The first byte of a TLS connection: a record of type handshake. Source: RFC 8446, section 5.1.
constexpr unsigned char kTlsHandshake = 0x16;
// How long the client of a WebSocket may say nothing.
constexpr absl::Duration kQuietLimit = absl::Hours(24);
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
using Parser = http::request_parser<http::string_body>;

absl::Status Gone() { return absl::CancelledError("the client went away"); }

absl::string_view ReasonPhrase(int status) {
  const auto phrase = http::obsolete_reason(static_cast<http::status>(status));
  return {phrase.data(), phrase.size()};
}

const std::string& DateHeader() {
  // Formatting a date for every response is measurable; it changes once a second.
  thread_local int64_t second = 0;
  thread_local std::string text;
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  if (now != second) {
    second = now;
    text = absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::FromUnixSeconds(now), absl::UTCTimeZone());
  }
  return text;
}

/// Names that another server in the way might read as one of the two that say where a body ends: "Content_Length",
/// "Transfer---Encoding".
bool LooksLikeFraming(absl::string_view name) {
  std::string letters;
  for (const unsigned char c : name) {
    if (absl::ascii_isalnum(c)) letters.push_back(absl::ascii_tolower(c));
  }
  if (letters == "contentlength") return !absl::EqualsIgnoreCase(name, "content-length");
  return letters == "transferencoding" && !absl::EqualsIgnoreCase(name, "transfer-encoding");
}

enum class Codings { kChunked, kUnknown, kBroken };

/// Beast looks at the last of several codings; whoever stands in front may look at another. What ends in a plain
/// "chunked" is framed all the same, so it can be said that the others are not known here (RFC 9112, 6.1); chunked has
/// no parameters (7.1).
Codings CodingsOf(const std::vector<std::string>& values) {
  std::vector<absl::string_view> names;
  for (const std::string& value : values) {
    for (const absl::string_view name : absl::StrSplit(value, ',')) names.push_back(absl::StripAsciiWhitespace(name));
  }
  for (const absl::string_view name : names) {
    const bool token = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
    });
    if (!token) return Codings::kBroken;
  }
  if (std::count_if(names.begin(), names.end(),
                    [](absl::string_view name) { return absl::EqualsIgnoreCase(name, "chunked"); }) != 1 ||
      !absl::EqualsIgnoreCase(names.back(), "chunked"))
    return Codings::kBroken;
  return names.size() == 1 ? Codings::kChunked : Codings::kUnknown;
}

/// While nothing is in flight, the system itself asks a silent host for a sign of life, and gives up after `limit`, in
/// whole seconds.
void ProbeSilentHost(int socket, absl::Duration limit) {
  const int seconds = std::max<int>(2, static_cast<int>(absl::ToInt64Seconds(limit)));
  const int on = 1, idle = seconds / 2, interval = std::max(1, seconds / 6), count = (seconds - idle) / interval;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

/// Whose connections count together: an address, or the first half of one of IPv6, for the rest is the client's to
/// choose.
asio::ip::address NetworkOf(const asio::ip::address& address) {
  if (!address.is_v6() || address.is_loopback() || address.to_v6().is_v4_mapped()) return address;
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + bytes.size() / 2, bytes.end(), 0);
  return asio::ip::address_v6(bytes);
}

bool IsHeaderSafe(const HttpHeaders& headers) {
  for (const auto& [name, value] : headers) {
    if (name.empty() || name.find_first_of("\r\n: ") != std::string::npos) return false;
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) return false;
  }
  return true;
}

/// A client's socket under a WebSocket; the socket outlives it.
class SocketChannel final : public ByteChannel {
 public:
  explicit SocketChannel(ClientSocket& socket) : socket_(socket) {}

  Executor executor() override { return socket_.get_executor(); }
  void ReadSome(asio::mutable_buffer into, Done done) override { socket_.async_read_some(into, std::move(done)); }
  void WriteSome(asio::const_buffer from, Done done) override { socket_.async_write_some(from, std::move(done)); }
  void Close() override {
    error_code ignored;
    socket_.tcp().close(ignored);
  }

 private:
  ClientSocket& socket_;
};

class BeastHttpServer;

/// One client connection: reads a request, runs the handler, and so on.
class Connection final : public HttpResponder, public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, BeastHttpServer& server)
      : socket_(std::move(socket)), server_(server), contact_timer_(socket_.get_executor()) {}

  asio::awaitable<void> Run();

  /// On the connection's executor: one that has brought no byte of a request is closed, any other after its answer.
  void StopKeepAlive() {
    keep_alive_ = false;
    stopping_ = true;
    if (phase_ == Phase::kGreeting) Close();
    if (phase_ == Phase::kIdle) Cancel();  // a wait that has just been answered goes on
  }
  /// Ends the request that runs, and one that has still to come whole, once it has.
  void EndRequest(const absl::Status& why) {
    end_ = why;
    if (scope_) scope_->Cancel(why);
  }
  void Close() {
    error_code ignored;
    socket_.tcp().close(ignored);
  }
  asio::any_io_executor executor() { return socket_.get_executor(); }

  Scope& scope() override { return *scope_; }
  asio::awaitable<absl::Status> Send(int status, HttpHeaders headers, std::string body) override;
  asio::awaitable<absl::Status> Begin(int status, HttpHeaders headers) override;
  asio::awaitable<absl::Status> Write(absl::string_view bytes) override;
  asio::awaitable<absl::Status> End() override;
  void Abort(bool reset) override;
  asio::awaitable<absl::StatusOr<WebSocket*>> Upgrade(HttpHeaders headers) override;
  bool begun() const override { return begun_; }

 private:
  enum class Next { kAgain, kClose };
  enum class Phase { kGreeting, kIdle, kBusy };  // kIdle: no byte of the next request has come
  asio::awaitable<bool> Greet();
  asio::awaitable<void> Leave();
  asio::awaitable<bool> WaitForRequest();
  asio::awaitable<Next> Serve();
  asio::awaitable<Next> Refuse(int status, absl::string_view message);
  asio::awaitable<Next> Answer(HttpRefusal refusal, bool close);
  enum class HeaderBytes { kThere, kFolded, kCut };
  asio::awaitable<HeaderBytes> ReadHeaderBytes(Scope& limit);
  bool HasBytesToRead();
  asio::awaitable<bool> ReadBody(Parser& parser, Next& next);
  std::string Head(int status, const HttpHeaders& headers);
  template <typename Buffers>
  asio::awaitable<absl::Status> WriteAll(const Buffers& buffers);
  void Watch();
  void WatchTls();
  asio::awaitable<void> Unwatch();
  void ClientLeft();
  void WatchContact();
  bool LostContact();
  void Cancel() {
    error_code ignored;
    socket_.tcp().cancel(ignored);
  }

  ClientSocket socket_;
  BeastHttpServer& server_;
  beast::flat_buffer buffer_;
  std::optional<Scope> scope_;                  // of the running request
  const HttpServerRequest* request_ = nullptr;  // the present one, once its header has been read
  absl::Status end_;                            // not OK: the server ends every request, and why
  Phase phase_ = Phase::kGreeting;
  bool first_ = true;  // no request has been served yet
  bool keep_alive_ = true;
  bool stopping_ = false;
  bool http_1_0_ = false;
  bool head_ = false;  // the method is HEAD: no body goes out
  bool begun_ = false;
  bool chunked_ = false;
  bool ended_ = false;
  bool broken_ = false;
  bool watching_ = false;
  bool unwatching_ = false;           // the watch is being stopped, and must not begin anew
  uint64_t watch_ = 0;                // counts the watches in the clear: one of a former request does nothing
  asio::steady_timer contact_timer_;  // for vanish_limit
  bool upgraded_ = false;
  std::unique_ptr<WatchedWebSocket> web_socket_;  // what the running request made of the connection
};

class BeastHttpServer final : public HttpServer {
 public:
  BeastHttpServer(Runtime& runtime, HttpServerOptions options, HttpHandler handler)
      : runtime_(runtime), options_(std::move(options)), handler_(std::move(handler)), acceptor_(runtime.Next()) {}
  ~BeastHttpServer() override { Shutdown(absl::ZeroDuration(), absl::CancelledError("the server stops")); }

  absl::Status Open();
  uint16_t port() const override { return port_; }
  void CloseAfterAnswers() override { closing_ = true; }
  void StopAccepting() override;
  void Shutdown(absl::Duration grace, absl::Status why) override;

  const HttpServerOptions& options() const { return options_; }
  const HttpHandler& handler() const { return handler_; }
  bool closing() const { return closing_; }

 private:
  asio::awaitable<void> Accept();
  asio::awaitable<void> CloseAcceptor();
  bool Admit(const asio::ip::address& address);
  asio::awaitable<void> RunConnection(std::shared_ptr<Connection> connection, asio::ip::address address);
  template <typename Action>
  void ForEach(Action action);

  Runtime& runtime_;
  const HttpServerOptions options_;
  const HttpHandler handler_;
  tcp::acceptor acceptor_;
  uint16_t port_ = 0;
  std::atomic<bool> accepting_{true};
  std::atomic<bool> closing_{false};
  TaskGroup accept_task_;
  TaskGroup connection_tasks_;
  absl::Mutex mutex_;
  std::set<std::shared_ptr<Connection>> connections_ ABSL_GUARDED_BY(mutex_);
  std::map<asio::ip::address, int> of_address_ ABSL_GUARDED_BY(mutex_);  // connections
};

// ---- Connection

asio::awaitable<void> Connection::Run() {
  error_code ignored;
  socket_.tcp().set_option(tcp::no_delay(true), ignored);
  if (server_.options().vanish_limit > absl::ZeroDuration()) {
    ProbeSilentHost(socket_.tcp().native_handle(), server_.options().vanish_limit);
    WatchContact();
  }
  try {
    const bool greeted = co_await Greet();
    while (greeted) {
      const Next next = co_await Serve();
      if (next == Next::kClose) break;
    }
    co_await Leave();
  } catch (const std::exception& escaped) {
    LogError("connection_failed", {{"error", escaped.what()}});
  }
  contact_timer_.cancel();
  Close();
}

/// TLS, where it is spoken. @return whether requests can follow
asio::awaitable<bool> Connection::Greet() {
  if (!server_.options().https_context) co_return true;
  Scope limit(executor(), std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(server_.options().header_limit));
  auto stop = limit.OnEnd([this] { Cancel(); });
  auto [error] = co_await socket_.tcp().async_wait(tcp::socket::wait_read, kTuple);
  if (error || limit.ended()) co_return false;
  unsigned char first = 0;
  if (::recv(socket_.tcp().native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first != kTlsHandshake) {
    co_await Refuse(400, "This port speaks HTTPS; the request came in the clear.");
    co_return false;
  }
  const auto context = server_.options().https_context();
  const error_code failed = co_await socket_.Handshake(*context);
  co_return !failed && !limit.ended();
}

/// Ends TLS properly, so that the client knows that it has seen everything.
asio::awaitable<void> Connection::Leave() {
  if (!socket_.tls() || broken_ || !socket_.tcp().is_open()) co_return;
  Scope limit(executor(), std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(kFarewellLimit));
  auto stop = limit.OnEnd([this] { Cancel(); });
  co_await socket_.Farewell();
}

asio::awaitable<Connection::Next> Connection::Refuse(int status, absl::string_view message) {
  const auto& make = server_.options().error_body;
  HttpRefusal refusal;
  refusal.status = status;
  refusal.headers.Add("Content-Type", make ? "application/json" : "text/plain; charset=utf-8");
  refusal.body = make ? make(request_, status, message, refusal.headers) : std::string(message);
  co_return co_await Answer(std::move(refusal), true);
}

asio::awaitable<Connection::Next> Connection::Answer(HttpRefusal refusal, bool close) {
  phase_ = Phase::kBusy;
  if (close) keep_alive_ = false;
  scope_.emplace(executor());
  if (!end_.ok()) scope_->Cancel(end_);
  begun_ = false;
  co_await Send(refusal.status, std::move(refusal.headers), std::move(refusal.body));
  if (!close) {
    scope_.reset();
    co_return keep_alive_ && !broken_ && !stopping_ ? Next::kAgain : Next::kClose;
  }
  // Closing with unread bytes in the socket would reset the connection, and the client might lose the answer.
  error_code error;
  if (!socket_.tls()) socket_.tcp().shutdown(tcp::socket::shutdown_send, error);
  {
    // Many clients read nothing before they have sent everything: what they still send is taken and thrown away.
    Scope linger(*scope_, kLingerLimit, absl::CancelledError(""));
    auto stop = linger.OnEnd([this] { Cancel(); });
    std::vector<char> sink(kLingerPiece);
    for (size_t taken = 0; taken < kLingerBytes && !linger.ended();) {
      auto [read_error, n] = co_await socket_.async_read_some(asio::buffer(sink), kTuple);
      if (read_error) break;
      taken += n;
    }
  }
  scope_.reset();
  co_return Next::kClose;
}

asio::awaitable<bool> Connection::ReadBody(Parser& parser, Next& next) {
  // A body may be long, but it has to come: each read has the idle limit, and all of them together a rate, so that
  // nobody holds a connection with a byte now and then.
  const auto limit = absl::ToChronoNanoseconds(server_.options().body_limit);
  const auto start = std::chrono::steady_clock::now();
  size_t received = 0;
  while (!parser.is_done()) {
    const absl::Duration earned =
        absl::Seconds(static_cast<double>(received) / static_cast<double>(server_.options().min_body_bytes_per_second));
    const auto by_rate = start + limit + absl::ToChronoNanoseconds(earned);
    Scope idle(executor(), std::min(std::chrono::steady_clock::now() + limit, by_rate));
    auto stop = idle.OnEnd([this] { Cancel(); });
    auto [error, n] = co_await http::async_read_some(socket_, buffer_, parser, kTuple);
    received += n;
    if (!error && (!idle.ended() || parser.is_done())) continue;
    if (error == http::error::body_limit) {
      next = co_await Refuse(413, "The request body is too large.");
    } else if (idle.ended()) {
      next = co_await Refuse(408, "The request body did not arrive in time.");
    } else if (error == http::error::end_of_stream || error == http::error::partial_message ||
               error == asio::error::eof || error == asio::ssl::error::stream_truncated ||
               error.category() == asio::error::get_system_category()) {
      next = Next::kClose;
      if (server_.options().body_lost) server_.options().body_lost(*request_);
    } else {
      next = co_await Refuse(400, "The request body is malformed.");
    }
    co_return false;
  }
  co_return true;
}

// Brings a whole header into the buffer before it is parsed, since the parser does not tell of folded lines. What
// cannot be a header is left to the parser to refuse. @return kFolded if a line of it is; kCut if it ended before it
// was whole, by the limit or by the client: another read would wait for news that never come
asio::awaitable<Connection::HeaderBytes> Connection::ReadHeaderBytes(Scope& limit) {
  constexpr size_t kPiece = 4096;
  constexpr size_t kEndLength = 4;
  size_t seen = 0;  // looked at before; the last bytes of it may be the beginning of something
  while (buffer_.size() < server_.options().max_header_bytes) {
    const auto data = buffer_.data();
    const std::string_view all(static_cast<const char*>(data.data()), data.size());
    const std::string_view bytes = all.substr(seen < kEndLength ? 0 : seen - kEndLength);
    const size_t end = bytes.find("\r\n\r\n");
    const std::string_view header = bytes.substr(0, end);
    if (header.find("\r\n ") != header.npos || header.find("\r\n\t") != header.npos) co_return HeaderBytes::kFolded;
    bool bare = false;
    for (size_t at = header.find('\n', 1); at != header.npos; at = header.find('\n', at + 1))
      bare |= header[at - 1] != '\r';
    if (end != bytes.npos || bare) break;
    if (limit.ended()) co_return HeaderBytes::kCut;
    seen = all.size();
    auto [error, n] = co_await socket_.async_read_some(buffer_.prepare(kPiece), kTuple);
    buffer_.commit(n);
    if (error) co_return HeaderBytes::kCut;
  }
  co_return HeaderBytes::kThere;
}

bool Connection::HasBytesToRead() {
  char byte = 0;
  return ::recv(socket_.tcp().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/// Between requests a client may be silent for long; before the first it has no reason to. @return false if it leaves,
/// is silent for too long, or has begun nothing when the server stops
asio::awaitable<bool> Connection::WaitForRequest() {
  constexpr size_t kPiece = 4096;
  const absl::Duration patience = first_ ? server_.options().header_limit : server_.options().keep_alive_limit;
  first_ = false;
  if (buffer_.size() > 0) co_return true;
  if (stopping_) co_return false;
  phase_ = Phase::kIdle;
  Scope idle(executor(), std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(patience));
  auto stop = idle.OnEnd([this] { Cancel(); });
  if (socket_.tls()) {
    // What has come may already be in TLS's own buffer, of which the socket knows nothing.
    auto [error, n] = co_await socket_.async_read_some(buffer_.prepare(kPiece), kTuple);
    buffer_.commit(n);
    co_return !error;
  }
  // Without a buffer for it: there may be thousands of these.
  auto [error] = co_await socket_.tcp().async_wait(tcp::socket::wait_read, kTuple);
  co_return stopping_ ? HasBytesToRead() : !error;
}

asio::awaitable<Connection::Next> Connection::Serve() {
  begun_ = ended_ = broken_ = chunked_ = head_ = false;
  request_ = nullptr;
  Parser parser;
  parser.header_limit(static_cast<uint32_t>(server_.options().max_header_bytes));
  parser.body_limit(boost::none);  // looked at when the header has been

  const bool requested = co_await WaitForRequest();
  if (!requested) co_return Next::kClose;
  phase_ = Phase::kBusy;
  // From the first byte of a request on, its header has to come soon.
  {
    Scope limit(executor(),
                std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(server_.options().header_limit));
    auto stop = limit.OnEnd([this] { Cancel(); });
    const HeaderBytes bytes = co_await ReadHeaderBytes(limit);
    if (bytes == HeaderBytes::kFolded)
      co_return co_await Refuse(400, "The request has a header that is folded over several lines.");
    if (bytes == HeaderBytes::kCut && (!limit.ended() || buffer_.size() == 0)) co_return Next::kClose;
    if (limit.ended()) co_return co_await Refuse(408, "The request header did not arrive in time.");
    auto [error, n] = co_await http::async_read_header(socket_, buffer_, parser, kTuple);
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      co_return co_await Refuse(431, "The request header is too large.");
    }
    if (error == http::error::body_limit) co_return co_await Refuse(413, "The request body is too large.");
    if (limit.ended()) co_return co_await Refuse(408, "The request header did not arrive in time.");
    if (error == http::error::end_of_stream || error == asio::error::eof || error == asio::error::connection_reset ||
        error == asio::error::operation_aborted || error == asio::error::bad_descriptor ||
        error == http::error::partial_message || error == asio::ssl::error::stream_truncated) {
      co_return Next::kClose;
    }
    if (error) co_return co_await Refuse(400, "The request is malformed.");
  }

  auto& message = parser.get();
  http_1_0_ = message.version() < 11;
  keep_alive_ = message.keep_alive() && !stopping_;
  head_ = message.method() == http::verb::head;
  for (const auto& field : message) {
    if (LooksLikeFraming(ToAbsl(field.name_string())))
      co_return co_await Refuse(400,
                                "The request has a header that could be taken for Content-Length or "
                                "Transfer-Encoding.");
  }
  // Beast takes a list of equal lengths for one.
  const auto length = message[http::field::content_length];
  if (message.count(http::field::content_length) > 1 ||
      !std::all_of(length.begin(), length.end(), [](unsigned char c) { return absl::ascii_isdigit(c); }))
    co_return co_await Refuse(400, "The request has a Content-Length that is not one number.");
  if (message.count(http::field::content_length) > 0 && message.count(http::field::transfer_encoding) > 0) {
    co_return co_await Refuse(400, "The request has both Content-Length and Transfer-Encoding.");
  }
  if (message.count(http::field::transfer_encoding) > 0) {
    std::vector<std::string> values;
    for (auto [at, end] = message.equal_range(http::field::transfer_encoding); at != end; ++at)
      values.emplace_back(at->value());
    const Codings codings = http_1_0_ ? Codings::kBroken : CodingsOf(values);
    if (codings == Codings::kUnknown)
      co_return co_await Refuse(501, "The request has a Transfer-Encoding other than chunked.");
    if (codings == Codings::kBroken) co_return co_await Refuse(400, "The request has a broken Transfer-Encoding.");
  }
  if ((head_ || message.method() == http::verb::get) && !parser.is_done())
    co_return co_await Refuse(400, "The request has a body, which means nothing with GET and HEAD.");
  if (message.count(http::field::host) > 1 || (!http_1_0_ && message.count(http::field::host) == 0)) {
    co_return co_await Refuse(400, "The request needs exactly one Host header.");
  }

  HttpServerRequest request;
  request.method = std::string(message.method_string().data(), message.method_string().size());
  request.target = std::string(message.target().data(), message.target().size());
  auto target = ParseTarget(request.target);
  if (!target.ok()) co_return co_await Refuse(400, target.status().message());
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  for (const auto& field : message) request.headers.Add(ToAbsl(field.name_string()), ToAbsl(field.value()));
  error_code ignored;
  const auto remote = socket_.tcp().remote_endpoint(ignored);
  if (!ignored) request.remote_address = remote.address().to_string();
  request_ = &request;

  // What can be refused is refused before the body: it may be large, and need not even have been sent.
  if (server_.options().check_header) {
    auto refusal = server_.options().check_header(request);
    if (refusal) co_return co_await Answer(*std::move(refusal), !parser.is_done());
  }
  if (parser.content_length() && *parser.content_length() > server_.options().max_body_bytes) {
    co_return co_await Refuse(413, "The request body is too large.");
  }
  if (const auto expect = message[http::field::expect]; !expect.empty() && !http_1_0_) {
    if (!beast::iequals(expect, "100-continue"))
      co_return co_await Refuse(417, "The request expects something other than 100-continue.");
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!parser.is_done() && buffer_.size() == 0) {
      Scope limit(executor(),
                  std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(server_.options().write_limit));
      auto stop = limit.OnEnd([this] { Cancel(); });
      co_await asio::async_write(socket_, asio::buffer(kContinue), kTuple);
      if (limit.ended()) co_return Next::kClose;
    }
  }
  parser.body_limit(server_.options().max_body_bytes);
  Next next = Next::kClose;
  const bool read = co_await ReadBody(parser, next);
  if (!read) co_return next;
  request.body = std::move(message.body());

  scope_.emplace(executor());
  if (!end_.ok()) scope_->Cancel(end_);
  Watch();
  bool failed = false;
  try {
    co_await server_.handler()(request, *this);
  } catch (const std::exception& escaped) {
    LogError("handler_failed", {{"path", request.path}, {"error", escaped.what()}});
    failed = true;
  }
  if (web_socket_) {
    Close();
    co_await web_socket_->Join();
    web_socket_.reset();
  }
  if (!begun_ && !scope_->ended()) {
    const auto& make = server_.options().error_body;
    HttpHeaders headers{{"Content-Type", "application/json"}};
    std::string body = make ? make(request_, 500, "The server failed to answer.", headers) : std::string("{}");
    co_await Send(500, std::move(headers), std::move(body));
  }
  const bool whole = ended_ && !broken_ && !failed;
  const bool gone = scope_->ended();
  co_await Unwatch();
  scope_.reset();
  if (stopping_) keep_alive_ = false;
  co_return whole && !gone && keep_alive_ ? Next::kAgain : Next::kClose;
}

// While the handler works, the socket is watched for the client's leaving. Bytes that come meanwhile are a further
// request; they are kept, up to the size of a header.
void Connection::Watch() {
  if (socket_.tls()) {
    WatchTls();
    return;
  }
  watching_ = true;
  socket_.tcp().async_wait(
      tcp::socket::wait_read, [self = shared_from_this(), watch = watch_](const error_code& error) {
        if (watch != self->watch_) return;
        self->watching_ = false;
        if (error || !self->scope_ || self->upgraded_) return;
        const size_t room = self->server_.options().max_header_bytes;
        if (self->buffer_.size() >= room) return;
        auto space = self->buffer_.prepare(std::min<size_t>(room - self->buffer_.size(), 4096));
        const ssize_t n = ::recv(self->socket_.tcp().native_handle(), space.data(), space.size(), MSG_DONTWAIT);
        if (n > 0) {
          self->buffer_.commit(static_cast<size_t>(n));
          self->Watch();
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
          self->Watch();
        } else {
          self->ClientLeft();
        }
      });
}

// Under TLS only reading tells.
void Connection::WatchTls() {
  const size_t room = server_.options().max_header_bytes;
  if (upgraded_ || buffer_.size() >= room) return;
  watching_ = true;
  auto space = buffer_.prepare(std::min<size_t>(room - buffer_.size(), 4096));
  socket_.async_read_some(space, [self = shared_from_this()](const error_code& error, size_t n) {
    self->watching_ = false;
    self->buffer_.commit(n);
    if (!self->scope_ || error == asio::error::operation_aborted) return;
    if (error) {
      self->ClientLeft();
    } else if (!self->unwatching_) {
      self->WatchTls();
    }
  });
}

void Connection::ClientLeft() {
  broken_ = true;
  scope_->Cancel(Gone());
}

// A look now and then, for as long as the connection lives: a stream may have nothing to write for a while, or wait for
// room in the socket's buffer, and a timer for each request would cost more.
void Connection::WatchContact() {
  contact_timer_.expires_after(absl::ToChronoNanoseconds(server_.options().vanish_limit / kContactChecks));
  contact_timer_.async_wait([self = shared_from_this()](const error_code& error) {
    if (error || !self->socket_.tcp().is_open()) return;
    if (!self->LostContact()) {
      self->WatchContact();
      return;
    }
    // What was sent will not arrive, so the system need not go on trying.
    error_code ignored;
    self->socket_.tcp().set_option(asio::socket_base::linger(true, 0), ignored);
    if (self->scope_) {
      self->ClientLeft();
    } else {
      self->Close();  // the last answer never arrived
    }
  });
}

/// Whether the client's host has not acknowledged what it was sent for so long that the next look would come too late.
/// A host that is there acknowledges, however little its program reads; TCP_USER_TIMEOUT would not tell the two apart.
bool Connection::LostContact() {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket_.tcp().native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  // Against a closed window nothing is in flight but probes, and one that was just sent cannot have been answered.
  const bool unanswered = info.tcpi_unacked > 0 || info.tcpi_probes > 1;
  const absl::Duration limit = server_.options().vanish_limit;
  return unanswered && absl::Milliseconds(info.tcpi_last_ack_recv) >= limit - limit / kContactChecks;
}

// A read under TLS has to be over before another begins: both would fill the same buffer. One that was under way may
// begin another on the socket before it ends, so it is cancelled until it has.
asio::awaitable<void> Connection::Unwatch() {
  ++watch_;
  if (!socket_.tls()) {
    if (watching_) Cancel();
    watching_ = false;
    co_return;
  }
  unwatching_ = true;
  while (watching_) {
    Cancel();
    co_await asio::post(executor(), asio::use_awaitable);
  }
  unwatching_ = false;
}

std::string Connection::Head(int status, const HttpHeaders& headers) {
  std::string head = absl::StrCat(http_1_0_ ? "HTTP/1.0 " : "HTTP/1.1 ", status, " ", ReasonPhrase(status),
                                  "\r\nDate: ", DateHeader(), "\r\n");
  for (const auto& [name, value] : headers) absl::StrAppend(&head, name, ": ", value, "\r\n");
  if (server_.closing()) keep_alive_ = false;
  if (!keep_alive_) {
    head += "Connection: close\r\n";
  } else if (http_1_0_) {
    head += "Connection: keep-alive\r\n";
  }
  return head;
}

template <typename Buffers>
asio::awaitable<absl::Status> Connection::WriteAll(const Buffers& buffers) {
  if (broken_ || !socket_.tcp().is_open()) co_return Gone();
  size_t sent = 0;
  const size_t total = asio::buffer_size(buffers);
  if (!socket_.tls()) {
    // Small writes nearly always fit the socket's buffer: one system call, no timer, no trip through the event loop.
    error_code error;
    socket_.tcp().non_blocking(true, error);
    sent = socket_.tcp().write_some(buffers, error);
    if (!error && sent == total) co_return absl::OkStatus();
    if (error && error != asio::error::would_block && error != asio::error::try_again) {
      ClientLeft();
      co_return Gone();
    }
  }
  // What is left, as one piece: one record under TLS, and otherwise the slow path anyway.
  std::string rest(total, '\0');
  asio::buffer_copy(asio::buffer(rest), buffers);
  while (sent < total) {
    Scope limit(executor(),
                std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(server_.options().write_limit));
    auto stop = limit.OnEnd([this] { Cancel(); });
    // A request that the server ended has last words, and they get a little time. What is being written when it ends is
    // not cut off either: half a record would end TLS.
    auto hurry = scope_->OnEnd([this, &limit] {
      if (broken_) {
        limit.Cancel(Gone());
      } else {
        limit.ExtendTo(std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(kLastWordsLimit));
      }
    });
    auto [write_error, n] = co_await socket_.async_write_some(asio::buffer(rest.data() + sent, total - sent), kTuple);
    sent += n;
    if (write_error || limit.ended()) {
      broken_ = true;
      if (!scope_->ended()) scope_->Cancel(Gone());
      co_return Gone();
    }
    // A cancel for the write limit would also have ended the watch.
  }
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> Connection::Send(int status, HttpHeaders headers, std::string body) {
  if (begun_ || !IsHeaderSafe(headers))
    co_return absl::InternalError("an answer was begun twice, or has a broken header");
  begun_ = ended_ = true;
  std::string head = Head(status, headers);
  if (status != 204 && status != 304) absl::StrAppend(&head, "Content-Length: ", body.size(), "\r\n");
  head += "\r\n";
  if (head_) body.clear();
  const std::array<asio::const_buffer, 2> buffers = {asio::buffer(head), asio::buffer(body)};
  co_return co_await WriteAll(buffers);
}

asio::awaitable<absl::Status> Connection::Begin(int status, HttpHeaders headers) {
  if (begun_ || !IsHeaderSafe(headers))
    co_return absl::InternalError("an answer was begun twice, or has a broken header");
  begun_ = true;
  chunked_ = !http_1_0_;
  if (http_1_0_) keep_alive_ = false;
  std::string head = Head(status, headers);
  head += chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
  const std::array<asio::const_buffer, 1> buffers = {asio::buffer(head)};
  co_return co_await WriteAll(buffers);
}

asio::awaitable<absl::Status> Connection::Write(absl::string_view bytes) {
  if (bytes.empty() || head_) co_return absl::OkStatus();
  if (!begun_ || ended_)
    co_return absl::InternalError("nothing can be written before the start or after the end of an answer");
  if (!chunked_) {
    const std::array<asio::const_buffer, 1> buffers = {asio::buffer(bytes.data(), bytes.size())};
    co_return co_await WriteAll(buffers);
  }
  char size[24];
  const int length = absl::SNPrintF(size, sizeof size, "%x\r\n", bytes.size());
  const std::array<asio::const_buffer, 3> buffers = {asio::buffer(size, length),
                                                     asio::buffer(bytes.data(), bytes.size()), asio::buffer("\r\n", 2)};
  co_return co_await WriteAll(buffers);
}

asio::awaitable<absl::Status> Connection::End() {
  if (!begun_ || ended_) co_return absl::InternalError("an answer ends once");
  ended_ = true;
  if (!chunked_ || head_) co_return absl::OkStatus();
  const std::array<asio::const_buffer, 1> buffers = {asio::buffer("0\r\n\r\n", 5)};
  co_return co_await WriteAll(buffers);
}

void Connection::Abort(bool reset) {
  broken_ = begun_ = true;
  error_code ignored;
  if (reset) socket_.tcp().set_option(asio::socket_base::linger(true, 0), ignored);
  Close();
}

asio::awaitable<absl::StatusOr<WebSocket*>> Connection::Upgrade(HttpHeaders headers) {
  if (begun_ || !IsHeaderSafe(headers))
    co_return absl::InternalError("an answer was begun twice, or has a broken header");
  if (http_1_0_ || !AsksForWebSocket(request_->method, request_->headers))
    co_return absl::InvalidArgumentError("the request asks for no WebSocket");
  if (buffer_.size() > 0 || !request_->body.empty())
    co_return absl::InvalidArgumentError("the request does not wait for the answer");
  WebSocketLimits limits;
  limits.handshake = limits.send = server_.options().write_limit;
  limits.idle = kQuietLimit;
  limits.max_message_bytes = server_.options().max_body_bytes;
  limits.max_received_bytes = std::numeric_limits<size_t>::max();
  // The socket is the WebSocket's from here on; it watches for the client's leaving itself.
  begun_ = upgraded_ = broken_ = true;
  co_await Unwatch();
  auto channel = std::make_unique<SocketChannel>(socket_);
  auto socket = co_await AcceptWebSocket(*scope_, std::move(channel), request_->headers, std::move(headers), limits);
  if (!socket.ok()) co_return socket.status();
  web_socket_ = std::make_unique<WatchedWebSocket>(*std::move(socket), *scope_, limits.max_message_bytes, Gone());
  co_return web_socket_.get();
}

// ---- BeastHttpServer

absl::Status BeastHttpServer::Open() {
  error_code error;
  const auto address = asio::ip::make_address(options_.host == "localhost" ? "127.0.0.1" : options_.host, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat(options_.host, " is not an IP address"));
  const tcp::endpoint endpoint(address, options_.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(1024, error);
  if (error == asio::error::address_in_use) {
    return absl::AlreadyExistsError(
        absl::StrCat("port ", options_.port, " on ", options_.host, " is in use by another program"));
  }
  if (error == asio::error::access_denied) {
    return absl::PermissionDeniedError(absl::StrCat("not allowed to listen at port ", options_.port));
  }
  if (error)
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen at ", options_.host, ":", options_.port, ": ", error.message()));
  port_ = acceptor_.local_endpoint(error).port();
  accept_task_.Spawn(acceptor_.get_executor(), Accept());
  return absl::OkStatus();
}

asio::awaitable<void> BeastHttpServer::Accept() {
  while (accepting_) {
    auto [error, socket] = co_await acceptor_.async_accept(runtime_.Next(), kTuple);
    if (!accepting_) break;
    if (error) {
      // Out of descriptors: trying at once again would only spin.
      Scope pause(acceptor_.get_executor());
      co_await Sleep(pause, absl::Milliseconds(50));
      continue;
    }
    const auto remote = socket.remote_endpoint(error);
    if (error) continue;  // gone again
    const asio::ip::address address = NetworkOf(remote.address());
    if (!Admit(address)) continue;
    auto connection = std::make_shared<Connection>(std::move(socket), *this);
    {
      absl::MutexLock lock(&mutex_);
      connections_.insert(connection);
    }
    const Executor executor = connection->executor();
    connection_tasks_.Spawn(executor, RunConnection(std::move(connection), address));
  }
  error_code ignored;
  acceptor_.close(ignored);
}

/// Counts one more of `address`, unless that is too many.
bool BeastHttpServer::Admit(const asio::ip::address& address) {
  std::optional<ConnectionLimit> met;
  if (connection_tasks_.running() >= options_.max_connections) {
    met = ConnectionLimit::kAll;
  } else {
    absl::MutexLock lock(&mutex_);
    int& count = of_address_[address];
    const bool spared = options_.spare_loopback && address.is_loopback();
    if (options_.max_connections_per_address > 0 && !spared && count >= options_.max_connections_per_address) {
      met = ConnectionLimit::kAddress;
    } else {
      ++count;
    }
  }
  if (met && options_.connection_refused) options_.connection_refused(*met, address.to_string());
  return !met;
}

asio::awaitable<void> BeastHttpServer::RunConnection(std::shared_ptr<Connection> connection,
                                                     asio::ip::address address) {
  co_await connection->Run();
  absl::MutexLock lock(&mutex_);
  connections_.erase(connection);
  const auto of_address = of_address_.find(address);
  if (--of_address->second == 0) of_address_.erase(of_address);
}

template <typename Action>
void BeastHttpServer::ForEach(Action action) {
  absl::MutexLock lock(&mutex_);
  for (const auto& connection : connections_) {
    asio::post(connection->executor(), [connection, action] { action(*connection); });
  }
}

asio::awaitable<void> BeastHttpServer::CloseAcceptor() {
  error_code ignored;
  acceptor_.cancel(ignored);
  acceptor_.close(ignored);
  co_return;
}

void BeastHttpServer::StopAccepting() {
  if (!accepting_.exchange(false)) return;
  // Counted like the accepting itself, so that neither outlives the server.
  accept_task_.Spawn(acceptor_.get_executor(), CloseAcceptor());
  accept_task_.WaitIdle(absl::Seconds(5));
  ForEach([](Connection& connection) { connection.StopKeepAlive(); });
}

void BeastHttpServer::Shutdown(absl::Duration grace, absl::Status why) {
  StopAccepting();
  if (connection_tasks_.WaitIdle(grace)) return;
  ForEach([why](Connection& connection) { connection.EndRequest(why); });
  if (connection_tasks_.WaitIdle(absl::Seconds(1))) return;
  ForEach([](Connection& connection) { connection.Close(); });
  connection_tasks_.WaitIdle(absl::Seconds(10));
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(Runtime& runtime, HttpServerOptions options,
                                                               HttpHandler handler) {
  auto server = std::make_unique<BeastHttpServer>(runtime, std::move(options), std::move(handler));
  if (auto status = server->Open(); !status.ok()) return status;
  return server;
}

}  // namespace switchyard
