// What is counted and told of calls to a platform, against a scripted server.
#include "services/common/http/observed_http.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/this_coro.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/metrics/metrics.h"
#include "services/common/trace/span.h"
#include "tests/support/upstream_double.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using Peer = UpstreamDouble::Peer;

constexpr char kParent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

class ObservedHttpTest : public ::testing::Test {
 protected:
  ObservedHttpTest() {
    HttpClientOptions options;
    options.metrics = &metrics_;
    client_ = *MakeHttpClient(std::move(options));
    Tracer::Options tracing{.sample_ratio = 1,
                            .take = [this](SpanData span) { spans_.push_back(std::move(span)); },
                            .clock = SystemClock::Get(),
                            .random = SystemRandom::Get()};
    Tracer::Set(std::make_shared<Tracer>(std::move(tracing)));
  }
  ~ObservedHttpTest() override {
    Tracer::Set(nullptr);
    runtime_.Stop();
    client_->CloseIdle();
  }

  /// @return the body, or what went wrong; the spans that had ended when only the header had come
  std::pair<std::string, size_t> Fetch(HttpClient& http, const std::string& url) {
    std::pair<std::string, size_t> got;
    auto task = [&]() -> asio::awaitable<void> {
      Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
      HttpRequest request;
      request.method = "POST";
      request.url = url;
      auto response = co_await http.Send(scope, std::move(request));
      got.second = spans_.size();
      if (!response.ok()) {
        got.first = std::string(response.status().message());
        co_return;
      }
      auto body = co_await (*response)->ReadAll(scope, 1000);
      got.first = body.ok() ? *body : std::string(body.status().message());
    };
    asio::co_spawn(runtime_.All().front(), task, asio::use_future).get();
    return got;
  }

  Metrics metrics_;
  Runtime runtime_{Runtime::Options{1}};
  std::unique_ptr<HttpClient> client_;
  std::vector<SpanData> spans_;
};

std::string Attribute(const SpanData& span, absl::string_view name) {
  for (const auto& [key, value] : span.attributes) {
    if (key == name) {
      const auto* text = std::get_if<std::string>(&value);
      return text != nullptr ? *text : std::to_string(std::get<int64_t>(value));
    }
  }
  return "(none)";
}

TEST_F(ObservedHttpTest, ASpanLastsAsLongAsTheBodyAndTellsNothingOfTheQuery) {
  UpstreamDouble upstream([](Peer& peer) {
    if (!peer.ReadRequest().empty()) peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  });
  ObservedHttpClient http(*client_, "kimi", kParent);
  const auto [body, ended_at_header] = Fetch(http, upstream.url("/api/chat?token=canary#canary"));
  EXPECT_EQ(body, "hello");
  EXPECT_EQ(ended_at_header, 0u);
  ASSERT_EQ(spans_.size(), 1u);
  const SpanData& span = spans_.front();
  EXPECT_EQ(span.name, "POST");
  EXPECT_EQ(span.kind, SpanKind::kClient);
  EXPECT_EQ(span.parent_id, "00f067aa0ba902b7");
  EXPECT_EQ(Attribute(span, "server.address"), "localhost");
  EXPECT_EQ(Attribute(span, "url.path"), "/api/chat");
  EXPECT_EQ(Attribute(span, "http.response.status_code"), "200");
  EXPECT_EQ(span.error, "");
  // The platform hears nothing of it.
  const std::string request = upstream.requests().front();
  EXPECT_FALSE(absl::StrContains(request, "trace")) << request;
  EXPECT_FALSE(absl::StrContains(request, "4bf92f3577b34da6a3ce929d0e0e4736")) << request;
}

TEST_F(ObservedHttpTest, WhatFailsIsTold) {
  UpstreamDouble upstream([](Peer& peer) {
    if (!peer.ReadRequest().empty()) peer.Send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  });
  ObservedHttpClient http(*client_, "kimi", kParent);
  Fetch(http, upstream.url("/x"));
  Fetch(http, "http://127.0.0.1:1/x");
  ASSERT_EQ(spans_.size(), 2u);
  EXPECT_EQ(spans_[0].error, "503");
  EXPECT_EQ(spans_[1].error, "upstream_unavailable");
}

TEST_F(ObservedHttpTest, WithoutATraceThereIsNoSpan) {
  UpstreamDouble upstream([](Peer& peer) {
    if (!peer.ReadRequest().empty()) peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  });
  ObservedHttpClient http(*client_, "kimi");
  EXPECT_EQ(Fetch(http, upstream.url("/x")).first, "hi");
  EXPECT_TRUE(spans_.empty());
}

TEST_F(ObservedHttpTest, ConnectionsAreCountedWhileTheyAreOpen) {
  UpstreamDouble upstream([](Peer& peer) {
    while (!peer.ReadRequest().empty()) peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  });
  EXPECT_EQ(Fetch(*client_, upstream.url("/x")).first, "hi");
  EXPECT_EQ(Fetch(*client_, upstream.url("/x")).first, "hi");
  EXPECT_EQ(metrics_.UpstreamConnections().Value(), 1) << "the first one was kept, and used again";
  EXPECT_EQ(metrics_.UpstreamConnects("").Value(), 1);
  Fetch(*client_, "http://127.0.0.1:1/x");
  EXPECT_EQ(metrics_.UpstreamConnects("connect_refused").Value(), 1);
  runtime_.Stop();  // kept connections belong to its loops
  client_->CloseIdle();
  EXPECT_EQ(metrics_.UpstreamConnections().Value(), 0);
}

}  // namespace
}  // namespace switchyard
