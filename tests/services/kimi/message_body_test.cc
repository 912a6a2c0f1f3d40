// The messages of a WebSocket as one body.
#include "services/kimi/message_body.h"

#include <gtest/gtest.h>

#include <deque>
#include <utility>
#include <vector>

#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/status/reason.h"
#include "services/kimi/events.h"

namespace switchyard::kimi {
namespace {

namespace asio = boost::asio;

/// Says what it was told to, then closes as it should be.
class ScriptedSocket final : public WebSocket {
 public:
  ScriptedSocket(std::vector<WebSocketMessage> messages, int& closed)
      : messages_(messages.begin(), messages.end()), closed_(closed) {}

  asio::awaitable<absl::Status> Send(Scope&, std::string) override { co_return absl::OkStatus(); }
  asio::awaitable<absl::StatusOr<std::optional<WebSocketMessage>>> Read(Scope&) override {
    std::optional<WebSocketMessage> next;
    if (!messages_.empty()) {
      next = std::move(messages_.front());
      messages_.pop_front();
    }
    co_return next;
  }
  asio::awaitable<void> Close(Scope&, int) override {
    ++closed_;
    co_return;
  }

 private:
  std::deque<WebSocketMessage> messages_;
  int& closed_;
};

struct Got {
  std::string body;
  absl::Status status;
  int pieces = 0;
  int closed = 0;
};

/// @param finish_after that many pieces the answer is complete
Got ReadAll(std::vector<WebSocketMessage> messages, int finish_after = -1) {
  Runtime runtime({.threads = 1});
  Got got;
  auto task = [&]() -> asio::awaitable<void> {
    Scope scope(co_await asio::this_coro::executor);
    WebSocketAnswer answer;
    answer.headers.Add("Connect-Content-Encoding", "gzip");
    answer.socket = std::make_unique<ScriptedSocket>(std::move(messages), got.closed);
    MessageBody body(std::move(answer));
    EXPECT_EQ(body.status(), 200);
    EXPECT_EQ(body.headers().Get("connect-content-encoding"), "gzip");
    for (;;) {
      if (got.pieces == finish_after) body.Finish();
      auto piece = co_await body.Read(scope);
      got.status = piece.status();
      if (!piece.ok() || piece->empty()) co_return;
      got.body += *piece;
      ++got.pieces;
    }
  };
  asio::co_spawn(runtime.All().front(), task, asio::use_future).get();
  runtime.Stop();
  return got;
}

TEST(MessageBody, EnvelopesLieInMessagesAsTheyLike) {
  const std::string bytes = EncodeFrame(R"({"heartbeat":{}})") + EncodeFrame(R"({"done":{}})");
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    const Got got = ReadAll({{true, bytes.substr(0, cut)}, {true, ""}, {true, bytes.substr(cut)}});
    EXPECT_TRUE(got.status.ok()) << got.status;
    EXPECT_EQ(got.body, bytes) << cut;
  }
}

TEST(MessageBody, ACloseBeforeTheEndFrameIsABrokenAnswer) {
  EventDecoder decoder;
  std::vector<ChatEvent> events;
  const Got got = ReadAll({{true, EncodeFrame(R"({"heartbeat":{}})")}});
  EXPECT_TRUE(got.status.ok()) << got.status;
  EXPECT_TRUE(decoder.Feed(got.body, events).ok());
  EXPECT_EQ(ReasonOf(decoder.End(events)), Reason::REASON_UPSTREAM_BROKEN);
}

TEST(MessageBody, TextIsNotUnderstood) {
  const Got got = ReadAll({{true, "x"}, {false, "{}"}});
  EXPECT_EQ(got.body, "x");
  EXPECT_EQ(ReasonOf(got.status), Reason::REASON_UPSTREAM_CHANGED);
}

TEST(MessageBody, BehindACompleteAnswerTheSocketIsClosed) {
  const Got got = ReadAll({{true, "x"}, {true, "y"}}, 1);
  EXPECT_EQ(got.body, "x");
  EXPECT_EQ(got.closed, 1);
  EXPECT_TRUE(got.status.ok());
}

}  // namespace
}  // namespace switchyard::kimi
