#include <getopt.h>
#include <signal.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "services/common/async/runtime.h"
#include "services/common/log/log.h"
#include "tests/simulator/deepseek/server.h"
#include "tests/simulator/doubao/server.h"
#include "tests/simulator/kimi/server.h"
#include "tests/simulator/metaso/server.h"
#include "tests/simulator/minimax/server.h"
#include "tests/simulator/qwen/server.h"
#include "tests/simulator/simulator.h"
#include "tests/simulator/zhipu/server.h"

namespace {

constexpr char kHelp[] =
    "Usage: switchyard-simulator [--listen ADDRESS:PORT] [--difficulty N] [--running N] [--threads N] [--vanish-ms "
    "N]\n\n"
    "Plays the server sides of the platforms, strictly, so that the relay can be tried and tested without them.\n\n"
    "  --listen ADDRESS:PORT  where it serves HTTP (default 127.0.0.1:18000); port 0 picks a free one\n"
    "  --difficulty N         of DeepSeek's proof of work (default 144000, the platform's own)\n"
    "  --running N            generations at once on one account (default 1, the platform's own)\n"
    "  --threads N            event-loop threads (default: one a core)\n"
    "  --vanish-ms N          milliseconds until a client whose host is silent counts as gone, 2000 and up (default: "
    "the "
    "system's, long)\n"
    "  --credentials          print an account of every platform, NAME=value a line, and exit\n"
    "  --help                 this text\n\n"
    "For DeepSeek any token that begins with \"sim-\" is an account. A prompt may say what is to happen: [[sim: "
    "fault=cut at=3]].\n";

}  // namespace

int main(int argc, char** argv) {
  std::string host = "127.0.0.1";
  int port = 18000;
  int threads = 0;
  int vanish_ms = 0;
  simulator::deepseek::Server::Options deepseek;
  enum { kListen = 1, kDifficulty, kRunning, kThreads, kVanish, kCredentials, kHelpFlag };
  bool print_credentials = false;
  constexpr std::array kOptions = {
      option{"listen", required_argument, nullptr, kListen},
      option{"difficulty", required_argument, nullptr, kDifficulty},
      option{"running", required_argument, nullptr, kRunning},
      option{"threads", required_argument, nullptr, kThreads},
      option{"vanish-ms", required_argument, nullptr, kVanish},
      option{"credentials", no_argument, nullptr, kCredentials},
      option{"help", no_argument, nullptr, kHelpFlag},
      option{nullptr, 0, nullptr, 0},
  };
  for (int chosen; (chosen = getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    bool good = true;
    if (chosen == kListen) {
      const std::string listen = optarg;
      const size_t colon = listen.rfind(':');
      good =
          colon != std::string::npos && absl::SimpleAtoi(listen.substr(colon + 1), &port) && port >= 0 && port <= 65535;
      if (good) host = listen.substr(0, colon);
    } else if (chosen == kDifficulty) {
      good = absl::SimpleAtoi(optarg, &deepseek.difficulty) && deepseek.difficulty >= 1;
    } else if (chosen == kRunning) {
      good = absl::SimpleAtoi(optarg, &deepseek.max_running) && deepseek.max_running >= 1;
    } else if (chosen == kThreads) {
      good = absl::SimpleAtoi(optarg, &threads) && threads >= 0 && threads <= 64;
    } else if (chosen == kVanish) {
      good = absl::SimpleAtoi(optarg, &vanish_ms) && vanish_ms >= 0;
    } else if (chosen == kCredentials) {
      print_credentials = true;
    } else if (chosen == kHelpFlag || chosen == 'h') {
      std::fputs(kHelp, stdout);
      return 0;
    } else {
      good = false;
    }
    if (!good) {
      std::fputs("switchyard-simulator --help lists the flags.\n", stderr);
      return 2;
    }
  }

  std::vector<std::unique_ptr<simulator::Platform>> platforms;
  platforms.push_back(std::make_unique<simulator::deepseek::Server>(deepseek));
  platforms.push_back(std::make_unique<simulator::kimi::Server>());
  platforms.push_back(std::make_unique<simulator::metaso::Server>());
  platforms.push_back(std::make_unique<simulator::doubao::Server>());
  platforms.push_back(std::make_unique<simulator::qwen::Server>());
  platforms.push_back(std::make_unique<simulator::zhipu::Server>());
  platforms.push_back(std::make_unique<simulator::minimax::Server>());
  if (print_credentials) {
    for (const auto& platform : platforms) {
      std::printf("%s_TOKEN=%s\n", absl::AsciiStrToUpper(platform->name()).c_str(), platform->Credential(1).c_str());
    }
    return 0;
  }

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  simulator::Simulator simulator(std::move(platforms));
  switchyard::Runtime runtime({threads});
  switchyard::HttpServerOptions options;
  options.host = host;
  options.port = static_cast<uint16_t>(port);
  options.vanish_limit = absl::Milliseconds(vanish_ms);
  auto server = switchyard::HttpServer::Listen(runtime, options, simulator.Handler());
  if (!server.ok()) {
    std::fprintf(stderr, "switchyard-simulator: %s\n", std::string(server.status().message()).c_str());
    return 1;
  }
  std::printf("simulating the platforms on http://%s:%d\n", host.c_str(), (*server)->port());
  std::fflush(stdout);
  int received = 0;
  sigwait(&signals, &received);
  (*server)->Shutdown(absl::ZeroDuration(), absl::CancelledError("the simulator stops"));
  runtime.Stop();
  return 0;
}
