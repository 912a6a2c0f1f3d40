// The server under TLS, with real clients: what it does in the clear it does here.
#include "services/common/http/https_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
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

class HttpsTest : public ::testing::Test {
 protected:
  HttpsTest() {
    Show(authority_);
    HttpServerOptions options;
    options.max_body_bytes = kMaxBody;
    options.https_context = [this] {
      absl::MutexLock lock(&mutex_);
      return context_;
    };
    auto server = HttpServer::Listen(runtime_, options, [this](HttpServerRequest& request, HttpResponder& responder) {
      return Serve(request, responder);
    });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = Trusting(authority_);
  }
  ~HttpsTest() override {
    server_->Shutdown(absl::ZeroDuration(), absl::CancelledError("over"));
    client_->CloseIdle();
    runtime_.Stop();
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
      co_await Sleep(responder.scope(), absl::Seconds(60));
      ++ended_;
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

TEST(HttpsContext, ADamagedSetIsRefused) {
  const TestAuthority authority;
  const TestAuthority::Pem pem = authority.Issue("DNS:localhost");
  EXPECT_FALSE(MakeHttpsContext({pem.certificate.substr(0, 100), Secret(pem.key), ""}).ok());
  EXPECT_FALSE(MakeHttpsContext({pem.certificate, Secret(authority.Issue("DNS:localhost").key), ""}).ok());
}

}  // namespace
}  // namespace switchyard
