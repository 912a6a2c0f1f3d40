// A way between two parties that a test can shut: what goes through it is cut off, and comes back when it opens.
//
//   Gate gate(etcd_port);
//   … connect to 127.0.0.1:gate.port() … gate.Shut(); … gate.Open();
#pragma once

#include <atomic>
#include <thread>
#include <vector>

namespace switchyard {

class Gate {
 public:
  /// Listens on a loopback port of its own and passes bytes on to the loopback port `target`.
  explicit Gate(int target);
  ~Gate();

  int port() const { return port_; }
  /// Resets what is open, and whatever comes until Open().
  void Shut() { shut_ = true; }
  /// What is asked still arrives, and no answer comes back until Open().
  void HoldAnswers() { holding_ = true; }
  void Open() { shut_ = holding_ = false; }

 private:
  struct Pair {
    int in, out;
  };
  void Run();

  const int target_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> shut_{false}, holding_{false}, over_{false};
  std::thread thread_;
};

}  // namespace switchyard
