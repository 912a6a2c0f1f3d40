#include "services/common/provider/provider_main.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/common/async/runtime.h"
#include "services/common/config/platforms.h"
#include "services/common/http/observed_http.h"
#include "services/common/program/from_config.h"
#include "services/common/program/program.h"
#include "services/common/provider/chat_service.h"
#include "services/common/rpc/channel.h"
#include "services/common/rpc/server_host.h"
#include "services/common/time/random.h"

namespace switchyard {
namespace {

// How long an abandoned turn's clean-up may take.
constexpr absl::Duration kHurry = absl::Milliseconds(800);
constexpr absl::Duration kCleanUpLimit = absl::Seconds(15);
// 9021 for the platform at 8021.
constexpr int kAdminPortOffset = 1000;

class Running final : public RunningProgram {
 public:
  static absl::StatusOr<std::unique_ptr<RunningProgram>> Start(const ProviderProgram& spec, const Config& config) {
    auto self = std::make_unique<Running>();
    auto identity = MeshIdentityFrom(config, SystemClock::Get());
    if (!identity.ok()) return identity.status();
    self->identity_ = *std::move(identity);
    auto http = MakeHttpClient(HttpClientOptionsFrom(config));
    if (!http.ok()) return http.status();
    self->http_ = *std::move(http);
    self->runtime_ = std::make_unique<Runtime>(Runtime::Options{config.threads});
    self->sessions_ =
        std::make_unique<SessionClient>(MakeWatchfulChannel(config.SessionTarget(), self->identity_.get()));
    self->signing_ = std::make_unique<SigningClient>(MakeChannel(config.signing.target, self->identity_.get()));
    ChatService::Options options;
    options.reasoning_format = ReasoningFormatOf(config);
    options.ignore_unsupported = config.server.ignore_unsupported;
    self->chat_ =
        std::make_unique<ChatService>(ChatService::Dependencies{*self->runtime_, *self->sessions_, *self->signing_,
                                                                *self->http_, SystemClock::Get(), SystemRandom::Get()},
                                      options);
    self->observed_http_ = std::make_unique<ObservedHttpClient>(*self->http_, spec.platform);
    const ProviderTools tools{*self->observed_http_, *self->signing_, SystemClock::Get(), SystemRandom::Get()};
    self->chat_->Add(spec.make(config, tools), config.providers.at(spec.platform).max_in_flight);
    auto host = ServerHost::Start(
        HostOptionsFrom(config, config.providers.at(spec.platform).listen, self->identity_.get()), {self->chat_.get()});
    if (!host.ok()) return host.status();
    self->host_ = *std::move(host);
    self->chat_->StartCleanUps();
    return self;
  }

  ~Running() override {
    if (host_) host_->Shutdown(absl::ZeroDuration());
    if (chat_) chat_->FinishCleanUps(hurried_ ? kHurry : kCleanUpLimit);
    if (runtime_) runtime_->Stop();
    if (http_) http_->CloseIdle();  // kept connections belong to the loops, and those go first
    host_.reset();
    chat_.reset();
    runtime_.reset();
  }

  std::string Greeting() const override { return absl::StrCat("serving gRPC on ", host_->address()); }
  void Drain() override { host_->Drain(); }
  void Finish(absl::Duration limit) override { host_->Shutdown(limit); }
  void Abandon() override {
    hurried_ = true;
    chat_->EndTurns();
  }

 private:
  std::unique_ptr<MeshIdentity> identity_;
  std::unique_ptr<HttpClient> http_;
  std::unique_ptr<HttpClient> observed_http_;  // outside of turns, which have one of their own
  std::unique_ptr<SessionClient> sessions_;
  std::unique_ptr<SigningClient> signing_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<ChatService> chat_;
  std::unique_ptr<ServerHost> host_;
  std::atomic<bool> hurried_{false};
};

}  // namespace

int ProviderMain(int argc, char** argv, const ProviderProgram& program) {
  ProgramSpec spec;
  spec.name = absl::StrCat("switchyard-", program.platform);
  spec.purpose = absl::StrCat("Serves switchyard.chat.v1.ChatService for the models of ", program.platform, ".");
  spec.listens = "where it serves gRPC; port 0 picks a free one";
  spec.set_listen = [&](Config& config, const std::string& listen) {
    return SetGrpcListen(config.providers.at(program.platform).listen, listen);
  };
  for (const PlatformDefaults& platform : Platforms()) {
    if (platform.name == program.platform) spec.admin_port = static_cast<uint16_t>(platform.port + kAdminPortOffset);
  }
  spec.start = [&](Config config) { return Running::Start(program, config); };
  return RunProgram(argc, argv, spec);
}

}  // namespace switchyard
