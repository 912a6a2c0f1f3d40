// SigningService: jobs in, results out, in any order. Stateless; the work runs on a bounded pool.
#pragma once

#include "grpcpp/support/server_callback.h"
#include "services/common/async/cpu_pool.h"
#include "services/common/async/runtime.h"
#include "services/common/time/clock.h"
#include "switchyard/signing/v1/signing.grpc.pb.h"

namespace switchyard {

/// Thread-safe. Runtime, pool and clock outlive it; the pool must have been destroyed before the runtime stops.
class SigningService final : public signing::v1::SigningService::CallbackService {
 public:
  SigningService(Runtime& runtime, CpuPool& pool, const Clock& clock) : runtime_(runtime), pool_(pool), clock_(clock) {}

  grpc::ServerBidiReactor<signing::v1::SignRequest, signing::v1::SignResponse>* Sign(grpc::CallbackServerContext* context) override;

 private:
  Runtime& runtime_;
  CpuPool& pool_;
  const Clock& clock_;
};

}  // namespace switchyard
