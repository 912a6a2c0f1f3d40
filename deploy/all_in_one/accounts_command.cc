#include "deploy/all_in_one/accounts_command.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "deploy/all_in_one/account_table.h"
#include "deploy/all_in_one/command_line.h"
#include "grpcpp/client_context.h"
#include "services/common/async/cpu_pool.h"
#include "services/common/async/runtime.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/log/log.h"
#include "services/common/program/from_config.h"
#include "services/common/rpc/channel.h"
#include "services/common/rpc/server_host.h"
#include "services/common/time/clock.h"
#include "services/session/session_host.h"
#include "services/signing/client/signing_client.h"
#include "services/signing/signing_service.h"
#include "switchyard/session/v1/session.grpc.pb.h"

namespace switchyard {
namespace {

using session::v1::CheckAccountResponse;
using session::v1::ListAccountsResponse;
using Stub = session::v1::SessionService::Stub;

constexpr char kHelp[] =
    "Usage: switchyard accounts [--config FILE] [--env-file FILE]\n\n"
    "Asks every configured account's platform whether its credential is good, and prints what is and what to do.\n"
    "Exit status: 0 if every account is well, 1 if one is not or there is none, 2 for bad flags or configuration.\n\n"
    "  --config FILE     configuration (default: config.yaml, if there is one)\n"
    "  --env-file FILE   accounts and overrides (default: .env, if there is one)\n"
    "  --help            this text\n";

constexpr int kNotWell = 1;
// A relay of this machine answers at once or is not there. One elsewhere may be about to start, or to be replaced. A
// check asks a platform, which may be slow.
constexpr auto kListLimit = std::chrono::seconds(5);
constexpr auto kRemoteListLimit = std::chrono::seconds(30);
constexpr auto kCheckLimit = std::chrono::seconds(60);

/// The session service within this process, for when no relay runs.
class OwnSessions {
 public:
  static absl::StatusOr<std::unique_ptr<OwnSessions>> Start(const Config& config) {
    auto own = std::make_unique<OwnSessions>();
    auto http = MakeHttpClient(HttpClientOptionsFrom(config));
    if (!http.ok()) return http.status();
    own->http_ = *std::move(http);
    own->runtime_ = std::make_unique<Runtime>(Runtime::Options{1});
    own->pool_ = std::make_unique<CpuPool>(CpuPool::Options{1, config.signing.queue_depth});
    own->signing_ = std::make_unique<SigningService>(*own->runtime_, *own->pool_, SystemClock::Get());
    auto signing_host = ServerHost::Start({.listen = "", .reflection = false}, {own->signing_.get()});
    if (!signing_host.ok()) return signing_host.status();
    own->signing_host_ = *std::move(signing_host);
    own->signing_client_ = std::make_unique<SigningClient>(own->signing_host_->InProcessChannel());
    auto sessions = SessionHost::Start(config, *own->runtime_, *own->http_, *own->signing_client_);
    if (!sessions.ok()) return sessions.status();
    own->sessions_ = *std::move(sessions);
    auto session_host = ServerHost::Start({.listen = "", .reflection = false}, {&own->sessions_->service()});
    if (!session_host.ok()) return session_host.status();
    own->session_host_ = *std::move(session_host);
    return own;
  }

  ~OwnSessions() {
    if (session_host_) session_host_->Shutdown(absl::ZeroDuration());
    if (signing_host_) signing_host_->Shutdown(absl::ZeroDuration());
    pool_.reset();
    if (runtime_) runtime_->Stop();
    if (http_) http_->CloseIdle();
    session_host_.reset();
    sessions_.reset();
    signing_host_.reset();
  }

  std::shared_ptr<grpc::Channel> Channel() { return session_host_->InProcessChannel(); }

 private:
  std::unique_ptr<HttpClient> http_;
  std::unique_ptr<SigningClient> signing_client_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<CpuPool> pool_;
  std::unique_ptr<SigningService> signing_;
  std::unique_ptr<ServerHost> signing_host_;
  std::unique_ptr<SessionHost> sessions_;
  std::unique_ptr<ServerHost> session_host_;
};

/// @param wait for a service that is not there yet
grpc::Status List(Stub& stub, std::chrono::seconds limit, bool wait, ListAccountsResponse& listed) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + limit);
  context.set_wait_for_ready(wait);
  return stub.ListAccounts(&context, {}, &listed);
}

/// The name of a code, as gRPC's documentation has it.
std::string Described(const grpc::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code())), ": ",
                      status.error_message());
}

std::vector<CheckAccountResponse> CheckAll(Stub& stub, const ListAccountsResponse& listed) {
  std::vector<CheckAccountResponse> all;
  for (const auto& account : listed.accounts()) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCheckLimit);
    session::v1::CheckAccountRequest request;
    request.set_label(account.label());
    CheckAccountResponse checked;
    if (!stub.CheckAccount(&context, request, &checked).ok()) {
      checked.Clear();
      *checked.mutable_account() = account;
      checked.set_message("The session service did not answer the check.");
    }
    all.push_back(std::move(checked));
  }
  return all;
}

int Report(const std::vector<CheckAccountResponse>& checked) {
  if (checked.empty()) {
    std::fputs("There is no account in .env or the environment. README.md says how to get a token for each platform.\n",
               stdout);
    return kNotWell;
  }
  std::fputs(AccountTable(checked).c_str(), stdout);
  return AllWell(checked) ? 0 : kNotWell;
}

}  // namespace

int AccountsCommand(int argc, char** argv) {
  ConfigSources sources = DefaultSources();
  if (const auto exit = ReadConfigFlags(argc, argv, kHelp, sources)) return *exit;
  const auto config = LoadCommandConfig(argv[0], sources);
  if (!config) return kBadUsage;
  InitLogging(LogLevel::kError, "switchyard accounts");

  // The relay that runs holds the store, and knows more than the configuration: tokens that were renewed, who rests.
  auto identity = MeshIdentityFrom(*config, SystemClock::Get());
  if (!identity.ok()) {
    std::fprintf(stderr, "switchyard accounts: %s\n", std::string(identity.status().message()).c_str());
    return kBadUsage;
  }
  // On another machine it is the one that has them: a store opened here would be another's, or empty.
  const std::string target = config->SessionTarget();
  const bool remote = !config->session.target.empty() && !absl::StartsWith(target, "unix:");
  const auto running = session::v1::SessionService::NewStub(MakeChannel(target, identity->get()));
  ListAccountsResponse listed;
  grpc::Status asked = List(*running, remote ? kRemoteListLimit : kListLimit, remote, listed);
  // Who waits in vain hears only that it waited; who does not wait hears why.
  if (remote && asked.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    asked = List(*running, kListLimit, false, listed);
  if (asked.ok()) {
    std::fputs("Asked the relay that is running; it has the accounts it was started with.\n\n", stdout);
    return Report(CheckAll(*running, listed));
  }
  // A socket that nobody serves fails at once; one that keeps silent is that of a relay that runs, and holds the store.
  if (remote || asked.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    std::fprintf(stderr, "switchyard accounts: session.target: %s: %s\n", target.c_str(), Described(asked).c_str());
    return kNotWell;
  }
  auto own = OwnSessions::Start(*config);
  if (!own.ok()) {
    std::fprintf(stderr, "switchyard accounts: %s\n", std::string(own.status().message()).c_str());
    return kNotWell;
  }
  const auto stub = session::v1::SessionService::NewStub((*own)->Channel());
  if (const grpc::Status own_list = List(*stub, kListLimit, true, listed); !own_list.ok()) {
    std::fprintf(stderr, "switchyard accounts: %s\n", Described(own_list).c_str());
    return kNotWell;
  }
  return Report(CheckAll(*stub, listed));
}

}  // namespace switchyard
