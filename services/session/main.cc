#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "services/common/program/from_config.h"
#include "services/common/program/program.h"
#include "services/common/rpc/channel.h"
#include "services/common/rpc/server_host.h"
#include "services/session/session_host.h"

namespace switchyard {
namespace {

// A holder that has lost its stream tries again at most this much later, and then needs a moment.
constexpr absl::Duration kResumeFirst = absl::Seconds(2);

class Running final : public RunningProgram {
 public:
  static absl::StatusOr<std::unique_ptr<RunningProgram>> Start(const Config& config) {
    auto self = std::make_unique<Running>();
    auto identity = MeshIdentityFrom(config, SystemClock::Get());
    if (!identity.ok()) return identity.status();
    self->identity_ = *std::move(identity);
    auto http = MakeHttpClient(HttpClientOptionsFrom(config));
    if (!http.ok()) return http.status();
    self->http_ = *std::move(http);
    self->runtime_ = std::make_unique<Runtime>(Runtime::Options{config.threads});
    self->signing_ = std::make_unique<SigningClient>(MakeChannel(config.signing.target, self->identity_.get()));
    SessionHostOptions options;
    options.contact = [raw = self.get()](bool good) { raw->Contact(good); };
    options.resume_first = kResumeFirst;
    options.stop = EndAsked;
    auto sessions = SessionHost::StartPatiently(config, *self->runtime_, *self->http_, *self->signing_, options);
    if (!sessions.ok()) return sessions.status();
    self->sessions_ = *std::move(sessions);
    auto host = ServerHost::Start(HostOptionsFrom(config, config.SessionListen(), self->identity_.get()),
                                  {&self->sessions_->service()});
    if (!host.ok()) return host.status();
    absl::MutexLock lock(&self->mutex_);
    self->host_ = *std::move(host);
    self->host_->SetServing(self->contact_);
    return self;
  }

  ~Running() override {
    if (host_) host_->Shutdown(absl::ZeroDuration());
    if (runtime_) runtime_->Stop();
    if (http_) http_->CloseIdle();  // kept connections belong to the loops, and those go first
    {
      absl::MutexLock lock(&mutex_);
      host_.reset();
    }
    sessions_.reset();
  }

  std::string Greeting() const override { return absl::StrCat("serving gRPC on ", host_->address()); }
  void Drain() override {
    host_->Drain();
    sessions_->service().Leave();
  }
  void Finish(absl::Duration limit) override {
    // What is lent goes on at another replica; where there is none, turns that run are waited for.
    sessions_->service().HandOver();
    host_->Shutdown(limit);
  }
  void Abandon() override {}  // the destructor ends the leases; their holders have what they need

 private:
  void Contact(bool good) {
    absl::MutexLock lock(&mutex_);
    contact_ = good;
    if (host_) host_->SetServing(good);
  }

  absl::Mutex mutex_;
  bool contact_ ABSL_GUARDED_BY(mutex_) = true;  // with a store that is shared
  std::unique_ptr<MeshIdentity> identity_;
  std::unique_ptr<HttpClient> http_;
  std::unique_ptr<SigningClient> signing_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<SessionHost> sessions_;
  std::unique_ptr<ServerHost> host_;
};

}  // namespace
}  // namespace switchyard

int main(int argc, char** argv) {
  using namespace switchyard;  // NOLINT(google-build-using-namespace)
  return RunProgram(
      argc, argv,
      {.name = "switchyard-session",
       .purpose =
           "Holds the accounts: lends them to chat turns, watches their health, remembers what is to be cleaned up.",
       .listens = "where it serves gRPC (default: a Unix socket in the state directory)",
       .set_listen = [](Config& config,
                        const std::string& listen) { return SetGrpcListen(config.session.listen, listen); },
       .start = [](Config config) { return Running::Start(config); },
       .keeps_store = true,
       .admin_port = 9012,
       .check = SessionHost::CheckStore});
}
