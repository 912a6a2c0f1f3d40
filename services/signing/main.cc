#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/common/async/cpu_pool.h"
#include "services/common/async/runtime.h"
#include "services/common/metrics/metrics.h"
#include "services/common/program/from_config.h"
#include "services/common/program/program.h"
#include "services/common/rpc/server_host.h"
#include "services/common/time/clock.h"
#include "services/signing/signing_service.h"

namespace switchyard {
namespace {

class Running final : public RunningProgram {
 public:
  static absl::StatusOr<std::unique_ptr<RunningProgram>> Start(const Config& config) {
    auto self = std::make_unique<Running>();
    auto identity = MeshIdentityFrom(config, SystemClock::Get());
    if (!identity.ok()) return identity.status();
    self->identity_ = *std::move(identity);
    self->runtime_ = std::make_unique<Runtime>(Runtime::Options{config.threads});
    self->pool_ = std::make_unique<CpuPool>(CpuPool::Options{config.signing.threads, config.signing.queue_depth});
    self->queue_ = Metrics::Get().WatchSignQueue([pool = self->pool_.get()] { return pool->load(); });
    Metrics::Get().ShowSigning();
    self->service_ = std::make_unique<SigningService>(*self->runtime_, *self->pool_, SystemClock::Get());
    auto host = ServerHost::Start(HostOptionsFrom(config, config.signing.listen, self->identity_.get()),
                                  {self->service_.get()});
    if (!host.ok()) return host.status();
    self->host_ = *std::move(host);
    return self;
  }

  ~Running() override {
    if (host_) host_->Shutdown(absl::ZeroDuration());
    queue_ = Metrics::Watch();
    pool_.reset();
    if (runtime_) runtime_->Stop();
    host_.reset();
    service_.reset();
  }

  std::string Greeting() const override { return absl::StrCat("serving gRPC on ", host_->address()); }
  void Drain() override { host_->Drain(); }
  void Finish(absl::Duration limit) override {
    service_->Stop();
    host_->Shutdown(limit);
  }
  // Whoever waits for work asks another replica, or again.
  void Abandon() override { service_->Stop(); }

 private:
  std::unique_ptr<MeshIdentity> identity_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<CpuPool> pool_;
  Metrics::Watch queue_;
  std::unique_ptr<SigningService> service_;
  std::unique_ptr<ServerHost> host_;
};

}  // namespace
}  // namespace switchyard

int main(int argc, char** argv) {
  using namespace switchyard;  // NOLINT(google-build-using-namespace)
  return RunProgram(
      argc, argv,
      {.name = "switchyard-signing",
       .purpose = "Computes proofs of work and signatures for the platforms. Stateless: any number of replicas.",
       .listens = "where it serves gRPC (default 127.0.0.1:8011); port 0 picks a free one",
       .set_listen = [](Config& config,
                        const std::string& listen) { return SetGrpcListen(config.signing.listen, listen); },
       .start = [](Config config) { return Running::Start(config); },
       .admin_port = 9011});
}
