#include "edge/chat_client.h"

#include <utility>

#include "services/common/async/task_group.h"
#include "services/common/catalogue/catalogue.h"
#include "services/common/status/reason.h"

namespace switchyard {

namespace asio = boost::asio;
using chat::v1::ChatService;
using chat::v1::ListModelsRequest;
using chat::v1::ListModelsResponse;

namespace {

constexpr absl::Duration kListLimit = absl::Seconds(5);

asio::awaitable<void> Ask(Scope& scope, CallContext context, ChatService::Stub& stub,
                          absl::StatusOr<ListModelsResponse>& answer) {
  Scope bounded(scope, kListLimit, MakeError(Reason::REASON_NO_BACKEND, "a provider service does not answer"));
  answer = co_await CallUnary<ListModelsResponse>(bounded, std::move(context), ListModelsRequest(),
                                                  [&stub](auto* client, auto* request, auto* out, auto done) {
                                                    stub.async()->ListModels(client, request, out, std::move(done));
                                                  });
}

}  // namespace

ChatClient::ChatClient(std::shared_ptr<grpc::Channel> all) {
  backends_.push_back({"", ChatService::NewStub(std::move(all))});
}

ChatClient::ChatClient(const std::map<std::string, std::shared_ptr<grpc::Channel>>& by_platform) {
  for (const auto& [platform, channel] : by_platform) backends_.push_back({platform, ChatService::NewStub(channel)});
}

std::unique_ptr<ChatClient::ChatCall> ChatClient::Chat(Scope& scope, const CallContext& context,
                                                       const chat::v1::ChatRequest& request) {
  ChatService::Stub* stub = backends_.front().stub.get();
  if (const ModelEntry* model = FindModel(request.model())) {
    for (const Backend& backend : backends_) {
      if (backend.platform == model->platform) stub = backend.stub.get();
    }
  }
  return ChatCall::Start(scope, context, [&](grpc::ClientContext* client, auto* reactor) {
    stub->async()->Chat(client, &request, reactor);
  });
}

asio::awaitable<absl::StatusOr<ListModelsResponse>> ChatClient::ListModels(Scope& scope, CallContext context) {
  std::vector<absl::StatusOr<ListModelsResponse>> answers(backends_.size());
  TaskGroup asking;
  for (size_t i = 0; i < backends_.size(); ++i)
    asking.Spawn(scope.executor(), Ask(scope, context, *backends_[i].stub, answers[i]));
  // Each of them ends by its own limit; what they refer to lives here.
  Scope all(scope.executor());
  co_await asking.Join(all);
  ListModelsResponse merged;
  bool any = false;
  for (auto& answer : answers) {
    if (!answer.ok()) continue;
    any = true;
    merged.MergeFrom(*answer);
  }
  if (!any) co_return scope.ended() ? scope.status() : answers.front().status();
  co_return merged;
}

}  // namespace switchyard
