// The way to the platforms, against a scripted server.
#include "services/common/http/http_client.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/status/reason.h"
#include "tests/support/upstream_double.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using Certificate = UpstreamDouble::Certificate;
using Peer = UpstreamDouble::Peer;

struct Got {
  int status = 0;
  std::string body;
  absl::Status error;
  std::string cause() const { return DetailOf(error).cause(); }
};

class HttpClientTest : public ::testing::Test {
 protected:
  ~HttpClientTest() override { runtime_.Stop(); }

  HttpClient& Client(HttpClientOptions options = {}) {
    auto made = MakeHttpClient(std::move(options));
    EXPECT_TRUE(made.ok()) << made.status();
    client_ = *std::move(made);
    return *client_;
  }

  /// One exchange on the one loop, so that kept connections are found again.
  Got Fetch(
      HttpClient& client, HttpRequest request, absl::Duration limit = absl::Seconds(15),
      std::function<void()> on_header = [] {}) {
    Got got;
    auto task = [&]() -> asio::awaitable<void> {
      Scope whole(co_await asio::this_coro::executor);
      const absl::Status late = MakeError(Reason::REASON_DEADLINE, "the test's own limit", {.cause = "test_limit"});
      Scope scope(whole, limit, late);
      auto response = co_await client.Send(scope, std::move(request));
      if (!response.ok()) {
        got.error = response.status();
        co_return;
      }
      got.status = (*response)->status();
      on_header();
      for (;;) {
        auto piece = co_await (*response)->Read(scope);
        if (!piece.ok()) {
          got.error = piece.status();
          co_return;
        }
        if (piece->empty()) co_return;
        got.body += *piece;
      }
    };
    asio::co_spawn(runtime_.All().front(), task, asio::use_future).get();
    return got;
  }
  Got Get(const UpstreamDouble& upstream, HttpClientOptions options = {}) {
    HttpRequest request;
    request.url = upstream.url("/x");
    return Fetch(Client(std::move(options)), std::move(request));
  }

  Runtime runtime_{{.threads = 1}};
  std::unique_ptr<HttpClient> client_;
};

UpstreamDouble::Script Answer(std::string bytes) {
  return [bytes](Peer& peer) {
    if (peer.ReadRequest().empty()) return;
    peer.Send(bytes);
  };
}

TEST_F(HttpClientTest, BodiesOfEveryFraming) {
  for (const char* answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"}) {
    UpstreamDouble upstream(Answer(answer));
    const Got got = Get(upstream);
    EXPECT_EQ(got.body, "hello") << answer << got.error;
    EXPECT_TRUE(got.error.ok());
  }
}

TEST_F(HttpClientTest, InterimAnswersArePassedOver) {
  const std::string early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
  UpstreamDouble upstream(
      Answer(early + "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
  const Got got = Get(upstream);
  EXPECT_EQ(got.status, 200) << got.error;
  EXPECT_EQ(got.body, "hello");
  std::string endless;
  for (int i = 0; i < 100; ++i) endless += early;
  UpstreamDouble other(Answer(endless));
  EXPECT_EQ(Get(other).cause(), "bad_response");
  UpstreamDouble switching(Answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"));
  EXPECT_EQ(Get(switching).cause(), "bad_response");
}

TEST_F(HttpClientTest, AnswersInAnyPieces) {
  const std::string answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
  UpstreamDouble upstream([&](Peer& peer) {
    for (size_t at = 0; at <= answer.size(); at += 3) {
      if (peer.ReadRequest().empty()) return;
      peer.Send(answer.substr(0, at));
      std::this_thread::yield();
      peer.Send(answer.substr(at));
    }
  });
  HttpClient& client = Client();
  for (size_t at = 0; at <= answer.size(); at += 3) {
    HttpRequest request;
    request.url = upstream.url("/x");
    const Got got = Fetch(client, std::move(request));
    ASSERT_EQ(got.body, "hello") << at << got.error;
  }
  EXPECT_EQ(upstream.connections(), 1) << "the connection was not kept";
}

TEST_F(HttpClientTest, WhatIsSentIsWhatWasAskedFor) {
  UpstreamDouble upstream(Answer("HTTP/1.1 204 No Content\r\n\r\n"));
  HttpRequest request{.method = "POST", .url = upstream.url("/path?q=1"), .headers = {{"X-A", "b"}}, .body = "body"};
  EXPECT_EQ(Fetch(Client(), std::move(request)).status, 204);
  ASSERT_EQ(upstream.requests().size(), 1u);
  const std::string sent = upstream.requests()[0];
  EXPECT_TRUE(absl::StartsWith(sent, "POST /path?q=1 HTTP/1.1\r\n")) << sent;
  EXPECT_TRUE(absl::StrContains(sent, absl::StrCat("Host: localhost:", upstream.port(), "\r\n"))) << sent;
  EXPECT_TRUE(absl::StrContains(sent, "X-A: b\r\n"));
  EXPECT_TRUE(absl::EndsWith(sent, "\r\n\r\nbody"));
}

TEST_F(HttpClientTest, ALargeBodyArrivesWholeAlsoOnAKeptConnection) {
  UpstreamDouble upstream([](Peer& peer) {
    while (!peer.ReadRequest().empty()) peer.Send("HTTP/1.1 204 No Content\r\n\r\n");
  });
  HttpClient& client = Client();
  const std::string body(3 * 1024 * 1024 + 7, 'b');
  for (int i = 0; i < 2; ++i) {
    HttpRequest request{.method = "POST", .url = upstream.url("/x"), .body = body};
    EXPECT_EQ(Fetch(client, std::move(request)).status, 204);
  }
  EXPECT_EQ(upstream.connections(), 1);
  ASSERT_EQ(upstream.requests().size(), 2u);
  for (const std::string& sent : upstream.requests()) EXPECT_TRUE(absl::EndsWith(sent, "\r\n\r\n" + body));
}

TEST_F(HttpClientTest, AnAddressThatIsGivenIsTheOneAndIsNotKept) {
  UpstreamDouble upstream([](Peer& peer) {
    while (!peer.ReadRequest().empty()) peer.Send("HTTP/1.1 204 No Content\r\n\r\n");
  });
  HttpClient& client = Client();
  for (int i = 0; i < 2; ++i) {
    HttpRequest request;
    request.url = absl::StrCat("http://nowhere.invalid:", upstream.port(), "/x");
    request.addresses = {"127.0.0.1"};
    EXPECT_EQ(Fetch(client, std::move(request)).status, 204);
  }
  EXPECT_EQ(upstream.connections(), 2);
  HttpRequest request;
  request.url = upstream.url("/x");
  request.addresses = {"localhost"};
  EXPECT_EQ(Fetch(client, std::move(request)).error.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HttpClientTest, ABodyThatEndsEarlyIsBroken) {
  for (const char* answer : {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello"}) {
    UpstreamDouble upstream(Answer(answer));
    const Got got = Get(upstream);
    EXPECT_EQ(got.body, "hello");
    EXPECT_EQ(ReasonOf(got.error), Reason::REASON_UPSTREAM_BROKEN) << answer << got.error;
  }
}

TEST_F(HttpClientTest, AResetInTheBodyIsBroken) {
  absl::Notification header_read;
  UpstreamDouble upstream([&](Peer& peer) {
    peer.ReadRequest();
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    header_read.WaitForNotification();
    peer.Reset();
  });
  HttpRequest request{.url = upstream.url("/x")};
  const Got got = Fetch(Client(), std::move(request), absl::Seconds(15), [&] { header_read.Notify(); });
  EXPECT_EQ(ReasonOf(got.error), Reason::REASON_UPSTREAM_BROKEN);
}

TEST_F(HttpClientTest, NoAnswerAtAll) {
  UpstreamDouble upstream([](Peer& peer) { peer.ReadRequest(); });
  HttpRequest request{.method = "POST", .url = upstream.url("/x")};
  const Got got = Fetch(Client(), std::move(request));
  EXPECT_EQ(ReasonOf(got.error), Reason::REASON_UPSTREAM_UNAVAILABLE);
  EXPECT_FALSE(NothingReached(got.error)) << "the request was read";
  EXPECT_EQ(upstream.connections(), 1) << "a request that may have been acted on was sent twice";
}

TEST_F(HttpClientTest, AKeptConnectionThatTurnsOutClosedIsReplacedForWhatMayBeRepeated) {
  UpstreamDouble upstream(Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));  // and closes
  HttpClient& client = Client();
  for (int i = 0; i < 5; ++i) {
    HttpRequest request{.url = upstream.url("/x"), .repeatable = true};
    const Got got = Fetch(client, std::move(request));
    EXPECT_EQ(got.body, "ok") << got.error;
  }
}

TEST_F(HttpClientTest, RefusedConnectionsReachedNobody) {
  HttpRequest request{.url = "http://127.0.0.1:9/x"};
  const Got got = Fetch(Client(), std::move(request));
  EXPECT_EQ(ReasonOf(got.error), Reason::REASON_UPSTREAM_UNAVAILABLE);
  EXPECT_EQ(got.cause(), "connect_refused");
  EXPECT_TRUE(NothingReached(got.error));
}

TEST_F(HttpClientTest, SilenceIsBounded) {
  UpstreamDouble before([](Peer& peer) {
    peer.ReadRequest();
    peer.AwaitClose();
  });
  const Got first = Get(before, {.limits = {.first_byte = absl::Milliseconds(100)}});
  EXPECT_EQ(first.error.code(), absl::StatusCode::kDeadlineExceeded) << first.error;
  EXPECT_EQ(first.cause(), "first_byte_timeout");
  UpstreamDouble inside([](Peer& peer) {
    peer.ReadRequest();
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel");
    peer.AwaitClose();
  });
  const Got idle = Get(inside, {.limits = {.idle = absl::Milliseconds(100)}});
  EXPECT_EQ(idle.body, "hel");
  EXPECT_EQ(idle.cause(), "idle_timeout");
}

TEST_F(HttpClientTest, TheScopeEndsEveryWait) {
  UpstreamDouble upstream([](Peer& peer) {
    peer.ReadRequest();
    peer.AwaitClose();
  });
  HttpRequest request{.url = upstream.url("/x")};
  EXPECT_EQ(Fetch(Client(), std::move(request), absl::Milliseconds(100)).cause(), "test_limit");
}

TEST_F(HttpClientTest, HostileHeadersAreRefused) {
  UpstreamDouble large(Answer(absl::StrCat("HTTP/1.1 200 OK\r\nX: ", std::string(200000, 'x'), "\r\n\r\n")));
  EXPECT_FALSE(Get(large).error.ok());
  UpstreamDouble garbage(Answer("SSH-2.0-OpenSSH\r\n\r\n"));
  EXPECT_EQ(Get(garbage).cause(), "bad_response");
  UpstreamDouble upstream(Answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  HttpRequest injected{.url = upstream.url("/x"), .headers = {{"X", "a\r\nEvil: 1"}}};
  EXPECT_EQ(Fetch(Client(), std::move(injected)).error.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(upstream.connections(), 0);
}

TEST_F(HttpClientTest, RedirectsAreNotFollowed) {
  UpstreamDouble upstream(Answer("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_EQ(Get(upstream).status, 302);
}

// ---- compression

std::string Deflate(const std::string& text, int window_bits) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Encoded(const std::string& encoding, const std::string& body) {
  return absl::StrCat("HTTP/1.1 200 OK\r\nContent-Encoding: ", encoding, "\r\nContent-Length: ", body.size(),
                      "\r\n\r\n", body);
}

TEST_F(HttpClientTest, GzipAndDeflate) {
  const std::string text = "hello hello hello hello";
  for (const std::string& answer : {Encoded("gzip", Deflate(text, 31)), Encoded("deflate", Deflate(text, 15)),
                                    Encoded("deflate", Deflate(text, -15)), Encoded("identity", text)}) {
    UpstreamDouble upstream(Answer(answer));
    const Got got = Get(upstream);
    EXPECT_EQ(got.body, text) << got.error;
  }
}

TEST_F(HttpClientTest, BadCompressionIsAnError) {
  const std::string good = Deflate(std::string(1000, 'a') + "end", 31);
  std::string corrupt = good;
  corrupt[good.size() / 2] = static_cast<char>(~corrupt[good.size() / 2]);
  for (const std::string& answer : {Encoded("gzip", corrupt), Encoded("gzip", good.substr(0, good.size() - 9)),
                                    Encoded("gzip", "plain"), Encoded("br", "x")}) {
    UpstreamDouble upstream(Answer(answer));
    const Got got = Get(upstream);
    EXPECT_FALSE(got.error.ok()) << answer;
    EXPECT_EQ(got.cause(), "decompression") << got.error;
  }
}

TEST_F(HttpClientTest, ABombIsCut) {
  UpstreamDouble upstream(Answer(Encoded("gzip", Deflate(std::string(8 * 1024 * 1024, '\0'), 31))));
  const Got got = Get(upstream, {.limits = {.max_body_bytes = 1024 * 1024}});
  EXPECT_FALSE(got.error.ok());
  EXPECT_LE(got.body.size(), 1024u * 1024u);
}

// ---- TLS

TEST_F(HttpClientTest, TlsWithATrustedAuthority) {
  UpstreamDouble upstream(Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Certificate::kGood);
  const Got got = Get(upstream, {.ca_file = upstream.ca_file()});
  EXPECT_EQ(got.body, "ok") << got.error;
}

TEST_F(HttpClientTest, TlsThatCannotBeTrustedSendsNothing) {
  struct Row {
    Certificate certificate;
    bool with_ca;
    const char* cause;
  };
  for (const Row& row :
       {Row{Certificate::kGood, false, "tls_untrusted"}, Row{Certificate::kSelfSigned, true, "tls_untrusted"},
        Row{Certificate::kWrongName, true, "tls_name"}, Row{Certificate::kExpired, true, "tls_expired"}}) {
    UpstreamDouble upstream(Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), row.certificate);
    HttpClientOptions options;
    if (row.with_ca) options.ca_file = upstream.ca_file();
    const Got got = Get(upstream, options);
    EXPECT_EQ(got.cause(), row.cause) << got.error;
    EXPECT_TRUE(NothingReached(got.error));
    EXPECT_TRUE(upstream.requests().empty());
  }
}

TEST_F(HttpClientTest, TlsWithAServerThatSpeaksSomethingElse) {
  UpstreamDouble plain([](Peer& peer) { peer.Send("HTTP/1.1 400 Bad Request\r\n\r\n"); });
  HttpRequest request{.url = absl::StrCat("https://localhost:", plain.port(), "/")};
  EXPECT_EQ(Fetch(Client(), std::move(request)).cause(), "tls_failed");
}

TEST_F(HttpClientTest, ATlsStreamCutWithoutGoodbyeIsBroken) {
  UpstreamDouble upstream(
      [](Peer& peer) {
        peer.ReadRequest();
        peer.Send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhel");
        peer.SkipGoodbye();
      },
      Certificate::kGood);
  const Got got = Get(upstream, {.ca_file = upstream.ca_file()});
  EXPECT_EQ(ReasonOf(got.error), Reason::REASON_UPSTREAM_BROKEN) << got.body << got.error;
}

// ---- proxy

TEST_F(HttpClientTest, AProxyIsAskedForATunnel) {
  UpstreamDouble proxy([](Peer& peer) {
    peer.ReadRequest();
    peer.Send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  });
  HttpRequest request{.url = "https://platform.example/x"};
  const Got got = Fetch(Client({.proxy = absl::StrCat("http://127.0.0.1:", proxy.port())}), std::move(request));
  EXPECT_EQ(got.cause(), "proxy_refused") << got.error;
  ASSERT_EQ(proxy.requests().size(), 1u);
  EXPECT_TRUE(absl::StartsWith(proxy.requests()[0], "CONNECT platform.example:443 HTTP/1.1\r\n"))
      << proxy.requests()[0];
}

TEST_F(HttpClientTest, PlainHttpGoesThroughAProxyAsAWholeAddress) {
  UpstreamDouble proxy(Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  HttpRequest request{.url = "http://platform.example/x"};
  EXPECT_EQ(Fetch(Client({.proxy = absl::StrCat("http://127.0.0.1:", proxy.port())}), std::move(request)).body, "ok");
  EXPECT_TRUE(absl::StartsWith(proxy.requests()[0], "GET http://platform.example/x HTTP/1.1\r\n"))
      << proxy.requests()[0];
}

TEST_F(HttpClientTest, LoopbackIsNeverProxied) {
  UpstreamDouble upstream(Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  EXPECT_EQ(Get(upstream, {.proxy = "http://127.0.0.1:9"}).body, "ok");
}

}  // namespace
}  // namespace switchyard
