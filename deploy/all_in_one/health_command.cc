#include "deploy/all_in_one/health_command.h"

#include <getopt.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/asio/co_spawn.hpp"
#include "boost/asio/use_future.hpp"
#include "services/common/async/runtime.h"
#include "services/common/config/config.h"
#include "services/common/http/http_client.h"

namespace switchyard {
namespace {

namespace asio = boost::asio;

constexpr char kHelp[] =
    "Usage: switchyard health [--config FILE] [--env-file FILE]\n\n"
    "Asks the relay that runs on this machine whether it is ready. Exit status: 0 if it is, 1 if not, 2 for bad flags "
    "or\n"
    "configuration.\n\n"
    "  --config FILE     configuration (default: config.yaml, if there is one)\n"
    "  --env-file FILE   accounts and overrides (default: .env, if there is one)\n"
    "  --help            this text\n";

constexpr int kBadUsage = 2;
constexpr int kNotReady = 1;
constexpr char kAdminReadiness[] = "http://127.0.0.1:9090/readyz";
constexpr auto kLimit = std::chrono::seconds(3);

/// @return the exit status if the command is to end here.
std::optional<int> ReadFlags(int argc, char** argv, ConfigSources& sources) {
  enum { kConfig = 1, kEnvFile, kHelpFlag };
  constexpr std::array kOptions = {
      option{"config", required_argument, nullptr, kConfig},
      option{"env-file", required_argument, nullptr, kEnvFile},
      option{"help", no_argument, nullptr, kHelpFlag},
      option{nullptr, 0, nullptr, 0},
  };
  for (int chosen; (chosen = getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    if (chosen == kConfig) {
      sources.file = optarg;
      sources.file_optional = false;
    } else if (chosen == kEnvFile) {
      sources.env_file = optarg;
      sources.env_file_optional = false;
    } else if (chosen == kHelpFlag || chosen == 'h') {
      std::fputs(kHelp, stdout);
      return 0;
    } else {
      std::fputs("switchyard health --help lists the flags.\n", stderr);
      return kBadUsage;
    }
  }
  if (optind == argc) return std::nullopt;
  std::fprintf(stderr, "switchyard health takes no arguments besides its flags; '%s' is one.\n", argv[optind]);
  return kBadUsage;
}

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

}  // namespace

std::string ReadinessUrl(const ServerConfig& server) {
  if (server.tls.enabled()) return kAdminReadiness;
  std::string host = server.host;
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  if (absl::StrContains(host, ':')) host = absl::StrCat("[", host, "]");
  return absl::StrCat("http://", host, ":", server.port, "/readyz");
}

int HealthCommand(int argc, char** argv) {
  ConfigSources sources{.file = "config.yaml", .file_optional = true, .env_file = ".env", .env_file_optional = true};
  if (const auto exit = ReadFlags(argc, argv, sources)) return *exit;
  auto config = LoadConfig(sources, ProcessEnvironment());
  if (!config.ok()) {
    std::fprintf(stderr, "switchyard health: the configuration has faults:\n%s\n",
                 std::string(config.status().message()).c_str());
    return kBadUsage;
  }
  const std::string url = ReadinessUrl(config->server);
  const absl::Status ready = AskOnce(url);
  if (ready.ok()) {
    std::puts("ready");
    return 0;
  }
  std::fprintf(stderr, "switchyard health: %s: %s\n", url.c_str(), std::string(ready.message()).c_str());
  return kNotReady;
}

}  // namespace switchyard
