// The edge's way to the providers: which service answers for a model, and its calls.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "boost/asio/awaitable.hpp"
#include "grpcpp/channel.h"
#include "services/common/async/scope.h"
#include "services/common/rpc/call_context.h"
#include "services/common/rpc/client_call.h"
#include "switchyard/chat/v1/chat.grpc.pb.h"

namespace switchyard {

/// Thread-safe. Outlives its calls.
class ChatClient {
 public:
  using ChatCall = ClientReader<chat::v1::ChatEvent>;

  /// One service for every model.
  explicit ChatClient(std::shared_ptr<grpc::Channel> all);
  /// One for each platform, by name; not empty.
  explicit ChatClient(const std::map<std::string, std::shared_ptr<grpc::Channel>>& by_platform);

  /// Starts a turn. A model that no service answers for goes to the first: it knows what to say. `scope` outlives the
  /// call.
  std::unique_ptr<ChatCall> Chat(Scope& scope, const CallContext& context, const chat::v1::ChatRequest& request);

  /// The models of every service that answers in time. UNAVAILABLE if none does.
  boost::asio::awaitable<absl::StatusOr<chat::v1::ListModelsResponse>> ListModels(Scope& scope, CallContext context);

 private:
  struct Backend {
    std::string platform;  // empty: all
    std::unique_ptr<chat::v1::ChatService::Stub> stub;
  };
  std::vector<Backend> backends_;
};

}  // namespace switchyard
