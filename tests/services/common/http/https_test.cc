// The server under TLS, with real clients: what it does in the clear it does here.
#include "services/common/http/https_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/buffer.hpp"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/tcp.hpp"
#include "boost/asio/ssl/context.hpp"
#include "boost/asio/ssl/error.hpp"
#include "boost/asio/ssl/stream.hpp"
#include "boost/asio/use_future.hpp"
#include "boost/asio/write.hpp"
#include "services/common/async/runtime.h"
#include "services/common/async/sleep.h"
#include "services/common/http/http_client.h"
#include "services/common/http/http_server.h"
#include "tests/support/certificates.h"
#include "tests/support/http_probe.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using ::testing::HasSubstr;

constexpr size_t kMaxBody = 8 * 1024 * 1024;

/// A client that sends bytes as it likes, over one blocking socket. It believes every certificate.
class TlsProbe {
 public:
  explicit TlsProbe(int port) {
    const asio::ip::tcp::endpoint server(asio::ip::make_address("127.0.0.1"), static_cast<uint16_t>(port));
    stream_.next_layer().connect(server, error_);
    if (!error_) stream_.next_layer().set_option(asio::ip::tcp::no_delay(true), error_);
    if (!error_) stream_.handshake(asio::ssl::stream_base::client, error_);
  }

  /// One record, one piece of the wire.
  void Send(const std::string& bytes) {
    boost::system::error_code failed;
    asio::write(stream_, asio::buffer(bytes), failed);
  }
  /// Reads until `text` has come. @return false if the connection ended first
  bool ReadUntil(const std::string& text) {
    while (!error_ && !absl::StrContains(raw_, text)) {
      char piece[16384];
      const size_t n = stream_.read_some(asio::buffer(piece), error_);
      raw_.append(piece, n);
    }
    return absl::StrContains(raw_, text);
  }
  const std::string& raw() const { return raw_; }
  /// Whether the server said that it has said everything.
  bool ended_properly() const { return error_ == asio::error::eof; }

 private:
  asio::io_context loop_;
  asio::ssl::context context_{asio::ssl::context::tls_client};
  asio::ssl::stream<asio::ip::tcp::socket> stream_{loop_, context_};
  boost::system::error_code error_;
  std::string raw_;
};

class HttpsTest : public ::testing::Test {
 protected:
  HttpsTest() {
    Show(authority_);
    server_ = Listen({});
    client_ = Trusting(authority_);
  }
  ~HttpsTest() override {
    server_->Shutdown(absl::ZeroDuration(), absl::CancelledError("over"));
    client_->CloseIdle();
    runtime_.Stop();
  }

  std::unique_ptr<HttpServer> Listen(HttpServerOptions options) {
    options.max_body_bytes = kMaxBody;
    options.https_context = [this] {
      absl::MutexLock lock(&mutex_);
      return context_;
    };
    auto server = HttpServer::Listen(runtime_, options, [this](HttpServerRequest& request, HttpResponder& responder) {
      return Serve(request, responder);
    });
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }

  void Show(const TestAuthority& authority) {
    const TestAuthority::Pem pem = authority.Issue("DNS:localhost,IP:127.0.0.1");
    auto context = MakeHttpsContext({pem.certificate, Secret(pem.key), ""});
    ASSERT_TRUE(context.ok()) << context.status();
    absl::MutexLock lock(&mutex_);
    context_ = *std::move(context);
  }

  std::unique_ptr<HttpClient> Trusting(const TestAuthority& authority) {
    const std::string path = absl::StrCat(::testing::TempDir(), "/https_test_", ++files_, ".pem");
    std::ofstream(path) << authority.certificate();
    HttpClientOptions options;
    options.ca_file = path;
    auto client = MakeHttpClient(options);
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  asio::awaitable<void> Serve(HttpServerRequest& request, HttpResponder& responder) {
    if (request.path == "/wait") {
      HttpHeaders headers;
      co_await responder.Begin(200, std::move(headers));
      co_await responder.Write("begun");
      ++waiting_;
      const absl::Status slept = co_await Sleep(responder.scope(), absl::Seconds(60));
      ++ended_;
      const absl::Status told = co_await responder.Write(absl::StrCat("ended:", slept.message()));
      if (told.ok()) co_await responder.End();
      co_return;
    }
    if (request.path == "/pieces") {
      HttpHeaders headers;
      co_await responder.Begin(200, std::move(headers));
      for (int i = 0; i < 100; ++i) co_await responder.Write(absl::StrCat(i, ","));
      co_await responder.End();
      co_return;
    }
    HttpHeaders headers{{"Content-Type", "text/plain"}};
    std::string body = absl::StrCat(request.method, " ", request.path, " ", request.body);
    co_await responder.Send(200, std::move(headers), std::move(body));
  }

  std::string Url(const std::string& path) const { return absl::StrCat("https://127.0.0.1:", server_->port(), path); }

  struct Got {
    absl::Status status;
    std::string body;
    HttpHeaders headers;
  };
  Got Get(HttpClient& client, const std::string& path, std::string body = "") {
    auto ask = [&]() -> asio::awaitable<Got> {
      Scope bounded(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
      HttpRequest request;
      request.method = body.empty() ? "GET" : "POST";
      request.url = Url(path);
      request.body = std::move(body);
      auto response = co_await client.Send(bounded, std::move(request));
      Got got;
      got.status = response.status();
      if (!response.ok()) co_return got;
      auto whole = co_await (*response)->ReadAll(bounded, kMaxBody * 2);
      got.status = whole.status();
      got.headers = (*response)->headers();
      if (whole.ok()) got.body = *std::move(whole);
      co_return got;
    };
    return asio::co_spawn(runtime_.Next(), ask, asio::use_future).get();
  }

  const TestAuthority authority_;
  Runtime runtime_{{.threads = 2}};
  absl::Mutex mutex_;
  std::shared_ptr<asio::ssl::context> context_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
  std::atomic<int> waiting_{0}, ended_{0};
  int files_ = 0;
};

TEST_F(HttpsTest, AnswersOneRequestAfterAnother) {
  for (int i = 0; i < 5; ++i) {
    const Got got = Get(*client_, absl::StrCat("/", i), "hello");
    ASSERT_TRUE(got.status.ok()) << got.status;
    EXPECT_EQ(got.body, absl::StrCat("POST /", i, " hello"));
  }
}

TEST_F(HttpsTest, LargeBodiesBothWays) {
  const std::string large(kMaxBody - 100, 'x');
  const Got got = Get(*client_, "/large", large);
  ASSERT_TRUE(got.status.ok()) << got.status;
  EXPECT_EQ(got.body, absl::StrCat("POST /large ", large));
}

TEST_F(HttpsTest, StreamsInPieces) {
  const Got got = Get(*client_, "/pieces");
  ASSERT_TRUE(got.status.ok()) << got.status;
  EXPECT_THAT(got.body, HasSubstr("0,1,2,"));
  EXPECT_THAT(got.body, HasSubstr(",98,99,"));
}

TEST_F(HttpsTest, TheClientsLeavingEndsTheRequest) {
  auto leave = [&]() -> asio::awaitable<absl::Status> {
    Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
    HttpRequest request;
    request.url = Url("/wait");
    auto response = co_await client_->Send(scope, std::move(request));
    if (!response.ok()) co_return response.status();
    co_return (co_await (*response)->Read(scope)).status();  // and lets go of it
  };
  const absl::Status left = asio::co_spawn(runtime_.Next(), leave, asio::use_future).get();
  ASSERT_TRUE(left.ok()) << left;
  EXPECT_TRUE(Eventually([this] { return ended_ == 1; }));
}

TEST_F(HttpsTest, ARequestInTheClearIsToldSo) {
  HttpProbe probe(server_->port());
  probe.Request("GET", "/", "");
  const HttpReply reply = probe.Read();
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("HTTPS"));
}

TEST_F(HttpsTest, WhatIsNoHandshakeEndsTheConnection) {
  HttpProbe probe(server_->port());
  probe.Send(std::string("\x16\x03\x01\x00\x05hello", 10));
  EXPECT_FALSE(probe.ReadUntil("never"));
  EXPECT_TRUE(probe.closed());
  EXPECT_TRUE(Get(*client_, "/after").status.ok());
}

TEST_F(HttpsTest, ANewerCertificateIsForNewConnections) {
  std::atomic<bool> read{false};
  auto hold = [&]() -> asio::awaitable<std::string> {
    Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
    HttpRequest request;
    request.url = Url("/wait");
    auto response = co_await client_->Send(scope, std::move(request));
    if (!response.ok()) co_return "";
    auto first = co_await (*response)->Read(scope);
    read = true;
    const absl::Status waited = co_await Sleep(scope, absl::Milliseconds(200));
    if (!waited.ok() || !first.ok()) co_return "";
    co_return *first;
  };
  auto held = asio::co_spawn(runtime_.Next(), hold, asio::use_future);
  ASSERT_TRUE(Eventually([&] { return read.load(); }));

  const TestAuthority other;
  Show(other);
  const auto trusting = Trusting(other);
  EXPECT_TRUE(Get(*trusting, "/new").status.ok());
  EXPECT_EQ(ended_, 0) << "the stream that began before goes on";
  EXPECT_EQ(held.get(), "begun");
  const auto strict = Trusting(authority_);
  EXPECT_FALSE(Get(*strict, "/old").status.ok());
}

TEST_F(HttpsTest, ADrainingServerClosesEachConnectionAfterItsAnswer) {
  EXPECT_TRUE(Get(*client_, "/before").headers.Get("Connection").empty());
  server_->CloseAfterAnswers();
  const Got kept = Get(*client_, "/on-the-kept-one");
  ASSERT_TRUE(kept.status.ok()) << kept.status;
  EXPECT_EQ(kept.headers.Get("Connection"), "close");
  const Got fresh = Get(*client_, "/on-a-new-one");
  ASSERT_TRUE(fresh.status.ok()) << fresh.status;
  EXPECT_EQ(fresh.headers.Get("Connection"), "close");
}

TEST_F(HttpsTest, AShutdownTellsWhoStillRuns) {
  TlsProbe probe(server_->port());
  probe.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(probe.ReadUntil("begun"));
  server_->Shutdown(absl::ZeroDuration(), absl::UnavailableError("stopping"));
  EXPECT_TRUE(probe.ReadUntil("ended:stopping\r\n0\r\n\r\n")) << probe.raw();
  EXPECT_FALSE(probe.ReadUntil("never"));
  EXPECT_TRUE(probe.ended_properly());
}

TEST_F(HttpsTest, AHeaderThatDoesNotComeIsGivenUp) {
  HttpServerOptions options;
  options.header_limit = absl::Milliseconds(500);
  const auto server = Listen(options);
  for (const char* begun : {"G", "GET / HTTP/1.1\r\nHost: x\r\n"}) {
    TlsProbe probe(server->port());
    probe.Send(begun);
    EXPECT_TRUE(probe.ReadUntil("HTTP/1.1 408 ")) << begun;
  }
  TlsProbe silent(server->port());
  EXPECT_FALSE(silent.ReadUntil("never"));
  EXPECT_EQ(silent.raw(), "");
  EXPECT_TRUE(silent.ended_properly());
}

TEST_F(HttpsTest, WhatIsBeingReceivedWhenItStopsAcceptingIsAnswered) {
  TlsProbe upload(server_->port());
  upload.Send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(upload.ReadUntil("100 Continue\r\n\r\n"));
  TlsProbe idle(server_->port());
  idle.Send("GET /c HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(idle.ReadUntil("GET /c "));
  server_->StopAccepting();
  EXPECT_FALSE(idle.ReadUntil("never"));
  EXPECT_TRUE(idle.ended_properly());
  upload.Send("abcdef");
  EXPECT_TRUE(upload.ReadUntil("POST /x abcdef"));
  EXPECT_THAT(upload.raw(), HasSubstr("Connection: close"));
}

// The bytes of the next request come while the watch for the client's leaving is being stopped, in one of many tries.
TEST_F(HttpsTest, RequestsThatAreSentAheadAreAllAnswered) {
  constexpr int kRounds = 20, kAhead = 100;
  for (int round = 0; round < kRounds; ++round) {
    TlsProbe probe(server_->port());
    for (int i = 0; i < kAhead; ++i) probe.Send(absl::StrCat("GET /", i, " HTTP/1.1\r\nHost: x\r\n\r\n"));
    ASSERT_TRUE(probe.ReadUntil(absl::StrCat("GET /", kAhead - 1, " "))) << round;
  }
}

TEST(HttpsContext, ADamagedSetIsRefused) {
  const TestAuthority authority;
  const TestAuthority::Pem pem = authority.Issue("DNS:localhost");
  EXPECT_FALSE(MakeHttpsContext({pem.certificate.substr(0, 100), Secret(pem.key), ""}).ok());
  EXPECT_FALSE(MakeHttpsContext({pem.certificate, Secret(authority.Issue("DNS:localhost").key), ""}).ok());
}

}  // namespace
}  // namespace switchyard
