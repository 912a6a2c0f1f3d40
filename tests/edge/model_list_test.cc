// Who only asks which models there are costs the providers one question a second, whoever else asks.
#include "edge/model_list.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/rpc/server_host.h"
#include "tests/support/fake_clock.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;
using chat::v1::ListModelsRequest;
using chat::v1::ListModelsResponse;

/// Answers when it is let.
class Provider final : public chat::v1::ChatService::CallbackService {
 public:
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context, const ListModelsRequest*,
                                       ListModelsResponse* response) override {
    ++asked;
    auto* reactor = context->DefaultReactor();
    open_.WaitForNotification();
    response->add_models()->set_id("a");
    reactor->Finish(fails ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "away") : grpc::Status::OK);
    return reactor;
  }
  void Open() { open_.Notify(); }

  std::atomic<int> asked{0};
  std::atomic<bool> fails{false};

 private:
  absl::Notification open_;
};

class ModelListTest : public ::testing::Test {
 protected:
  ~ModelListTest() override {
    host_->Shutdown(absl::ZeroDuration());
    runtime_.Stop();
  }

  std::future<absl::StatusOr<ListModelsResponse>> Get() {
    auto ask = [this]() -> asio::awaitable<absl::StatusOr<ListModelsResponse>> {
      Scope scope(co_await asio::this_coro::executor, std::chrono::steady_clock::now() + std::chrono::seconds(20));
      const CallContext context;
      ++asking_;
      co_return co_await models_.Get(scope, context);
    };
    return asio::co_spawn(runtime_.Next(), ask, asio::use_future);
  }

  Provider provider_;
  std::unique_ptr<ServerHost> host_ = *ServerHost::Start({}, {&provider_});
  ChatClient chat_{host_->InProcessChannel()};
  FakeClock clock_;
  Runtime runtime_{{.threads = 2}};
  ModelList models_{chat_, clock_};
  std::atomic<int> asking_{0};
};

TEST_F(ModelListTest, ThoseWhoAskTogetherGetOneAnswer) {
  std::vector<std::future<absl::StatusOr<ListModelsResponse>>> answers;
  for (int i = 0; i < 20; ++i) answers.push_back(Get());
  ASSERT_TRUE(Eventually([this] { return asking_ == 20 && provider_.asked >= 1; }));
  provider_.Open();
  for (auto& answer : answers) {
    const auto models = answer.get();
    ASSERT_TRUE(models.ok()) << models.status();
    EXPECT_EQ(models->models_size(), 1);
  }
  EXPECT_EQ(provider_.asked, 1);
}

TEST_F(ModelListTest, AnAnswerIsGoodForASecond) {
  provider_.Open();
  EXPECT_TRUE(Get().get().ok());
  clock_.Advance(absl::Milliseconds(900));
  EXPECT_TRUE(Get().get().ok());
  EXPECT_EQ(provider_.asked, 1);
  provider_.fails = true;
  clock_.Advance(absl::Milliseconds(200));
  EXPECT_EQ(Get().get().status().code(), absl::StatusCode::kUnavailable);
  const int asked = provider_.asked;
  provider_.fails = false;
  EXPECT_FALSE(Get().get().ok()) << "a failure costs no more questions than an answer";
  EXPECT_EQ(provider_.asked, asked);
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(Get().get().ok());
}

}  // namespace
}  // namespace switchyard
