// The only door to the signing service.
//
//   SigningClient client(channel);
//   auto stream = client.Open(scope, context);                  // one a chat turn, opened when first needed
//   auto proof = co_await stream->SolveDeepSeek(std::move(challenge), deadline);
//
// SigningClient is thread-safe; a SignStream lives on its scope's executor, and destroying it cancels what it runs.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "grpcpp/channel.h"
#include "services/common/async/scope.h"
#include "services/common/rpc/call_context.h"
#include "switchyard/signing/v1/signing.grpc.pb.h"

namespace switchyard {

class SignStream {
 public:
  virtual ~SignStream() = default;

  /// One job at a time. Errors, with reasons: UPSTREAM_CHANGED for a challenge that is malformed, SIGNATURE_REFUSED for
  /// one without a solution or expired, OVERLOADED, DEADLINE, INTERNAL; NO_BACKEND once the service could not be
  /// reached for 3 s; the scope's own.
  /// @param deadline the proof is worthless after it
  virtual boost::asio::awaitable<absl::StatusOr<signing::v1::DeepSeekProof>> SolveDeepSeek(
      signing::v1::DeepSeekProofOfWork challenge, absl::Time deadline) = 0;

  /// Signatures of requests; 10 s at most. Errors as above.
  virtual boost::asio::awaitable<absl::StatusOr<signing::v1::ZhipuSignatureResult>> SignZhipu(
      signing::v1::ZhipuSignature input) = 0;
  virtual boost::asio::awaitable<absl::StatusOr<signing::v1::MiniMaxSignatureResult>> SignMiniMax(
      signing::v1::MiniMaxSignature input) = 0;
};

class SigningClient {
 public:
  explicit SigningClient(std::shared_ptr<grpc::Channel> channel);

  /// Free: the call begins with the first job. Client and scope outlive the stream.
  std::unique_ptr<SignStream> Open(Scope& scope, const CallContext& context);

 private:
  std::unique_ptr<signing::v1::SigningService::Stub> stub_;
};

}  // namespace switchyard
