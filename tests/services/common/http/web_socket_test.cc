// WebSockets: the client against a scripted server, and our own server against that client.
#include "services/common/http/web_socket.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <atomic>
#include <functional>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/async/sleep.h"
#include "services/common/http/http_client.h"
#include "services/common/http/http_server.h"
#include "services/common/status/reason.h"
#include "tests/support/http_probe.h"
#include "tests/support/process.h"
#include "tests/support/upstream_double.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using Certificate = UpstreamDouble::Certificate;
using Peer = UpstreamDouble::Peer;

constexpr size_t kMaxMessage = 1000;
enum Opcode { kContinued = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

// ---- the server's side of the wire, by hand. Source: RFC 6455.

std::string KeyFor(const std::string& request) {
  const std::string name = "Sec-WebSocket-Key: ";
  const size_t at = request.find(name);
  if (at == std::string::npos) return "";
  const size_t from = at + name.size();
  const std::string text =
      request.substr(from, request.find("\r\n", from) - from) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::Base64Escape(std::string(reinterpret_cast<char*>(digest), sizeof digest));
}

std::string Frame(int opcode, const std::string& payload, bool last = true) {
  std::string frame(1, static_cast<char>(opcode | (last ? 0x80 : 0)));
  if (payload.size() < 126) {
    frame += static_cast<char>(payload.size());
  } else {
    frame += static_cast<char>(126);
    frame += static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size() & 0xFF);
  }
  return frame + payload;
}
std::string CloseFrame(int code) {
  return Frame(kClose, {static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)});
}

struct Received {
  int opcode = -1;  // -1: the client closed
  std::string payload;
};

/// Small frames of a client, one after the other.
class FrameSource {
 public:
  explicit FrameSource(Peer& peer) : peer_(peer) {}

  Received Next() {
    if (!Fill(2)) return {};
    Received got;
    got.opcode = bytes_[0] & 0x0F;
    const size_t length = bytes_[1] & 0x7F;
    EXPECT_NE(bytes_[1] & 0x80, 0) << "a client has to mask";
    if (!Fill(6 + length)) return {};
    for (size_t i = 0; i < length; ++i) got.payload += static_cast<char>(bytes_[6 + i] ^ bytes_[2 + i % 4]);
    bytes_.erase(0, 6 + length);
    return got;
  }

 private:
  bool Fill(size_t wanted) {
    while (bytes_.size() < wanted) {
      const std::string more = peer_.Receive();
      if (more.empty()) return false;
      bytes_ += more;
    }
    return true;
  }
  Peer& peer_;
  std::string bytes_;
};

std::string Switching(const std::string& request, const std::string& more = "") {
  return absl::StrCat("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
                      "Sec-WebSocket-Accept: ", KeyFor(request), "\r\n", more, "\r\n");
}

/// Shakes hands, takes the client's first message, says `bytes`, and waits for the client to go.
UpstreamDouble::Script Says(std::string bytes) {
  return [bytes](Peer& peer) {
    const std::string request = peer.ReadRequest();
    if (request.empty()) return;
    peer.Send(Switching(request));
    FrameSource frames(peer);
    if (frames.Next().opcode != kBinary) return;
    peer.Send(bytes);
    peer.AwaitClose();
  };
}

// ---- the client's side

struct Got {
  int status = 0;
  std::string body;
  HttpHeaders headers;
  std::vector<WebSocketMessage> messages;
  absl::Status error;  // of whatever failed
  bool opened = false;
  bool over = false;  // closed as it should be
  std::string cause() const { return DetailOf(error).cause(); }
};

using OnMessage = std::function<asio::awaitable<void>(WebSocket& socket, Scope& scope)>;

/// Waits for more in vain.
asio::awaitable<void> LosePatience(WebSocket& socket, Scope& scope) {
  const absl::Status late = MakeError(Reason::REASON_DEADLINE, "the test's own limit", {.cause = "test_limit"});
  Scope impatient(scope, absl::Milliseconds(50), late);
  auto message = co_await socket.Read(impatient);
  EXPECT_EQ(DetailOf(message.status()).cause(), "test_limit") << message.status();
}

class WebSocketTest : public ::testing::Test {
 protected:
  ~WebSocketTest() override {
    if (server_) server_->Shutdown(absl::ZeroDuration(), absl::CancelledError("over"));
    runtime_.Stop();
  }

  /// Opens, says "hello", and reads to the end.
  Got Talk(const std::string& url, HttpClientOptions options = {}, OnMessage on_message = nullptr) {
    auto made = MakeHttpClient(std::move(options));
    EXPECT_TRUE(made.ok()) << made.status();
    HttpClient& client = **made;
    Got got;
    auto task = [&]() -> asio::awaitable<void> {
      Scope whole(co_await asio::this_coro::executor);
      const absl::Status late = MakeError(Reason::REASON_DEADLINE, "the test's own limit", {.cause = "test_limit"});
      Scope scope(whole, absl::Seconds(15), late);
      HttpRequest handshake;
      handshake.url = url;
      handshake.headers.Add("Authorization", "Bearer tok");
      auto answer = co_await client.OpenWebSocket(scope, std::move(handshake), kMaxMessage);
      got.error = answer.status();
      if (!answer.ok()) co_return;
      got.status = answer->status;
      got.headers = answer->headers;
      got.body = answer->body;
      if (!answer->socket) co_return;
      got.opened = true;
      std::string hello = "hello";
      got.error = co_await answer->socket->Send(scope, std::move(hello));
      while (got.error.ok() && !got.over) {
        auto message = co_await answer->socket->Read(scope);
        got.error = message.status();
        if (!message.ok()) co_return;
        got.over = !message->has_value();
        if (got.over) co_return;
        got.messages.push_back(**std::move(message));
        if (on_message) co_await on_message(*answer->socket, scope);
      }
    };
    asio::co_spawn(runtime_.All().front(), task, asio::use_future).get();
    return got;
  }
  Got Talk(UpstreamDouble::Script script) {
    UpstreamDouble upstream(std::move(script));
    return Talk(upstream.url("/x"));
  }

  std::string Serve(HttpHandler handler) {
    HttpServerOptions options;
    options.max_body_bytes = kMaxMessage;
    auto server = HttpServer::Listen(runtime_, options, std::move(handler));
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    return absl::StrCat("http://127.0.0.1:", server_->port(), "/x");
  }

  Runtime runtime_{{.threads = 2}};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(WebSocketTest, MessagesComeWholeHoweverTheyAreCut) {
  std::string said = Frame(kBinary, "one") + Frame(kBinary, "tw", false) + Frame(kPing, "p") +
                     Frame(kContinued, "", false) + Frame(kContinued, "o") + Frame(kBinary, "") +
                     Frame(kText, "three") + Frame(kBinary, std::string(500, 'x'));
  Received pong;
  UpstreamDouble upstream([&](Peer& peer) {
    const std::string request = peer.ReadRequest();
    peer.Send(Switching(request, "X-A: b\r\n"));
    FrameSource frames(peer);
    EXPECT_EQ(frames.Next().payload, "hello");
    for (const char byte : said) peer.Send(std::string(1, byte));
    pong = frames.Next();
    peer.Send(CloseFrame(1000));
    EXPECT_EQ(frames.Next().opcode, kClose);
  });
  const Got got = Talk(upstream.url("/path?q=1"));
  EXPECT_EQ(got.status, 101);
  EXPECT_EQ(got.headers.Get("x-a"), "b");
  EXPECT_TRUE(got.over) << got.error;
  std::vector<std::string> texts;
  for (const WebSocketMessage& message : got.messages)
    texts.push_back(absl::StrCat(message.binary ? "" : "text:", message.bytes));
  EXPECT_EQ(texts, (std::vector<std::string>{"one", "two", "", "text:three", std::string(500, 'x')}));
  EXPECT_EQ(pong.opcode, kPong) << "a ping was not answered";
  EXPECT_EQ(pong.payload, "p");
  ASSERT_EQ(upstream.requests().size(), 1u);
  const std::string sent = upstream.requests()[0];
  EXPECT_TRUE(absl::StartsWith(sent, "GET /path?q=1 HTTP/1.1\r\n")) << sent;
  EXPECT_TRUE(absl::StrContains(sent, absl::StrCat("Host: localhost:", upstream.port(), "\r\n"))) << sent;
  EXPECT_TRUE(absl::StrContains(sent, "Authorization: Bearer tok\r\n")) << sent;
  EXPECT_FALSE(absl::StrContains(sent, "Extensions")) << sent;
}

TEST_F(WebSocketTest, ARefusedHandshakeIsAnAnswer) {
  const Got got = Talk([](Peer& peer) {
    peer.ReadRequest();
    peer.Send("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nslow");
  });
  EXPECT_TRUE(got.error.ok()) << got.error;
  EXPECT_FALSE(got.opened);
  EXPECT_EQ(got.status, 429);
  EXPECT_EQ(got.headers.Get("retry-after"), "7");
  EXPECT_EQ(got.body, "slow");
}

TEST_F(WebSocketTest, HandshakesThatAreNone) {
  struct Row {
    const char* answer;
    Reason reason;
    const char* cause;
  };
  const std::string large = absl::StrCat("HTTP/1.1 200 OK\r\nX: ", std::string(100000, 'x'), "\r\n\r\n");
  const std::vector<Row> rows = {
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
       Reason::REASON_UPSTREAM_CHANGED, "bad_response"},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n",
       Reason::REASON_UPSTREAM_CHANGED, "bad_response"},
      {"SSH-2.0-x\r\n\r\n", Reason::REASON_UPSTREAM_CHANGED, "bad_response"},
      {large.c_str(), Reason::REASON_UPSTREAM_CHANGED, "too_large"},
      {"HTTP/1.1 101 Swi", Reason::REASON_UPSTREAM_UNAVAILABLE, "reset"},
      {"", Reason::REASON_UPSTREAM_UNAVAILABLE, "reset"},
  };
  for (const Row& row : rows) {
    const Got got = Talk([&](Peer& peer) {
      peer.ReadRequest();
      peer.Send(row.answer);
    });
    EXPECT_EQ(ReasonOf(got.error), row.reason) << row.answer << got.error;
    EXPECT_EQ(got.cause(), row.cause) << row.answer << got.error;
    EXPECT_TRUE(NothingReached(got.error)) << "nothing was said yet";
  }
}

TEST_F(WebSocketTest, SilenceIsBounded) {
  UpstreamDouble before([](Peer& peer) {
    peer.ReadRequest();
    peer.AwaitClose();
  });
  HttpClientOptions options;
  options.limits.first_byte = absl::Milliseconds(50);
  const Got unanswered = Talk(before.url("/x"), options);
  EXPECT_EQ(unanswered.cause(), "first_byte_timeout") << unanswered.error;
  UpstreamDouble within(Says(Frame(kBinary, "one") + Frame(kBinary, "tw", false)));
  options = {};
  options.limits.idle = absl::Seconds(1);
  const Got silent = Talk(within.url("/x"), options);
  EXPECT_EQ(silent.messages.size(), 1u);
  EXPECT_EQ(ReasonOf(silent.error), Reason::REASON_DEADLINE);
  EXPECT_EQ(silent.cause(), "idle_timeout") << silent.error;
}

TEST_F(WebSocketTest, OnlyANormalCloseIsAnEnd) {
  for (const std::string& farewell : {CloseFrame(1000), Frame(kClose, "")}) {
    const Got got = Talk(Says(Frame(kBinary, "one") + farewell));
    EXPECT_TRUE(got.over) << got.error;
    EXPECT_EQ(got.messages.size(), 1u);
  }
  for (const int code : {1001, 1008, 1011, 4001}) {
    const Got got = Talk(Says(Frame(kBinary, "one") + CloseFrame(code)));
    EXPECT_FALSE(got.over);
    EXPECT_EQ(ReasonOf(got.error), Reason::REASON_UPSTREAM_BROKEN) << code;
    EXPECT_EQ(got.cause(), absl::StrCat("close_", code)) << got.error;
  }
}

TEST_F(WebSocketTest, AConnectionThatBreaksIsBroken) {
  for (const bool reset : {false, true}) {
    absl::Notification read;
    UpstreamDouble upstream([&](Peer& peer) {
      peer.Send(Switching(peer.ReadRequest()));
      FrameSource frames(peer);
      frames.Next();
      peer.Send(Frame(kBinary, "one") + Frame(kBinary, "tw", false));
      read.WaitForNotification();
      if (reset) peer.Reset();
    });
    const Got got = Talk(upstream.url("/x"), {}, [&](WebSocket&, Scope&) -> asio::awaitable<void> {
      read.Notify();
      co_return;
    });
    EXPECT_EQ(got.messages.size(), 1u);
    EXPECT_EQ(ReasonOf(got.error), Reason::REASON_UPSTREAM_BROKEN);
    EXPECT_EQ(got.cause(), reset ? "reset" : "closed_early") << got.error;
  }
}

TEST_F(WebSocketTest, WhatIsTooLargeIsRefused) {
  const std::string most(kMaxMessage, 'x');
  EXPECT_TRUE(Talk(Says(Frame(kBinary, most) + CloseFrame(1000))).over);
  for (const std::string& said : {Frame(kBinary, most + "x"), Frame(kBinary, most, false) + Frame(kContinued, "x")}) {
    const Got got = Talk(Says(said));
    EXPECT_TRUE(got.messages.empty());
    EXPECT_EQ(ReasonOf(got.error), Reason::REASON_UPSTREAM_CHANGED) << got.error;
    EXPECT_EQ(got.cause(), "too_large") << got.error;
  }
  UpstreamDouble upstream(Says(Frame(kBinary, most) + Frame(kBinary, most)));
  HttpClientOptions options;
  options.limits.max_body_bytes = kMaxMessage + 1;
  const Got got = Talk(upstream.url("/x"), options);
  EXPECT_EQ(got.messages.size(), 1u);
  EXPECT_EQ(got.cause(), "too_large") << got.error;
}

TEST_F(WebSocketTest, WhatIsNoWebSocketIsRefused) {
  const std::string masked = "\x82\x83" + std::string("1234abc");
  for (const std::string& said : {masked, Frame(3, "x"), Frame(kContinued, "x"), Frame(kText, "\xC3\x28"),
                                  "\xC2" + Frame(kBinary, "compressed").substr(1)}) {
    const Got got = Talk(Says(said));
    EXPECT_EQ(ReasonOf(got.error), Reason::REASON_UPSTREAM_CHANGED) << absl::CHexEscape(said) << got.error;
    EXPECT_EQ(got.cause(), "bad_response") << absl::CHexEscape(said) << got.error;
  }
}

TEST_F(WebSocketTest, TheScopesEndClosesTheConnection) {
  absl::Notification closed;
  UpstreamDouble upstream([&](Peer& peer) {
    peer.Send(Switching(peer.ReadRequest()));
    FrameSource frames(peer);
    frames.Next();
    peer.Send(Frame(kBinary, "one"));
    peer.AwaitClose();
    closed.Notify();
  });
  const Got got = Talk(upstream.url("/x"), {}, &LosePatience);
  EXPECT_EQ(got.cause(), "test_limit") << got.error;
  EXPECT_TRUE(closed.WaitForNotificationWithTimeout(absl::Seconds(10))) << "the server was left waiting";
}

TEST_F(WebSocketTest, AFarewellIsSaidAndWaitedFor) {
  Received farewell;
  UpstreamDouble upstream([&](Peer& peer) {
    peer.Send(Switching(peer.ReadRequest()));
    FrameSource frames(peer);
    frames.Next();
    peer.Send(Frame(kBinary, "one"));
    farewell = frames.Next();
    peer.Send(Frame(kBinary, "late") + CloseFrame(1000));
    peer.AwaitClose();
  });
  const Got got = Talk(upstream.url("/x"), {},
                       [](WebSocket& socket, Scope& scope) -> asio::awaitable<void> { co_await socket.Close(scope); });
  EXPECT_TRUE(got.over) << got.error;
  EXPECT_EQ(farewell.opcode, kClose);
  EXPECT_EQ(farewell.payload, std::string("\x03\xE8"));
}

TEST_F(WebSocketTest, TlsIsVerified) {
  UpstreamDouble good(Says(Frame(kBinary, "one") + CloseFrame(1000)), Certificate::kGood);
  HttpClientOptions options;
  options.ca_file = good.ca_file();
  const Got got = Talk(good.url("/x"), options);
  EXPECT_TRUE(got.over) << got.error;
  ASSERT_EQ(got.messages.size(), 1u);
  EXPECT_EQ(got.messages[0].bytes, "one");
  EXPECT_EQ(Talk(good.url("/x")).cause(), "tls_untrusted");
  EXPECT_TRUE(NothingReached(Talk(good.url("/x")).error));
}

TEST_F(WebSocketTest, AProxyIsAskedForATunnel) {
  for (const char* url : {"http://platform.example/x", "https://platform.example:80/x"}) {
    UpstreamDouble proxy([](Peer& peer) {
      peer.ReadRequest();
      peer.Send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    });
    HttpClientOptions options;
    options.proxy = absl::StrCat("http://127.0.0.1:", proxy.port());
    EXPECT_EQ(Talk(url, options).cause(), "proxy_refused");
    ASSERT_EQ(proxy.requests().size(), 1u);
    EXPECT_TRUE(absl::StartsWith(proxy.requests()[0], "CONNECT platform.example:80 HTTP/1.1\r\n"))
        << proxy.requests()[0];
  }
  UpstreamDouble tunnel([](Peer& peer) {
    peer.ReadRequest();
    peer.Send("HTTP/1.1 200 OK\r\n\r\n");
    Says(Frame(kBinary, "one") + CloseFrame(1000))(peer);
  });
  HttpClientOptions options;
  options.proxy = absl::StrCat("http://127.0.0.1:", tunnel.port());
  EXPECT_TRUE(Talk("http://platform.example/x", options).over);
}

// ---- our own server

TEST_F(WebSocketTest, AHandlerTalksByMessages) {
  const std::string url = Serve([](HttpServerRequest& request, HttpResponder& responder) -> asio::awaitable<void> {
    HttpHeaders headers{{"X-A", "b"}};
    auto socket = co_await responder.Upgrade(std::move(headers));
    EXPECT_TRUE(socket.ok()) << socket.status();
    EXPECT_EQ(request.headers.Get("authorization"), "Bearer tok");
    auto message = co_await (*socket)->Read(responder.scope());
    EXPECT_TRUE(message.ok()) << message.status();
    std::string echo = (*message)->bytes + " yourself";
    co_await (*socket)->Send(responder.scope(), std::move(echo));
    co_await (*socket)->Close(responder.scope());
  });
  const Got got = Talk(url);
  EXPECT_TRUE(got.over) << got.error;
  EXPECT_EQ(got.headers.Get("x-a"), "b");
  ASSERT_EQ(got.messages.size(), 1u);
  EXPECT_EQ(got.messages[0].bytes, "hello yourself");
}

TEST_F(WebSocketTest, TheServersCodeReachesTheClient) {
  const std::string url = Serve([](HttpServerRequest&, HttpResponder& responder) -> asio::awaitable<void> {
    HttpHeaders none;
    auto socket = co_await responder.Upgrade(std::move(none));
    co_await (*socket)->Close(responder.scope(), 1013);
  });
  EXPECT_EQ(Talk(url).cause(), "close_1013");
}

TEST_F(WebSocketTest, AHandlerThatReturnsWithoutAFarewellCutsTheConnection) {
  const std::string url = Serve([](HttpServerRequest&, HttpResponder& responder) -> asio::awaitable<void> {
    HttpHeaders none;
    auto socket = co_await responder.Upgrade(std::move(none));
    auto message = co_await (*socket)->Read(responder.scope());
    std::string half = "half";
    co_await (*socket)->Send(responder.scope(), std::move(half));
  });
  const Got got = Talk(url);
  EXPECT_FALSE(got.over);
  EXPECT_EQ(got.messages.size(), 1u);
  EXPECT_EQ(ReasonOf(got.error), Reason::REASON_UPSTREAM_BROKEN) << got.error;
}

TEST_F(WebSocketTest, AClientThatLeavesEndsTheHandlersScope) {
  std::atomic<int> left{0};
  const std::string url = Serve([&](HttpServerRequest&, HttpResponder& responder) -> asio::awaitable<void> {
    HttpHeaders none;
    auto socket = co_await responder.Upgrade(std::move(none));
    std::string go = "go";
    co_await (*socket)->Send(responder.scope(), std::move(go));
    const absl::Status slept = co_await Sleep(responder.scope(), absl::Seconds(60));
    if (!slept.ok()) ++left;
  });
  EXPECT_EQ(Talk(url, {}, &LosePatience).cause(), "test_limit");
  EXPECT_TRUE(Eventually([&] { return left == 1; }));
}

TEST_F(WebSocketTest, AClientThatSaysTooMuchIsCut) {
  std::atomic<int> left{0};
  const std::string url = Serve([&](HttpServerRequest&, HttpResponder& responder) -> asio::awaitable<void> {
    HttpHeaders none;
    auto socket = co_await responder.Upgrade(std::move(none));
    std::string go = "go";
    co_await (*socket)->Send(responder.scope(), std::move(go));
    const absl::Status slept = co_await Sleep(responder.scope(), absl::Seconds(60));
    if (!slept.ok()) ++left;
  });
  const Got got = Talk(url, {}, [](WebSocket& socket, Scope& scope) -> asio::awaitable<void> {
    std::string large(kMaxMessage + 1, 'x');
    co_await socket.Send(scope, std::move(large));
  });
  EXPECT_FALSE(got.over);
  EXPECT_TRUE(Eventually([&] { return left == 1; }));
}

TEST_F(WebSocketTest, ARequestThatAsksForNoneIsAnsweredOtherwise) {
  Serve([](HttpServerRequest&, HttpResponder& responder) -> asio::awaitable<void> {
    HttpHeaders headers;
    auto socket = co_await responder.Upgrade(headers);
    EXPECT_EQ(socket.status().code(), absl::StatusCode::kInvalidArgument);
    std::string body = "none";
    co_await responder.Send(400, std::move(headers), std::move(body));
  });
  const HttpReply reply = Fetch(server_->port(), "GET", "/x");
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.body, "none");
}

}  // namespace
}  // namespace switchyard
