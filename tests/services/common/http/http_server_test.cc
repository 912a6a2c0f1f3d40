// The server against a client that sends bytes as it likes.
#include "services/common/http/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <stdexcept>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/async/runtime.h"
#include "services/common/async/sleep.h"
#include "tests/support/http_probe.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;

// More than the buffers of two sockets hold.
constexpr size_t kFloodPiece = 1024 * 1024;
constexpr int kFloodPieces = 32;

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    HttpServerOptions options;
    options.max_body_bytes = 1000;
    options.body_limit = absl::Milliseconds(200);
    options.min_body_bytes_per_second = 100000;
    options.check_header = [](const HttpServerRequest& request) -> std::optional<HttpRefusal> {
      EXPECT_EQ(request.body, "");
      if (request.path != "/refused") return std::nullopt;
      return HttpRefusal{418, {{"Why", "header"}}, "refused"};
    };
    auto server = HttpServer::Listen(runtime_, options, [this](HttpServerRequest& request, HttpResponder& responder) {
      return Serve(request, responder);
    });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  ~HttpServerTest() override {
    server_->Shutdown(absl::ZeroDuration(), absl::CancelledError("over"));
    runtime_.Stop();
  }

  asio::awaitable<void> Serve(HttpServerRequest& request, HttpResponder& responder) {
    ++served_;
    if (request.path == "/throw") throw std::runtime_error("bug");
    if (request.path == "/silent") co_return;
    if (request.path == "/stream" || request.path == "/unfinished") {
      HttpHeaders headers{{"Content-Type", "text/plain"}};
      co_await responder.Begin(200, std::move(headers));
      co_await responder.Write("one ");
      co_await responder.Write("two");
      if (request.path == "/stream") co_await responder.End();
      co_return;
    }
    if (request.path == "/flood") {
      HttpHeaders headers;
      co_await responder.Begin(200, std::move(headers));
      const std::string piece(kFloodPiece, 'x');
      for (int i = 0; i < kFloodPieces; ++i) {
        const absl::Status written = co_await responder.Write(piece);
        if (!written.ok()) co_return;
      }
      co_await responder.End();
      co_return;
    }
    if (request.path == "/wait") {
      HttpHeaders headers;
      co_await responder.Begin(200, std::move(headers));
      co_await responder.Write("begun");
      const absl::Status slept = co_await Sleep(responder.scope(), absl::Seconds(30));
      ++ended_;
      const absl::Status told = co_await responder.Write(absl::StrCat("ended:", slept.message()));
      if (told.ok()) co_await responder.End();
      co_return;
    }
    HttpHeaders headers{{"Content-Type", "text/plain"}};
    std::string body = absl::StrCat(request.method, " ", request.path, " ", request.body);
    co_await responder.Send(200, std::move(headers), std::move(body));
  }

  /// A further server of the same handler.
  std::unique_ptr<HttpServer> Another(HttpServerOptions options) {
    auto server = HttpServer::Listen(
        runtime_, std::move(options),
        [this](HttpServerRequest& request, HttpResponder& responder) { return Serve(request, responder); });
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }

  int port() const { return server_->port(); }
  std::string Raw(const std::string& bytes) {
    HttpProbe probe(port());
    probe.Send(bytes);
    while (probe.ReadUntil("\n\n\nnever")) {
    }
    return probe.raw();
  }

  Runtime runtime_{{.threads = 2}};
  std::unique_ptr<HttpServer> server_;
  std::atomic<int> served_{0}, ended_{0};
};

TEST_F(HttpServerTest, RequestsOnOneConnectionAreAnsweredInOrder) {
  HttpProbe probe(port());
  probe.Send(
      "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET /stream "
      "HTTP/1.1\r\nHost: x\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(probe.ReadUntil("GET /c "));
  EXPECT_LT(probe.raw().find("GET /a "), probe.raw().find("POST /b hi"));
  EXPECT_LT(probe.raw().find("POST /b hi"), probe.raw().find("one "));
}

TEST_F(HttpServerTest, BodiesInChunksAndContinue) {
  HttpProbe chunked(port());
  chunked.Send(
      "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nTrailer: "
      "t\r\n\r\n");
  EXPECT_EQ(chunked.Read().body, "POST /x hello");
  HttpProbe patient(port());
  patient.Send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(patient.ReadUntil("HTTP/1.1 100"));
  patient.Send("hi");
  EXPECT_TRUE(patient.ReadUntil("POST /x hi"));
}

TEST_F(HttpServerTest, OlderAndOtherForms) {
  EXPECT_TRUE(absl::StrContains(Raw("GET /old HTTP/1.0\r\n\r\n"), "GET /old "));
  EXPECT_TRUE(absl::StrContains(
      Raw("GET http://localhost/abs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), "GET /abs "));
}

TEST_F(HttpServerTest, StreamsAreWholeOnlyIfTheyWereEnded) {
  const HttpReply whole = Fetch(port(), "GET", "/stream");
  EXPECT_EQ(whole.body, "one two");
  EXPECT_TRUE(whole.whole);
  const HttpReply cut = Fetch(port(), "GET", "/unfinished");
  EXPECT_EQ(cut.body, "one two");
  EXPECT_FALSE(cut.whole);
}

TEST_F(HttpServerTest, AHandlerThatFailsIsA500) {
  EXPECT_EQ(Fetch(port(), "GET", "/throw").status, 500);
  EXPECT_EQ(Fetch(port(), "GET", "/silent").status, 500);
  EXPECT_EQ(Fetch(port(), "GET", "/fine").status, 200);
}

TEST_F(HttpServerTest, LimitsAreKept) {
  EXPECT_EQ(Fetch(port(), "POST", "/x", std::string(1000, 'a')).status, 200);
  EXPECT_EQ(Fetch(port(), "POST", "/x", std::string(1001, 'a')).status, 413);
  EXPECT_EQ(Fetch(port(), "GET", "/x", "", {{"Long", std::string(100000, 'a')}}).status, 431);
  HttpProbe chunked(port());
  chunked.Send(absl::StrCat("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n",
                            std::string(4096, 'a'), "\r\n0\r\n\r\n"));
  EXPECT_EQ(chunked.Read().status, 413);
}

TEST_F(HttpServerTest, WhatIsRefusedByItsHeaderIsRefusedBeforeItsBody) {
  // A gigabyte that is declared and never sent; once with a client that asks first, and once in chunks.
  for (const char* framing : {"Content-Length: 1000000000", "Content-Length: 1000000000\r\nExpect: 100-continue",
                              "Transfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nExpect: 100-continue"}) {
    HttpProbe probe(port());
    const absl::Time start = absl::Now();
    probe.Send(absl::StrCat("POST /refused HTTP/1.1\r\nHost: x\r\n", framing, "\r\n\r\n"));
    const HttpReply reply = probe.Read();
    std::cout << "refused before the body (" << framing << "): " << absl::Now() - start << "\n";
    EXPECT_EQ(reply.status, 418) << framing;
    EXPECT_EQ(reply.headers.at("connection"), "close");
    EXPECT_FALSE(probe.ReadUntil("more"));
    EXPECT_TRUE(probe.closed()) << framing;
  }
  EXPECT_EQ(served_, 0);
}

TEST_F(HttpServerTest, ABodyThatIsDeclaredTooLargeIsRefusedBeforeItIsSent) {
  for (const char* expect : {"", "Expect: 100-continue\r\n"}) {
    HttpProbe probe(port());
    const absl::Time start = absl::Now();
    probe.Send(absl::StrCat("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n", expect, "\r\n"));
    EXPECT_EQ(probe.Read().status, 413);
    std::cout << "413 without a byte of the body: " << absl::Now() - start << "\n";
  }
}

TEST_F(HttpServerTest, ARefusalWithoutABodyKeepsTheConnection) {
  HttpProbe probe(port());
  probe.Send("GET /refused HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(probe.ReadUntil("GET /next "));
  EXPECT_TRUE(absl::StartsWith(probe.raw(), "HTTP/1.1 418 "));
}

TEST_F(HttpServerTest, OtherExpectationsAreRefused) {
  EXPECT_EQ(Fetch(port(), "POST", "/x", "hi", {{"Expect", "a-miracle"}}).status, 417);
  EXPECT_EQ(Fetch(port(), "POST", "/x", "hi", {{"Expect", "100-Continue"}}).status, 200);
}

// Each byte comes well within the idle limit; all of them together come too slowly.
TEST_F(HttpServerTest, ABodyThatDripsIsGivenUp) {
  HttpProbe probe(port());
  probe.Send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  int sent = 0;
  EXPECT_TRUE(Eventually([&] {
    if (probe.Readable()) return true;
    if (++sent < 1000) probe.Send("x");
    return false;
  }));
  EXPECT_EQ(probe.Read().status, 408);
  EXPECT_LT(sent, 1000);
}

TEST_F(HttpServerTest, AHeaderThatDoesNotComeIsGivenUp) {
  HttpServerOptions options;
  options.header_limit = absl::Milliseconds(200);
  const auto server = Another(options);
  for (const char* begun : {"G", "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /"}) {
    HttpProbe probe(server->port());
    probe.Send(begun);
    EXPECT_TRUE(probe.ReadUntil("HTTP/1.1 408 ")) << begun;
    EXPECT_TRUE(absl::StrContains(probe.raw(), "Connection: close")) << begun;
  }
  // There is nobody to be told anything.
  HttpProbe silent(server->port());
  EXPECT_FALSE(silent.ReadUntil("never"));
  EXPECT_EQ(silent.raw(), "");
  EXPECT_TRUE(silent.closed());
  // A connection that has been of use may be silent for longer.
  HttpProbe kept(server->port());
  kept.Request("GET", "/one", "");
  ASSERT_TRUE(kept.ReadUntil("GET /one "));
  HttpProbe later(server->port());
  later.Send("G");
  ASSERT_TRUE(later.ReadUntil("HTTP/1.1 408 "));
  kept.Request("GET", "/two", "");
  EXPECT_TRUE(kept.ReadUntil("GET /two "));
}

TEST_F(HttpServerTest, EveryAmbiguousFramingIsRefused) {
  const std::string smuggled = "\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const std::string head : {
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6",
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6",
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5",
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5",
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1",
           "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked",
           "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked",
           "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked",
           "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked",
           "POST / HTTP/1.1\r\nHost: x\r\nX: a\r\n folded: b",
           "GET / HTTP/1.1\r\nHost: x\r\nHost: y",
           "GET / HTTP/1.1\r\nX: 1",
           "GET / HTTP/1.1\r\nHost: x\r\nX: a\nY: b",
           "GET / HTTP/9.9\r\nHost: x",
           "GET /%00 HTTP/1.1\r\nHost: x",
       }) {
    served_ = 0;
    const std::string answer = Raw(head + smuggled);
    EXPECT_TRUE(absl::StartsWith(answer, "HTTP/1.1 4") || absl::StartsWith(answer, "HTTP/1.1 5")) << head << "\n->\n"
                                                                                                  << answer;
    EXPECT_FALSE(absl::StrContains(answer, "smuggled")) << head;
    EXPECT_EQ(served_, 0) << head;
  }
}

TEST_F(HttpServerTest, AClientThatLeavesEndsTheScope) {
  for (const bool reset : {false, true}) {
    ended_ = 0;
    HttpProbe probe(port());
    probe.Request("GET", "/wait", "");
    ASSERT_TRUE(probe.ReadUntil("begun"));
    reset ? probe.Reset() : probe.Close();
    EXPECT_TRUE(Eventually([&] { return ended_ == 1; }));
  }
}

TEST_F(HttpServerTest, AShutdownTellsWhoStillRuns) {
  HttpProbe probe(port());
  probe.Request("GET", "/wait", "");
  ASSERT_TRUE(probe.ReadUntil("begun"));
  server_->Shutdown(absl::ZeroDuration(), absl::UnavailableError("stopping"));
  const HttpReply reply = probe.Read();
  EXPECT_EQ(reply.body, "begunended:stopping");
  EXPECT_TRUE(reply.whole);
}

TEST_F(HttpServerTest, WhatIsBeingReceivedWhenItStopsAcceptingIsAnswered) {
  const auto server = Another({});
  HttpProbe upload(server->port());
  upload.Send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(upload.ReadUntil("100 Continue\r\n\r\n"));
  upload.Send("abc");
  // The second one's beginning comes with the first.
  HttpProbe header(server->port());
  header.Send("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HT");
  ASSERT_TRUE(header.ReadUntil("GET /a "));
  HttpProbe idle(server->port());
  idle.Request("GET", "/c", "");
  ASSERT_TRUE(idle.ReadUntil("GET /c "));

  server->StopAccepting();
  EXPECT_FALSE(idle.ReadUntil("never"));
  EXPECT_TRUE(idle.closed());
  upload.Send("def");
  EXPECT_TRUE(upload.ReadUntil("POST /x abcdef"));
  EXPECT_TRUE(absl::StrContains(upload.raw(), "Connection: close"));
  header.Send("TP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(header.ReadUntil("GET /b "));
  EXPECT_TRUE(absl::StrContains(header.raw(), "Connection: close"));
}

// Its window is closed for more than twice the limit, and all that time its host acknowledges.
TEST_F(HttpServerTest, AClientThatReadsSlowlyHasNotVanished) {
  HttpServerOptions options;
  options.vanish_limit = absl::Seconds(2);
  const auto server = Another(options);
  HttpProbe probe(server->port());
  probe.Request("GET", "/flood", "");
  ASSERT_TRUE(probe.ReadUntil("\r\n\r\n"));
  const absl::Time since = absl::Now();
  EXPECT_TRUE(Eventually([&] { return absl::Now() - since > 2.5 * options.vanish_limit; }));
  const HttpReply reply = probe.Read();
  EXPECT_TRUE(reply.whole);
  EXPECT_EQ(reply.body.size(), kFloodPiece * kFloodPieces);
}

TEST_F(HttpServerTest, OneAddressKeepsNobodyElseOut) {
  std::atomic<int> refused{0};
  HttpServerOptions options;
  options.max_connections_per_address = 2;
  options.connection_refused = [&](ConnectionLimit limit, const std::string& address) {
    EXPECT_EQ(limit, ConnectionLimit::kAddress);
    EXPECT_EQ(address, "127.0.0.1");
    ++refused;
  };
  const auto server = Another(options);
  const auto answered = [&](HttpProbe& probe) {
    probe.Request("GET", "/x", "");
    return probe.ReadUntil("GET /x ");
  };
  auto first = std::make_unique<HttpProbe>(server->port());
  HttpProbe second(server->port());
  ASSERT_TRUE(answered(*first) && answered(second));
  HttpProbe third(server->port());
  EXPECT_FALSE(answered(third));
  EXPECT_TRUE(third.closed());
  EXPECT_EQ(refused, 1);
  first->Close();
  EXPECT_TRUE(Eventually([&] {
    HttpProbe again(server->port());
    return answered(again);
  }));
}

TEST_F(HttpServerTest, AProxyOnThisMachineIsNotOneAddress) {
  HttpServerOptions options;
  options.max_connections_per_address = 1;
  options.spare_loopback = true;
  const auto server = Another(options);
  HttpProbe first(server->port()), second(server->port());
  for (HttpProbe* probe : {&first, &second}) {
    probe->Request("GET", "/x", "");
    EXPECT_TRUE(probe->ReadUntil("GET /x "));
  }
}

TEST_F(HttpServerTest, ABodyThatBreaksOffIsTold) {
  std::atomic<int> lost{0};
  HttpServerOptions options;
  options.body_lost = [&](const HttpServerRequest& request) {
    EXPECT_EQ(request.path, "/x");
    ++lost;
  };
  const auto server = Another(options);
  for (const char* framing : {"Content-Length: 100", "Transfer-Encoding: chunked"}) {
    for (const bool reset : {false, true}) {
      const int before = lost;
      HttpProbe probe(server->port());
      // So that the header has been read before a reset takes away what has not.
      probe.Send(absl::StrCat("POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n", framing, "\r\n\r\n"));
      ASSERT_TRUE(probe.ReadUntil("100 Continue"));
      probe.Send("5\r\nab");
      reset ? probe.Reset() : probe.Close();
      EXPECT_TRUE(Eventually([&] { return lost == before + 1; })) << framing << reset;
    }
  }
  EXPECT_EQ(served_, 0);
}

// It does not wait for a header that cannot come: with one connection at a time, the next is served at once.
TEST_F(HttpServerTest, AClientThatClosesItsConnectionMakesRoom) {
  HttpServerOptions options;
  options.max_connections = 1;
  options.header_limit = absl::Hours(1);
  const auto server = Another(options);
  for (const char* rest : {"", "GET /h"}) {
    ASSERT_TRUE(Eventually([&] {
      HttpProbe probe(server->port());
      probe.Request("GET", "/x", "");
      const bool answered = probe.ReadUntil("GET /x ");
      probe.Send(rest);
      return answered;
    })) << rest;
  }
}

TEST_F(HttpServerTest, APortInUseIsSaid) {
  HttpServerOptions options;
  options.port = server_->port();
  auto second = HttpServer::Listen(runtime_, options, nullptr);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
}

}  // namespace
}  // namespace switchyard
