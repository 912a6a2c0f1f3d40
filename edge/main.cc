#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "edge/edge_host.h"
#include "services/common/catalogue/catalogue.h"
#include "services/common/program/from_config.h"
#include "services/common/program/program.h"
#include "services/common/rpc/channel.h"

namespace switchyard {
namespace {

class Running final : public RunningProgram {
 public:
  static absl::StatusOr<std::unique_ptr<RunningProgram>> Start(const Config& config) {
    auto self = std::make_unique<Running>();
    auto identity = MeshIdentityFrom(config, SystemClock::Get());
    if (!identity.ok()) return identity.status();
    self->identity_ = *std::move(identity);
    std::map<std::string, std::shared_ptr<grpc::Channel>> backends;
    for (const ModelEntry& model : AllModels()) {
      const std::string platform(model.platform);
      const ProviderConfig& provider = config.providers.at(platform);
      if (provider.enabled && backends.count(platform) == 0)
        backends.emplace(platform, MakeChannel(provider.backend, self->identity_.get(), Resend::kOnce));
    }
    if (backends.empty())
      return absl::FailedPreconditionError("every platform is switched off in the configuration (providers.*.enabled)");
    self->runtime_ = std::make_unique<Runtime>(Runtime::Options{config.threads});
    self->chat_ = std::make_unique<ChatClient>(backends);
    auto edge = EdgeHost::Start(config, *self->runtime_, *self->chat_);
    if (!edge.ok()) return edge.status();
    self->edge_ = *std::move(edge);
    return self;
  }

  ~Running() override {
    edge_.reset();
    if (runtime_) runtime_->Stop();
    runtime_.reset();
  }

  std::string Greeting() const override { return edge_->Greeting(); }
  void Drain() override { edge_->Drain(); }
  void Finish(absl::Duration limit) override { edge_->Finish(limit); }
  void Abandon() override { edge_->Finish(absl::ZeroDuration()); }

 private:
  std::unique_ptr<MeshIdentity> identity_;
  std::unique_ptr<ChatClient> chat_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<EdgeHost> edge_;
};

}  // namespace
}  // namespace switchyard

int main(int argc, char** argv) {
  using namespace switchyard;  // NOLINT(google-build-using-namespace)
  return RunProgram(argc, argv,
                    {.name = "switchyard-edge",
                     .purpose = "Serves the OpenAI-compatible HTTP API in front of the providers' services.",
                     .listens = "where it serves HTTP (default 127.0.0.1:8000); port 0 picks a free one",
                     .set_listen = SetHttpListen,
                     .start = [](Config config) { return Running::Start(config); },
                     .serves_http = true,
                     .admin_port = 9090,
                     .check = EdgeHost::Check});
}
