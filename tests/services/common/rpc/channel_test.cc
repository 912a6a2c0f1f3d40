// What channels do about replicas that fail: over real sockets, against services that fail on purpose.
#include "services/common/rpc/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "services/common/async/event.h"
#include "services/common/async/runtime.h"
#include "services/common/rpc/server_call.h"
#include "services/common/rpc/server_host.h"
#include "switchyard/chat/v1/chat.grpc.pb.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using chat::v1::ChatEvent;
using chat::v1::ChatRequest;
using ::testing::HasSubstr;

using Body = std::function<asio::awaitable<absl::Status>(StreamWriter<ChatEvent>&)>;

asio::awaitable<absl::Status> Answer(StreamWriter<ChatEvent>& out) {
  ChatEvent event;
  event.mutable_text()->set_text("here");
  out.Send(std::move(event));
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> Unavailable(StreamWriter<ChatEvent>&) { co_return absl::UnavailableError("not now"); }

asio::awaitable<absl::Status> HangUntilCancelled(StreamWriter<ChatEvent>& out) {
  Event never(out.scope().executor());
  co_await never.Wait(out.scope());
  co_return out.scope().status();
}

/// One replica of a chat service, which counts its calls.
class Replica final : public chat::v1::ChatService::CallbackService {
 public:
  Replica(Runtime& runtime, Body body) : runtime_(runtime), body_(std::move(body)) {
    auto host = ServerHost::Start({.listen = "127.0.0.1:0"}, {this});
    EXPECT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
  }
  ~Replica() override { host_->Shutdown(absl::ZeroDuration()); }

  grpc::ServerWriteReactor<ChatEvent>* Chat(grpc::CallbackServerContext* context, const ChatRequest*) override {
    ++calls;
    return ServeStream<ChatEvent>(runtime_.Next(), context, body_);
  }
  const std::string& address() const { return host_->address(); }
  ServerHost& host() { return *host_; }

  std::atomic<int> calls{0};

 private:
  Runtime& runtime_;
  const Body body_;
  std::unique_ptr<ServerHost> host_;
};

class ChannelTest : public ::testing::Test {
 protected:
  ~ChannelTest() override {
    replicas_.clear();
    runtime_.Stop();
  }

  Replica& Start(Body body) {
    replicas_.push_back(std::make_unique<Replica>(runtime_, std::move(body)));
    return *replicas_.back();
  }

  /// To all the replicas, as one that knows of several would.
  std::shared_ptr<grpc::Channel> Balanced(Resend resend) {
    grpc::ChannelArguments arguments = ChannelSettings();
    arguments.SetServiceConfigJSON(ServiceConfig(true, resend));
    const std::string target = absl::StrCat(
        "ipv4:",
        absl::StrJoin(replicas_, ",", [](std::string* out, const auto& replica) { *out += replica->address(); }));
    return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  }

  static grpc::Status Call(
      const std::shared_ptr<grpc::Channel>& channel,
      const std::function<void(const ChatEvent&)>& seen = [](const ChatEvent&) {}) {
    auto stub = chat::v1::ChatService::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto reader = stub->Chat(&context, ChatRequest());
    for (ChatEvent event; reader->Read(&event);) seen(event);
    return reader->Finish();
  }

  Runtime runtime_{Runtime::Options{1}};
  std::vector<std::unique_ptr<Replica>> replicas_;
};

TEST_F(ChannelTest, WhatWasNotTakenIsSentOnceMore) {
  Replica& only = Start([](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    static std::atomic<int> calls{0};
    if (++calls == 1) return Unavailable(out);
    return Answer(out);
  });
  EXPECT_TRUE(Call(MakeChannel(only.address(), nullptr, Resend::kOnce)).ok());
  EXPECT_EQ(only.calls, 2);
}

TEST_F(ChannelTest, ALongConversationToo) {
  std::atomic<int> calls{0};
  Replica& only = Start([&calls](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    if (++calls == 1) return Unavailable(out);
    return Answer(out);
  });
  ChatRequest request;
  request.add_messages()->add_parts()->set_text(std::string(2 * 1024 * 1024, 'x'));
  auto stub = chat::v1::ChatService::NewStub(MakeChannel(only.address(), nullptr, Resend::kOnce));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  auto reader = stub->Chat(&context, request);
  for (ChatEvent event; reader->Read(&event);) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(calls, 2);
}

TEST_F(ChannelTest, TwiceIsEnough) {
  Replica& only = Start(Unavailable);
  EXPECT_EQ(Call(MakeChannel(only.address(), nullptr, Resend::kOnce)).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(only.calls, 2);
}

TEST_F(ChannelTest, NothingIsSentAgainUnlessItIsAskedFor) {
  Replica& only = Start(Unavailable);
  EXPECT_EQ(Call(MakeChannel(only.address())).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(only.calls, 1);
}

TEST_F(ChannelTest, TheOtherSideForbidsIt) {
  Replica& only = Start([](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    out.ForbidRetry();
    co_return absl::UnavailableError("it may have happened");
  });
  const grpc::Status status = Call(MakeChannel(only.address(), nullptr, Resend::kOnce));
  EXPECT_THAT(status.error_message(), HasSubstr("may have happened"));
  EXPECT_EQ(only.calls, 1);
}

TEST_F(ChannelTest, WhatWasAnsweredInPartIsNotSentAgain) {
  Replica& only = Start([](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    const absl::Status answered = co_await Answer(out);
    if (!answered.ok()) co_return answered;
    co_return absl::UnavailableError("in the middle");
  });
  int events = 0;
  const grpc::Status status =
      Call(MakeChannel(only.address(), nullptr, Resend::kOnce), [&events](const ChatEvent&) { ++events; });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(events, 1);
  EXPECT_EQ(only.calls, 1);
}

/// Ends the replica that has the call, without a status, as a process that is killed would.
grpc::Status CallWhileTheFirstDies(Replica& first, Replica& second, const std::function<grpc::Status()>& call) {
  std::thread killer([&] {
    EXPECT_TRUE(Eventually([&] { return first.calls + second.calls > 0; }));
    (first.calls > 0 ? first : second).host().Shutdown(absl::ZeroDuration());
  });
  const grpc::Status status = call();
  killer.join();
  return status;
}

TEST_F(ChannelTest, AReplicaThatDiesBeforeItActedIsReplaced) {
  std::atomic<int> calls{0};
  const Body body = [&calls](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    if (++calls == 1) return HangUntilCancelled(out);
    return Answer(out);
  };
  Replica& first = Start(body);
  Replica& second = Start(body);
  const auto channel = Balanced(Resend::kOnce);
  EXPECT_TRUE(CallWhileTheFirstDies(first, second, [&] { return Call(channel); }).ok());
  EXPECT_EQ(calls, 2);
}

TEST_F(ChannelTest, AReplicaThatDiesAfterItMayHaveActedIsNot) {
  std::atomic<int> calls{0};
  const Body body = [&calls](StreamWriter<ChatEvent>& out) -> asio::awaitable<absl::Status> {
    out.ForbidRetry();
    if (++calls == 1) return HangUntilCancelled(out);
    return Answer(out);
  };
  Replica& first = Start(body);
  Replica& second = Start(body);
  const auto channel = Balanced(Resend::kOnce);
  EXPECT_FALSE(CallWhileTheFirstDies(first, second, [&] { return Call(channel); }).ok());
  EXPECT_EQ(calls, 1);
}

TEST_F(ChannelTest, CallsGoRound) {
  Replica& first = Start(Answer);
  Replica& second = Start(Answer);
  const auto channel = Balanced(Resend::kOnce);
  for (int i = 0; i < 200 && (first.calls < 5 || second.calls < 5); ++i) EXPECT_TRUE(Call(channel).ok());
  EXPECT_GE(first.calls, 5);
  EXPECT_GE(second.calls, 5);
}

TEST_F(ChannelTest, OneThatIsAboutToStopGetsNoNewCalls) {
  Replica& leaving = Start(Answer);
  Replica& staying = Start(Answer);
  const auto channel = Balanced(Resend::kOnce);
  while (leaving.calls == 0 || staying.calls == 0) ASSERT_TRUE(Call(channel).ok());
  leaving.host().Drain();
  // The word takes a moment to come; after it, everything goes to the other.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (int in_a_row = 0; in_a_row < 20 && std::chrono::steady_clock::now() < until;) {
    const int before = leaving.calls;
    ASSERT_TRUE(Call(channel).ok()) << "it still serves whom it is reached by";
    in_a_row = leaving.calls == before ? in_a_row + 1 : 0;
    if (in_a_row == 20) return;
  }
  FAIL() << "calls still go to the replica that is about to stop";
}

TEST_F(ChannelTest, OneThatKeepsFailingIsLeftAlone) {
  Replica& failing =
      Start([](StreamWriter<ChatEvent>&) -> asio::awaitable<absl::Status> { co_return absl::InternalError("broken"); });
  Start(Answer);
  Start(Answer);
  const auto channel = Balanced(Resend::kOnce);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (int in_a_row = 0; std::chrono::steady_clock::now() < until;) {
    const int before = failing.calls;
    Call(channel);
    in_a_row = failing.calls == before ? in_a_row + 1 : 0;
    if (in_a_row == 30) return;
  }
  FAIL() << "calls still go to the replica that fails them all";
}

}  // namespace
}  // namespace switchyard
