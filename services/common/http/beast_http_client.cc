#include <array>
#include <boost/asio/query.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "services/common/http/beast_web_socket.h"
#include "services/common/http/body_decoder.h"
#include "services/common/http/connection.h"
#include "services/common/http/http_client.h"
#include "services/common/http/origin.h"
#include "services/common/net/loopback.h"
#include "services/common/status/reason.h"
#include "services/common/text/views.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr absl::string_view kNothingReachedUrl = "switchyard/nothing-reached";
constexpr size_t kReadBytes = 8 * 1024;
constexpr int kMaxHeaderFields = 200;
constexpr int kMaxInterim = 8;
constexpr size_t kSmallBody = 64 * 1024;

absl::Status Changed(absl::string_view message, std::string cause) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, message, {.cause = std::move(cause)});
}

/// Kept connections, by event loop and origin. Thread-safe.
class Pool {
 public:
  using Connection = std::unique_ptr<UpstreamConnection>;
  Pool(int max_idle, absl::Duration life) : max_idle_(max_idle), life_(life) {}

  Connection Take(const void* loop, const std::string& key) {
    std::vector<Connection> dropped;  // closed outside the lock
    absl::MutexLock lock(&mutex_);
    auto& kept = kept_[{loop, key}];
    const auto now = std::chrono::steady_clock::now();
    while (!kept.empty()) {
      Kept last = std::move(kept.back());
      kept.pop_back();
      if (now - last.since < absl::ToChronoNanoseconds(life_) && last.connection->IsIdleAndOpen())
        return std::move(last.connection);
      dropped.push_back(std::move(last.connection));
    }
    return nullptr;
  }

  void Keep(const void* loop, const std::string& key, Connection connection) {
    absl::MutexLock lock(&mutex_);
    auto& kept = kept_[{loop, key}];
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(kept, [&](const Kept& one) { return now - one.since >= absl::ToChronoNanoseconds(life_); });
    if (static_cast<int>(kept.size()) >= max_idle_) kept.erase(kept.begin());
    kept.push_back({std::move(connection), now});
  }

  void Clear() {
    absl::MutexLock lock(&mutex_);
    kept_.clear();
  }

 private:
  struct Kept {
    Connection connection;
    std::chrono::steady_clock::time_point since;
  };
  const int max_idle_;
  const absl::Duration life_;
  absl::Mutex mutex_;
  std::map<std::pair<const void*, std::string>, std::vector<Kept>> kept_ ABSL_GUARDED_BY(mutex_);
};

/// Where a connection is kept; without a key it is not.
struct Place {
  const void* loop;
  std::string key;
};

class Response final : public HttpResponse {
 public:
  using Parser = http::response_parser<http::string_body>;

  Response(std::unique_ptr<UpstreamConnection> connection, std::shared_ptr<Pool> pool, Place place, HttpLimits limits)
      : connection_(std::move(connection)), pool_(std::move(pool)), place_(std::move(place)), limits_(limits) {
    BeginMessage();
  }

  /// Reads up to the end of the header. `received` tells whether any byte came.
  asio::awaitable<absl::Status> ReadHeader(Scope& scope, bool is_head, bool& received) {
    is_head_ = is_head;
    parser_->skip(is_head);
    Scope bounded(scope, limits_.first_byte,
                  MakeError(Reason::REASON_DEADLINE, "the platform did not begin to answer in time",
                            {.cause = "first_byte_timeout"}));
    while (!parser_->is_header_done()) {
      auto more = co_await Fill(bounded);
      if (!more.ok()) co_return more.status();
      if (!*more)
        co_return MakeError(Reason::REASON_UPSTREAM_UNAVAILABLE, "the platform closed the connection without an answer",
                            {.cause = "reset"});
      received = true;
      if (auto status = Parse(); !status.ok()) co_return status;
    }
    if (std::distance(parser_->get().begin(), parser_->get().end()) > kMaxHeaderFields) {
      co_return Changed("the platform's answer has too many header fields", "too_large");
    }
    for (const auto& field : parser_->get()) headers_.Add(ToAbsl(field.name_string()), ToAbsl(field.value()));
    auto decoder = BodyDecoder::For(headers_.Get("content-encoding"), limits_.max_body_bytes);
    if (!decoder.ok()) co_return decoder.status();
    decoder_ = *std::move(decoder);
    co_return absl::OkStatus();
  }

  int status() const override { return static_cast<int>(parser_->get().result_int()); }
  const HttpHeaders& headers() const override { return headers_; }

  asio::awaitable<absl::StatusOr<std::string>> Read(Scope& scope) override {
    if (!failed_.ok()) co_return failed_;
    auto piece = co_await ReadPiece(scope);
    if (!piece.ok()) {
      failed_ = piece.status();
      connection_.reset();
    } else if (piece->empty()) {
      GiveBack();
    }
    co_return piece;
  }

 private:
  asio::awaitable<absl::StatusOr<std::string>> ReadPiece(Scope& scope) {
    Scope idle(scope, limits_.idle,
               MakeError(Reason::REASON_DEADLINE, "the platform fell silent in the middle of its answer",
                         {.cause = "idle_timeout"}));
    for (;;) {
      std::string& body = parser_->get().body();
      if (!body.empty()) {
        // Copied, not moved: the parser's string keeps its room for the next piece.
        std::string raw(body);
        body.clear();
        auto decoded = decoder_->Decode(std::move(raw));
        if (!decoded.ok() || !decoded->empty()) co_return decoded;
        continue;
      }
      if (parser_->is_done()) {
        if (auto status = decoder_->Finish(); !status.ok()) co_return status;
        co_return std::string();
      }
      auto more = co_await Fill(idle);
      if (!more.ok()) co_return Early(more.status());
      if (!*more) {
        error_code error;
        parser_->put_eof(error);
        if (error || !parser_->is_done())
          co_return MakeError(Reason::REASON_UPSTREAM_BROKEN, "the platform's answer ended early",
                              {.cause = "closed_early"});
        continue;
      }
      if (auto status = Parse(); !status.ok()) co_return status;
    }
  }

  // A connection that breaks in the middle of a body is a broken answer, not an unreachable platform.
  static absl::Status Early(const absl::Status& status) {
    if (ReasonOf(status) != Reason::REASON_UPSTREAM_UNAVAILABLE) return status;
    return MakeError(Reason::REASON_UPSTREAM_BROKEN, "the platform's answer ended early", {.cause = "reset"});
  }

  asio::awaitable<absl::StatusOr<bool>> Fill(Scope& scope) {
    const auto space = buffer_.prepare(kReadBytes);
    auto n = co_await connection_->Read(scope, asio::mutable_buffer(space.data(), space.size()));
    if (!n.ok()) co_return n.status();
    buffer_.commit(*n);
    co_return *n > 0;
  }

  absl::Status Parse() {
    while (buffer_.size() > 0 && !parser_->is_done()) {
      error_code error;
      const size_t used = parser_->put(buffer_.data(), error);
      buffer_.consume(used);
      if (error == http::error::need_more) break;
      if (error == http::error::body_limit || error == http::error::header_limit)
        return Changed("the platform's answer is larger than allowed", "too_large");
      if (error) return Changed("the platform's answer is not valid HTTP", "bad_response");
      if (parser_->is_header_done() && status() / 100 == 1) {
        // An interim answer ("103 Early Hints") comes before the real one and says nothing of use here.
        if (status() == 101 || ++interim_ > kMaxInterim)
          return Changed("the platform's answer is not the one asked for", "bad_response");
        BeginMessage();
        continue;
      }
      if (used == 0) break;
    }
    if (buffer_.size() == 0) buffer_.shrink_to_fit();
    return absl::OkStatus();
  }

  void BeginMessage() {
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(limits_.max_header_bytes));
    parser_->body_limit(limits_.max_body_bytes);
    parser_->eager(true);
    parser_->skip(is_head_);
  }

  void GiveBack() {
    if (!connection_) return;
    if (!place_.key.empty() && parser_->get().keep_alive() && buffer_.size() == 0) {
      pool_->Keep(place_.loop, place_.key, std::move(connection_));
    }
    connection_.reset();
  }

  std::unique_ptr<UpstreamConnection> connection_;
  std::shared_ptr<Pool> pool_;
  Place place_;
  HttpLimits limits_;
  std::optional<Parser> parser_;
  bool is_head_ = false;
  int interim_ = 0;
  beast::flat_buffer buffer_;
  HttpHeaders headers_;
  std::unique_ptr<BodyDecoder> decoder_;
  absl::Status failed_;
};

absl::Status CheckHeaders(const HttpHeaders& headers) {
  for (const auto& [name, value] : headers) {
    if (name.empty() || name.find_first_of(std::string_view("\r\n: \0", 5)) != std::string::npos ||
        value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return absl::InvalidArgumentError("a header cannot be sent: it holds a line break");
    }
  }
  return absl::OkStatus();
}

/// The request's bytes, without a body that is not small.
absl::StatusOr<std::string> Serialise(const HttpRequest& request, const Origin& origin,
                                      const std::optional<Origin>& proxy) {
  if (auto status = CheckHeaders(request.headers); !status.ok()) return status;
  const bool absolute = proxy && !origin.tls;
  std::string head = absl::StrCat(request.method, " ",
                                  absolute ? absl::StrCat(origin.tls ? "https://" : "http://", origin.Authority()) : "",
                                  origin.target, " HTTP/1.1\r\nHost: ", origin.Authority(), "\r\n");
  for (const auto& [name, value] : request.headers) absl::StrAppend(&head, name, ": ", value, "\r\n");
  if (absolute && !proxy->user_info.empty())
    absl::StrAppend(&head, "Proxy-Authorization: Basic ", absl::Base64Escape(proxy->user_info), "\r\n");
  if (!request.headers.Find("accept-encoding")) head += "Accept-Encoding: gzip, deflate\r\n";
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT")
    absl::StrAppend(&head, "Content-Length: ", request.body.size(), "\r\n");
  head += "\r\n";
  // One write where that is cheap; a large body is not copied for it.
  if (request.body.size() <= kSmallBody) head += request.body;
  return head;
}

class BeastHttpClient final : public HttpClient {
 public:
  explicit BeastHttpClient(HttpClientOptions options)
      : options_(std::move(options)),
        tls_(ssl::context::tls_client),
        pool_(std::make_shared<Pool>(options_.max_idle_per_origin, options_.idle_life)) {}

  absl::Status Open() {
    error_code error;
    tls_.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error);
    if (options_.ca_file.empty()) {
      tls_.set_default_verify_paths(error);
    } else {
      tls_.load_verify_file(options_.ca_file, error);
    }
    if (error)
      return absl::InvalidArgumentError(absl::StrCat("the trusted certificates cannot be read",
                                                     options_.ca_file.empty() ? "" : ": ", options_.ca_file));
    if (!options_.proxy.empty()) {
      auto proxy = ParseOrigin(options_.proxy);
      if (!proxy.ok() || proxy->tls) return absl::InvalidArgumentError("the proxy must be given as http://host:port");
      proxy_ = *std::move(proxy);
    }
    return absl::OkStatus();
  }

  asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Send(Scope& scope, HttpRequest request) override {
    auto origin = ParseOrigin(request.url);
    if (!origin.ok()) co_return origin.status();
    const std::optional<Origin> proxy = ProxyFor(*origin);
    auto bytes = Serialise(request, *origin, proxy);
    if (!bytes.ok()) co_return bytes.status();
    const bool is_head = request.method == "HEAD";

    const bool pinned = !request.addresses.empty();
    const Place place{&asio::query(scope.executor(), asio::execution::context),
                      pinned ? std::string() : absl::StrCat(origin->Key(), proxy ? " by proxy" : "")};
    const Outgoing outgoing{*bytes, request.body.size() > kSmallBody ? request.body : absl::string_view(), is_head};
    auto kept = pinned ? nullptr : pool_->Take(place.loop, place.key);
    if (kept) {
      bool received = false;
      auto response = co_await Exchange(scope, std::move(kept), outgoing, place, received);
      // A kept connection may have been closed by the server in this very moment. What provably did not arrive, or does
      // no harm twice, goes out again, once, on a connection of its own.
      const bool closed =
          !response.ok() && !received && ReasonOf(response.status()) == Reason::REASON_UPSTREAM_UNAVAILABLE;
      if (!closed || (!request.repeatable && !NothingReached(response.status())) || scope.ended()) co_return response;
    }
    ConnectPlan plan{*origin, proxy, request.addresses, options_.limits.connect, options_.limits.tls};
    auto fresh = co_await Open(scope, std::move(plan));
    if (!fresh.ok()) co_return fresh.status();
    bool received = false;
    co_return co_await Exchange(scope, *std::move(fresh), outgoing, place, received);
  }

  asio::awaitable<absl::StatusOr<WebSocketAnswer>> OpenWebSocket(Scope& scope, HttpRequest handshake,
                                                                 size_t max_message_bytes) override {
    auto origin = ParseOrigin(handshake.url);
    if (!origin.ok()) co_return origin.status();
    if (auto status = CheckHeaders(handshake.headers); !status.ok()) co_return status;
    ConnectPlan plan{*origin, ProxyFor(*origin), {}, options_.limits.connect, options_.limits.tls, true};
    auto connection = co_await Open(scope, std::move(plan));
    if (!connection.ok()) co_return connection.status();
    WebSocketLimits limits;
    limits.handshake = limits.send = options_.limits.first_byte;
    limits.idle = options_.limits.idle;
    limits.max_message_bytes = max_message_bytes;
    limits.max_received_bytes = options_.limits.max_body_bytes;
    auto answer = co_await ConnectWebSocket(scope, *std::move(connection), origin->Authority(), origin->target,
                                            std::move(handshake.headers), limits);
    if (!answer.ok()) co_return MarkNothingReached(answer.status());
    co_return answer;
  }

  void CloseIdle() override { pool_->Clear(); }

 private:
  struct Outgoing {
    absl::string_view head;  // with a small body
    absl::string_view body;  // otherwise
    bool is_head_method;
  };

  std::optional<Origin> ProxyFor(const Origin& origin) const {
    if (proxy_ && !IsLoopbackHost(origin.host) && !MatchesNoProxy(origin.host, options_.no_proxy)) return proxy_;
    return std::nullopt;
  }

  asio::awaitable<absl::StatusOr<std::unique_ptr<UpstreamConnection>>> Open(Scope& scope, ConnectPlan plan) {
    auto opened = co_await OpenConnection(scope, std::move(plan), tls_);
    if (options_.metrics == nullptr) co_return opened;
    options_.metrics->UpstreamConnects(opened.ok() ? "" : DetailOf(opened.status()).cause()).Increment();
    if (opened.ok()) (*opened)->counted = Held(options_.metrics->UpstreamConnections());
    co_return opened;
  }

  asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> Exchange(
      Scope& scope, std::unique_ptr<UpstreamConnection> connection, const Outgoing& outgoing, const Place& place,
      bool& received) {
    // What could not be written whole cannot have been understood.
    const absl::Duration patience =
        options_.limits.first_byte +
        absl::Seconds(static_cast<double>(outgoing.body.size()) / static_cast<double>(options_.limits.slowest_upload));
    Scope writing(scope, patience,
                  MakeError(Reason::REASON_DEADLINE, "the platform did not take the request in time",
                            {.cause = "first_byte_timeout"}));
    for (const absl::string_view bytes : {outgoing.head, outgoing.body}) {
      if (bytes.empty()) continue;
      const absl::Status written = co_await connection->Write(writing, bytes);
      if (!written.ok()) co_return MarkNothingReached(written);
    }
    auto response = std::make_unique<Response>(std::move(connection), pool_, place, options_.limits);
    const absl::Status header = co_await response->ReadHeader(scope, outgoing.is_head_method, received);
    if (!header.ok()) co_return header;
    co_return response;
  }

  const HttpClientOptions options_;
  std::optional<Origin> proxy_;
  ssl::context tls_;
  std::shared_ptr<Pool> pool_;
};

std::string FirstSet(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

}  // namespace

asio::awaitable<absl::StatusOr<std::string>> HttpResponse::ReadAll(Scope& scope, size_t max_bytes) {
  std::string all;
  for (;;) {
    auto piece = co_await Read(scope);
    if (!piece.ok()) co_return piece.status();
    if (piece->empty()) co_return all;
    if (all.size() + piece->size() > max_bytes)
      co_return Changed("the platform's answer is larger than allowed", "too_large");
    all += *piece;
  }
}

bool NothingReached(const absl::Status& status) { return status.GetPayload(kNothingReachedUrl).has_value(); }

absl::Status MarkNothingReached(absl::Status status) {
  status.SetPayload(kNothingReachedUrl, absl::Cord());
  return status;
}

HttpClientOptions HttpClientOptionsFromEnvironment() {
  HttpClientOptions options;
  options.proxy = FirstSet({"HTTPS_PROXY", "https_proxy"});
  options.no_proxy = FirstSet({"NO_PROXY", "no_proxy"});
  return options;
}

absl::StatusOr<std::unique_ptr<HttpClient>> MakeHttpClient(HttpClientOptions options) {
  auto client = std::make_unique<BeastHttpClient>(std::move(options));
  if (auto status = client->Open(); !status.ok()) return status;
  return client;
}

}  // namespace switchyard
