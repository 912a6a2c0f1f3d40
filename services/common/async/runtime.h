// The threads that run coroutines. Each thread has an event loop of its own, and whatever belongs to one request stays
// on one of them, so request code needs no locks.
//
//   Runtime runtime({.threads = 2});
//   SpawnDetached(runtime.Next(), Serve());
//   …
//   runtime.Stop();   // after servers and task groups have ended
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "boost/asio/io_context.hpp"
#include "services/common/async/scope.h"

namespace switchyard {

/// Thread-safe.
class Runtime {
 public:
  struct Options {
    int threads = 0;  // 1 to 64; 0 is one a core
  };
  explicit Runtime(Options options);
  ~Runtime();

  /// An event loop, in turn.
  Executor Next();
  /// All of them, in a fixed order.
  std::vector<Executor> All();

  /// Ends the loops and joins the threads. Handlers that have not run are destroyed with the Runtime.
  void Stop();

 private:
  struct Loop;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::atomic<size_t> next_{0};
};

}  // namespace switchyard
