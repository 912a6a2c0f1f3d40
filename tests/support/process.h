// A program under test as a process of its own: started, waited for, signalled, and gone at the end of the test.
//
//   Process relay({"deploy/all_in_one/switchyard", "--listen", "127.0.0.1:0"}, {{"DEEPSEEK_TOKEN", "sim-1"}});
//   int port = relay.PortAfter("serving HTTP on http://127.0.0.1:");
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace switchyard {

class Process {
 public:
  /// Starts it with nothing of this test's environment but PATH. Output, both kinds, is kept in a file.
  Process(std::vector<std::string> command, std::map<std::string, std::string> environment);
  ~Process();  // SIGKILL if it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Waits until the output holds `text`; fails the test otherwise. @return the number that follows.
  int PortAfter(const std::string& text);
  /// Waits until the output holds `text`. @return false if it ends, or 20 s pass, first.
  bool WaitForOutput(const std::string& text);

  std::string output() const;
  pid_t pid() const { return pid_; }
  bool running();
  void Signal(int signal) const { kill(pid_, signal); }
  /// @return its exit status, or minus the signal that ended it; nullopt if it still runs after `limit`.
  std::optional<int> WaitExit(absl::Duration limit);

 private:
  pid_t pid_ = -1;
  std::string log_;
  std::optional<int> exit_;
};

/// Whether `condition` comes true within 20 s; looked at every few milliseconds.
template <typename Condition>
bool Eventually(Condition condition);

namespace support_internal {
bool Poll(bool (*condition)(void*), void* context);
}

template <typename Condition>
bool Eventually(Condition condition) {
  return support_internal::Poll([](void* context) -> bool { return (*static_cast<Condition*>(context))(); },
                                &condition);
}

/// A directory of its own for a test, empty.
std::string FreshDirectory();

}  // namespace switchyard
