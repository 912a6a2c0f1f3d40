#include "deploy/all_in_one/health_command.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "deploy/all_in_one/command_line.h"
#include "services/common/async/runtime.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"
#include "services/common/net/host_port.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;

constexpr char kHelp[] =
    "Usage: switchyard health [--config FILE] [--env-file FILE]\n\n"
    "Asks the relay that runs on this machine whether it is ready: on the port of its API, or, where that speaks "
    "HTTPS\n"
    "(server.tls), on its admin port (admin.listen), which then has to be there. Exit status: 0 if it is, 1 if not,\n"
    "2 for bad flags or configuration.\n\n"
    "  --config FILE     configuration (default: config.yaml, if there is one)\n"
    "  --env-file FILE   accounts and overrides (default: .env, if there is one)\n"
    "  --help            this text\n";

constexpr int kNotReady = 1;
constexpr auto kLimit = std::chrono::seconds(3);

// By value: the coroutine outlives the statement that starts it.
asio::awaitable<absl::Status> Ask(HttpClient* http, Executor executor, std::string url) {
  Scope scope(executor, std::chrono::steady_clock::now() + kLimit);
  HttpRequest request{.url = std::move(url)};
  auto response = co_await http->Send(scope, std::move(request));
  if (!response.ok()) co_return response.status();
  constexpr int kOk = 200;
  if ((*response)->status() != kOk) co_return absl::UnavailableError(absl::StrCat("HTTP ", (*response)->status()));
  co_return absl::OkStatus();
}

absl::Status AskOnce(const std::string& url) {
  auto http = MakeHttpClient({});
  if (!http.ok()) return http.status();
  Runtime runtime(Runtime::Options{1});
  const Executor executor = runtime.Next();
  absl::Status ready = asio::co_spawn(executor, Ask(http->get(), executor, url), asio::use_future).get();
  runtime.Stop();
  (*http)->CloseIdle();
  return ready;
}

std::string Url(std::string host, int port) {
  if (host.empty() || host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  return absl::StrCat("http://", JoinHostPort(host, port), "/readyz");
}

}  // namespace

absl::StatusOr<std::string> ReadinessUrl(const Config& config) {
  if (!config.server.tls.enabled()) return Url(config.server.host, config.server.port);
  const std::string listen = config.admin.listen.empty() ? JoinHostPort("", kAdminPort) : config.admin.listen;
  const auto admin = ParseHostPort(listen);
  if (admin && admin->port != 0) return Url(admin->host, admin->port);
  return absl::FailedPreconditionError(
      absl::StrCat("a relay that serves HTTPS is asked on its admin port, and admin.listen is ", listen,
                   ": give it an address and a port"));
}

int HealthCommand(int argc, char** argv) {
  ConfigSources sources = DefaultSources();
  if (const auto exit = ReadConfigFlags(argc, argv, kHelp, sources)) return *exit;
  const auto config = LoadCommandConfig(argv[0], sources);
  if (!config) return kBadUsage;
  const auto url = ReadinessUrl(*config);
  if (!url.ok()) {
    std::fprintf(stderr, "switchyard health: %s\n", std::string(url.status().message()).c_str());
    return kBadUsage;
  }
  const absl::Status ready = AskOnce(*url);
  if (ready.ok()) {
    std::puts("ready");
    return 0;
  }
  std::fprintf(stderr, "switchyard health: %s: %s\n", url->c_str(), std::string(ready.message()).c_str());
  return kNotReady;
}

}  // namespace switchyard
