#include "services/common/program/program.h"

#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "services/common/log/log.h"
#include "services/common/program/telemetry.h"
#include "services/common/rpc/server_host.h"

namespace switchyard {
namespace {

constexpr int kBadUsage = 2;
constexpr int kNotStarted = 1;
constexpr int kLargeAllocation = 1024 * 1024;
constexpr absl::Duration kPatience = absl::Milliseconds(900);

struct Flags {
  std::string config = "config.yaml";
  bool config_given = false;
  std::string env_file = ".env";
  bool env_file_given = false;
  std::string listen;
  std::string store;
  bool insecure = false;
  bool check_config = false;
};

std::string Help(const ProgramSpec& spec) {
  return absl::StrCat(
      "Usage: ", spec.name, " [--config FILE] [--env-file FILE] [--listen ADDRESS]",
      spec.serves_http ? " [--insecure]" : "", spec.keeps_store ? " [--store ADDRESS]" : "", " [--check-config]\n\n",
      spec.purpose, "\n\n",
      "  --config FILE     configuration (default: config.yaml, if there is one)\n"
      "  --env-file FILE   accounts and overrides, one NAME=value a line (default: .env, if there is one)\n"
      "  --listen ADDRESS  ",
      spec.listens, "\n",
      spec.serves_http
          ? "  --insecure        serve an address that other machines can reach, although there are no API keys\n"
          : "",
      spec.keeps_store
          ? "  --store ADDRESS   a file, or etcd://host:2379,host2:2379/prefix to share it with other replicas\n"
          : "",
      "  --check-config    read the configuration, print it without its secrets, and exit\n"
      "  --help            this text\n\n"
      "Every setting of the configuration can be given in the environment too: SWITCHYARD_SERVER__PORT=8001.\n"
      "Accounts come from the environment or the env file: DEEPSEEK_TOKEN, DEEPSEEK_TOKEN_2, and so on.\n");
}

/// @return the exit status if the program is to end here.
std::optional<int> ReadFlags(int argc, char** argv, const ProgramSpec& spec, Flags& flags) {
  enum { kConfig = 1, kEnvFile, kListen, kInsecure, kStore, kCheck, kHelp };
  constexpr std::array kOptions = {
      option{"config", required_argument, nullptr, kConfig}, option{"env-file", required_argument, nullptr, kEnvFile},
      option{"listen", required_argument, nullptr, kListen}, option{"insecure", no_argument, nullptr, kInsecure},
      option{"store", required_argument, nullptr, kStore},   option{"check-config", no_argument, nullptr, kCheck},
      option{"help", no_argument, nullptr, kHelp},           option{nullptr, 0, nullptr, 0},
  };
  for (int chosen; (chosen = getopt_long(argc, argv, "h", kOptions.data(), nullptr)) != -1;) {
    switch (chosen) {
      case kConfig:
        flags.config = optarg;
        flags.config_given = true;
        break;
      case kEnvFile:
        flags.env_file = optarg;
        flags.env_file_given = true;
        break;
      case kListen:
        flags.listen = optarg;
        break;
      case kInsecure:
        if (!spec.serves_http) {
          std::fprintf(stderr, "%s serves no HTTP, so there is no --insecure.\n", spec.name.c_str());
          return kBadUsage;
        }
        flags.insecure = true;
        break;
      case kStore:
        if (!spec.keeps_store) {
          std::fprintf(stderr, "%s keeps no store, so there is no --store.\n", spec.name.c_str());
          return kBadUsage;
        }
        flags.store = optarg;
        break;
      case kCheck:
        flags.check_config = true;
        break;
      case 'h':
      case kHelp:
        std::fputs(Help(spec).c_str(), stdout);
        return 0;
      default:  // getopt has said what is wrong
        std::fprintf(stderr, "%s --help lists the flags.\n", spec.name.c_str());
        return kBadUsage;
    }
  }
  if (optind < argc) {
    std::fprintf(stderr, "%s takes no arguments besides its flags; '%s' is one. %s --help lists them.\n",
                 spec.name.c_str(), argv[optind], spec.name.c_str());
    return kBadUsage;
  }
  return std::nullopt;
}

LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  return LogLevel::kInfo;
}

// Thousands of streams need more descriptors than a shell's default; the hard limit is the operator's word.
void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

sigset_t EndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

/// Waits for a signal. @return it, or 0 after `limit`.
int WaitForSignal(const sigset_t& signals, absl::Duration limit) {
  if (limit == absl::InfiniteDuration()) {
    int signal = 0;
    sigwait(&signals, &signal);
    return signal;
  }
  const timespec until = absl::ToTimespec(limit);
  const int signal = sigtimedwait(&signals, nullptr, &until);
  return signal > 0 ? signal : 0;
}

/// Waits for a signal that ends the program: a terminal that closes (SIGHUP) does not. @return whether one came within
/// `limit`
bool WaitForEnd(const sigset_t& signals, absl::Duration limit) {
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(limit);
  for (;;) {
    const absl::Duration left = absl::FromChrono(until - std::chrono::steady_clock::now());
    const int signal = WaitForSignal(signals, std::max(left, absl::ZeroDuration()));
    if (signal != 0 && signal != SIGHUP) return true;
    if (signal == 0 && left <= absl::ZeroDuration()) return false;
  }
}

/// Ends the process if what follows takes too long: what is not undone then is in the ledger, and undone at the next
/// start.
void ExitSoon() {
  std::thread([] {
    absl::SleepFor(kPatience);
    FlushLogs();
    _exit(0);
  }).detach();
}

void StopInOrder(RunningProgram& program, Telemetry& telemetry, const Config& config, const sigset_t& signals) {
  LogInfo("stopping");
  telemetry.SetReady(false);
  program.Drain();
  if (config.server.drain_delay > absl::ZeroDuration() && WaitForEnd(signals, config.server.drain_delay)) {
    ExitSoon();
    program.Abandon();
    return;
  }
  std::atomic<bool> finished{false};
  std::thread hurry([&program, &signals, &finished] {
    while (WaitForSignal(signals, absl::InfiniteDuration()) == SIGHUP) {
      if (finished) return;
    }
    ExitSoon();
    program.Abandon();
  });
  program.Finish(config.server.drain_limit);
  finished = true;
  pthread_kill(hurry.native_handle(), SIGHUP);  // it waits for nothing any more
  hurry.join();
}

/// @return `status`, once the logs are out. A writer that is stuck in an output which nobody reads cannot be joined, so
/// then the process ends here.
int LogsWritten(int status) {
  if (!FlushLogs()) _exit(status);
  return status;
}

}  // namespace

// They are blocked in every thread, so those that came wait.
bool EndAsked() {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

absl::Status SetGrpcListen(std::string& field, const std::string& listen) {
  if (listen.find(':') == std::string::npos)
    return absl::InvalidArgumentError("--listen: must be an address with a port (127.0.0.1:8021) or unix:/path");
  field = listen;  // whether others may reach it, ServerHost knows
  return absl::OkStatus();
}

void SwitchOffCores() {
  // The limit is for cores that become files; a collector behind a pipe heeds the flag alone.
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

int RunProgram(int argc, char** argv, const ProgramSpec& spec) {
  // What is large, a picture that passes through, goes back to the system as soon as it is done with: left to itself,
  // the allocator stops doing so after the first.
  mallopt(M_MMAP_THRESHOLD, kLargeAllocation);
  // Before any thread starts, so that all of them leave the signals to this one.
  const sigset_t signals = EndingSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // A shell starts what runs in the background with Ctrl-C ignored, and an ignored signal cannot be waited for.
  signal(SIGINT, SIG_DFL);

  // Debian's Abseil looks for deadlocks at every lock unless told not to: a twentieth of the relay's time.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);

  SwitchOffCores();

  Flags flags;
  if (const auto exit = ReadFlags(argc, argv, spec, flags)) return *exit;
  ConfigSources sources{.file = flags.config,
                        .file_optional = !flags.config_given,
                        .env_file = flags.env_file,
                        .env_file_optional = !flags.env_file_given};
  auto config = LoadConfig(sources, ProcessEnvironment());
  if (!config.ok()) {
    std::fprintf(stderr, "%s: the configuration has faults:\n%s\n", spec.name.c_str(),
                 std::string(config.status().message()).c_str());
    return kBadUsage;
  }
  if (flags.insecure) config->server.insecure = true;
  if (!flags.listen.empty()) {
    if (const absl::Status set = spec.set_listen(*config, flags.listen); !set.ok()) {
      std::fprintf(stderr, "%s: %s\n", spec.name.c_str(), std::string(set.message()).c_str());
      return kBadUsage;
    }
  }
  if (!flags.store.empty()) config->session.store = flags.store;
  if (spec.check) {
    if (const absl::Status good = spec.check(*config); !good.ok()) {
      std::fprintf(stderr, "%s: %s\n", spec.name.c_str(), std::string(good.message()).c_str());
      return kBadUsage;
    }
  }
  const bool own_admin_port = config->admin.listen.empty();
  if (own_admin_port) config->admin.listen = absl::StrCat("127.0.0.1:", spec.admin_port);
  std::fprintf(stdout, "# configuration of %s\n%s", spec.name.c_str(), RedactedConfig(*config).c_str());
  std::fflush(stdout);
  if (flags.check_config) return 0;

  RaiseDescriptorLimit();
  InitLogging(LevelOf(config->log_level), spec.name);
  const auto not_started = [&spec](const absl::Status& why) {
    std::fprintf(stderr, "%s: %s\n", spec.name.c_str(), std::string(why.message()).c_str());
    return LogsWritten(kNotStarted);
  };
  auto telemetry = Telemetry::Start(spec.name, *config, /*must_listen=*/!own_admin_port);
  if (!telemetry.ok()) return not_started(telemetry.status());
  auto program = spec.start(*config);
  if (!program.ok() && EndAsked()) {
    LogInfo("stopping");
    return LogsWritten(0);
  }
  if (!program.ok()) return not_started(program.status());
  (*telemetry)->SetReady(true);
  for (const std::string& line : {(*program)->Greeting(), (*telemetry)->Greeting()}) {
    if (!line.empty()) std::fprintf(stdout, "%s\n", line.c_str());
  }
  std::fflush(stdout);

  int received = 0;
  do {
    received = WaitForSignal(signals, absl::InfiniteDuration());
  } while (received == SIGHUP);  // a terminal that closes does not end a relay
  if (received == SIGTERM) {
    StopInOrder(**program, **telemetry, *config, signals);
  } else {
    ExitSoon();
    (*telemetry)->SetReady(false);
    (*program)->Abandon();
  }
  program->reset();
  telemetry->reset();
  return LogsWritten(0);
}

}  // namespace switchyard
