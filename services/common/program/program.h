// What every program does the same way: flags, configuration, signals, exit.
//
//   int main(int argc, char** argv) {
//     return RunProgram(argc, argv, {.name = "switchyard-signing", .purpose = "…", .start = StartSigning});
//   }
//
// SIGTERM: Drain(), the configured delay, Finish() up to the configured limit, exit 0. SIGINT, or a second signal:
// Abandon(), and the program is gone within a second or so. The admin port's /readyz says no before the start is done
// and from the first signal on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/common/config/config.h"

namespace switchyard {

/// What runs between start and stop. Every method is called from one thread at a time, but Abandon(), which may come
/// while Finish() waits.
class RunningProgram {
 public:
  virtual ~RunningProgram() = default;  // stops whatever still runs
  /// What to tell the person who started it: addresses, and what to try.
  virtual std::string Greeting() const = 0;
  /// Reports itself not ready; everything is still served.
  virtual void Drain() = 0;
  /// Takes nothing new and waits for what runs, `limit` at most.
  virtual void Finish(absl::Duration limit) = 0;
  /// Ends what runs, each with an error.
  virtual void Abandon() = 0;
};

struct ProgramSpec {
  std::string name;     // "switchyard-signing"
  std::string purpose;  // one sentence, for --help
  std::string listens;  // for --help: what --listen changes
  // Puts --listen into the configuration. INVALID_ARGUMENT if it cannot.
  std::function<absl::Status(Config& config, const std::string& listen)> set_listen;
  std::function<absl::StatusOr<std::unique_ptr<RunningProgram>>(Config config)> start;
  bool serves_http = false;  // takes --insecure
  bool keeps_store = false;  // takes --store
  uint16_t admin_port = 0;   // on loopback, where `admin.listen` does not say; 0 picks a free one
  // What else has to be good before it is started, and before --check-config says so.
  std::function<absl::Status(const Config& config)> check = {};
};

/// A crash leaves no core from here on. A core holds tokens and prompts, and is read by whoever may read the directory
/// or the crash collector it goes to: to be called before any secret is read. RunProgram() does.
void SwitchOffCores();

/// @return the exit status: 0, 2 for bad flags or configuration, 1 if it could not start.
int RunProgram(int argc, char** argv, const ProgramSpec& spec);

/// For a start that may take long: whether a signal has come that ends the program. Then the start is to fail, and the
/// exit status is 0.
bool EndAsked();

/// For set_listen: any loopback address or Unix socket.
absl::Status SetGrpcListen(std::string& field, const std::string& listen);

}  // namespace switchyard
