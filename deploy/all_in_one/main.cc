// The whole relay in one process: the services of the mesh over gRPC's in-process channels, the same code as when they
// are programs of their own.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "deploy/all_in_one/accounts_command.h"
#include "deploy/all_in_one/health_command.h"
#include "deploy/all_in_one/keys_command.h"
#include "edge/edge_host.h"
#include "services/common/async/cpu_pool.h"
#include "services/common/async/runtime.h"
#include "services/common/http/observed_http.h"
#include "services/common/log/log.h"
#include "services/common/metrics/metrics.h"
#include "services/common/program/from_config.h"
#include "services/common/program/program.h"
#include "services/common/provider/chat_service.h"
#include "services/common/rpc/server_host.h"
#include "services/common/time/clock.h"
#include "services/common/time/random.h"
#include "services/deepseek/provider.h"
#include "services/doubao/provider.h"
#include "services/kimi/provider.h"
#include "services/metaso/provider.h"
#include "services/minimax/provider.h"
#include "services/qwen/provider.h"
#include "services/session/client/session_client.h"
#include "services/session/session_host.h"
#include "services/signing/client/signing_client.h"
#include "services/signing/signing_service.h"
#include "services/zhipu/provider.h"

namespace switchyard {
namespace {

// Clean-up that goes on when the last answer is out, and when somebody wants the process gone.
constexpr absl::Duration kCleanUpLimit = absl::Seconds(15);
constexpr absl::Duration kHurriedCleanUpLimit = absl::Milliseconds(500);

struct PlatformRow {
  const char* name;
  std::unique_ptr<Provider> (*make)(const Config& config, const ProviderTools& tools);
};
constexpr std::array kPlatforms = {
    PlatformRow{deepseek::kPlatform, &MakeProvider<deepseek::DeepSeekProvider>},
    PlatformRow{doubao::kPlatform, &MakeProvider<doubao::DoubaoProvider>},
    PlatformRow{metaso::kPlatform, &MakeProvider<metaso::MetasoProvider>},
    PlatformRow{minimax::kPlatform, &MakeProvider<minimax::MiniMaxProvider>},
    PlatformRow{kimi::kPlatform, &MakeProvider<kimi::KimiProvider>},
    PlatformRow{qwen::kPlatform, &MakeProvider<qwen::QwenProvider>},
    PlatformRow{zhipu::kPlatform, &MakeProvider<zhipu::ZhipuProvider>},
};

/// Members are made in the order of their declaration and ended in the opposite one.
class Relay final : public RunningProgram {
 public:
  static absl::StatusOr<std::unique_ptr<RunningProgram>> Start(const Config& config) {
    auto relay = std::make_unique<Relay>();
    auto identity = MeshIdentityFrom(config, SystemClock::Get());
    if (!identity.ok()) return identity.status();
    relay->identity_ = *std::move(identity);
    if (auto status = relay->StartServices(config); !status.ok()) return status;
    if (auto status = relay->StartChat(config); !status.ok()) return status;
    auto edge = EdgeHost::Start(config, *relay->runtime_, *relay->chat_client_);
    if (!edge.ok()) return edge.status();
    relay->edge_ = *std::move(edge);
    relay->chat_->StartCleanUps();
    return relay;
  }

  ~Relay() override {
    edge_.reset();
    if (chat_host_) chat_host_->Shutdown(absl::ZeroDuration());
    // What the last turns opened on the platforms is undone with the other services still there.
    if (chat_) chat_->FinishCleanUps(hurried_ ? kHurriedCleanUpLimit : kCleanUpLimit);
    if (session_host_) session_host_->Shutdown(absl::ZeroDuration());
    if (signing_host_) signing_host_->Shutdown(absl::ZeroDuration());
    sign_queue_ = Metrics::Watch();
    pool_.reset();
    if (runtime_) runtime_->Stop();
    if (http_) http_->CloseIdle();  // kept connections belong to the loops, and those go first
    chat_host_.reset();
    chat_.reset();
    session_host_.reset();
    sessions_.reset();
    signing_host_.reset();
  }

  std::string Greeting() const override {
    return absl::StrCat(edge_->Greeting(), "\nserving gRPC (switchyard.chat.v1.ChatService) on ",
                        chat_host_->address());
  }
  void Drain() override {
    edge_->Drain();
    chat_host_->Drain();
  }
  void Finish(absl::Duration limit) override {
    const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(limit);
    edge_->Finish(limit);
    chat_host_->Shutdown(std::max(absl::FromChrono(until - std::chrono::steady_clock::now()), absl::ZeroDuration()));
  }
  void Abandon() override {
    hurried_ = true;
    chat_->EndTurns();
  }

 private:
  absl::Status StartServices(const Config& config) {
    auto http = MakeHttpClient(HttpClientOptionsFrom(config));
    if (!http.ok()) return http.status();
    http_ = *std::move(http);
    runtime_ = std::make_unique<Runtime>(Runtime::Options{config.threads});
    pool_ = std::make_unique<CpuPool>(CpuPool::Options{config.signing.threads, config.signing.queue_depth});
    sign_queue_ = Metrics::Get().WatchSignQueue([pool = pool_.get()] { return pool->load(); });
    Metrics::Get().ShowSigning();
    signing_ = std::make_unique<SigningService>(*runtime_, *pool_, SystemClock::Get());
    auto signing_host = ServerHost::Start(HostOptionsFrom(config, "", nullptr), {signing_.get()});
    if (!signing_host.ok()) return signing_host.status();
    signing_host_ = *std::move(signing_host);
    signing_client_ = std::make_unique<SigningClient>(signing_host_->InProcessChannel());
    auto sessions = SessionHost::Start(config, *runtime_, *http_, *signing_client_);
    if (!sessions.ok()) return sessions.status();
    sessions_ = *std::move(sessions);
    // On its socket, too, so that `switchyard accounts` can ask; the relay itself does not need it.
    auto session_host =
        ServerHost::Start(HostOptionsFrom(config, config.SessionListen(), identity_.get()), {&sessions_->service()});
    if (!session_host.ok()) {
      LogWarning("no_session_socket", {{"error", session_host.status().message()}});
      session_host = ServerHost::Start(HostOptionsFrom(config, "", nullptr), {&sessions_->service()});
    }
    if (!session_host.ok()) return session_host.status();
    session_host_ = *std::move(session_host);
    session_client_ = std::make_unique<SessionClient>(session_host_->InProcessChannel());
    return absl::OkStatus();
  }

  absl::Status StartChat(const Config& config) {
    ChatService::Options options;
    options.reasoning_format = ReasoningFormatOf(config);
    options.ignore_unsupported = config.server.ignore_unsupported;
    chat_ = std::make_unique<ChatService>(ChatService::Dependencies{*runtime_, *session_client_, *signing_client_,
                                                                    *http_, SystemClock::Get(), SystemRandom::Get()},
                                          options);
    for (const PlatformRow& platform : kPlatforms) {
      const ProviderConfig& provider = config.providers.at(platform.name);
      if (!provider.enabled) continue;
      observed_http_.push_back(std::make_unique<ObservedHttpClient>(*http_, platform.name));
      const ProviderTools tools{*observed_http_.back(), *signing_client_, SystemClock::Get(), SystemRandom::Get()};
      chat_->Add(platform.make(config, tools), provider.max_in_flight);
    }
    auto host = ServerHost::Start(HostOptionsFrom(config, config.chat_listen, identity_.get()), {chat_.get()});
    if (!host.ok()) return host.status();
    chat_host_ = *std::move(host);
    chat_client_ = std::make_unique<ChatClient>(chat_host_->InProcessChannel());
    return absl::OkStatus();
  }

  std::atomic<bool> hurried_{false};
  std::unique_ptr<MeshIdentity> identity_;
  std::unique_ptr<HttpClient> http_;
  std::vector<std::unique_ptr<HttpClient>> observed_http_;  // one a platform, outside of turns
  std::unique_ptr<SessionClient> session_client_;
  std::unique_ptr<SigningClient> signing_client_;
  std::unique_ptr<ChatClient> chat_client_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<CpuPool> pool_;
  Metrics::Watch sign_queue_;
  std::unique_ptr<SigningService> signing_;
  std::unique_ptr<ServerHost> signing_host_;
  std::unique_ptr<SessionHost> sessions_;
  std::unique_ptr<ServerHost> session_host_;
  std::unique_ptr<ChatService> chat_;
  std::unique_ptr<ServerHost> chat_host_;
  std::unique_ptr<EdgeHost> edge_;
};

}  // namespace
}  // namespace switchyard

int main(int argc, char** argv) {
  using namespace switchyard;  // NOLINT(google-build-using-namespace)
  SwitchOffCores();            // the commands read tokens, too
  if (argc > 1 && absl::string_view(argv[1]) == "accounts") return AccountsCommand(argc - 1, argv + 1);
  if (argc > 1 && absl::string_view(argv[1]) == "health") return HealthCommand(argc - 1, argv + 1);
  if (argc > 1 && absl::string_view(argv[1]) == "keys") return KeysCommand(argc - 1, argv + 1);
  return RunProgram(argc, argv,
                    {.name = "switchyard",
                     .purpose = "One OpenAI-compatible endpoint in front of your own accounts on Chinese LLM "
                                "platforms; the whole relay in one process. \"switchyard accounts\" checks the "
                                "accounts, \"switchyard keys\" makes API keys, "
                                "\"switchyard health\" asks whether it is ready.",
                     .listens = "where it serves HTTP (default 127.0.0.1:8000); port 0 picks a free one",
                     .set_listen = SetHttpListen,
                     .start = [](Config config) { return Relay::Start(config); },
                     .serves_http = true,
                     .admin_port = kAdminPort,
                     .check = EdgeHost::Check});
}
