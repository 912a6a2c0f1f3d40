// SigningService: jobs in, results out, in any order. Stateless; the work runs on a bounded pool.
//
//   SigningService service(runtime, pool, SystemClock::Get());
//   auto host = ServerHost::Start({.listen = "127.0.0.1:8011"}, {&service});
//   … at exit, once no caller may start anything new: service.Stop(); (*host)->Shutdown(grace);
#pragma once

#include <atomic>

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

  /// From now on new streams and new jobs are refused with UNAVAILABLE; jobs that are open are finished.
  void Stop() { stopping_ = true; }

  grpc::ServerBidiReactor<signing::v1::SignRequest, signing::v1::SignResponse>* Sign(
      grpc::CallbackServerContext* context) override;

 private:
  Runtime& runtime_;
  CpuPool& pool_;
  const Clock& clock_;
  std::atomic<bool> stopping_{false};
};

}  // namespace switchyard
