#include "services/common/async/runtime.h"

#include <algorithm>
#include <exception>

#include "boost/asio/executor_work_guard.hpp"
#include "services/common/log/log.h"

namespace switchyard {

struct Runtime::Loop {
  void Run() {
    for (;;) {
      try {
        context.run();
        return;
      } catch (const std::exception& escaped) {
        // A handler let an exception out: the request it belonged to is lost, the others are not.
        LogError("handler_failed", {{"error", escaped.what()}});
      }
    }
  }

  boost::asio::io_context context{1};  // one thread runs it
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
  std::thread thread;
};

Runtime::Runtime(Options options) {
  const int cores = std::max(1u, std::thread::hardware_concurrency());
  const int threads = options.threads > 0 ? options.threads : cores;
  for (int i = 0; i < threads; ++i) {
    auto loop = std::make_unique<Loop>();
    loop->thread = std::thread([raw = loop.get()] { raw->Run(); });
    loops_.push_back(std::move(loop));
  }
}

Runtime::~Runtime() { Stop(); }

Executor Runtime::Next() {
  return loops_[next_.fetch_add(1, std::memory_order_relaxed) % loops_.size()]->context.get_executor();
}

std::vector<Executor> Runtime::All() {
  std::vector<Executor> all;
  for (auto& loop : loops_) all.emplace_back(loop->context.get_executor());
  return all;
}

void Runtime::Stop() {
  for (auto& loop : loops_) {
    loop->work.reset();
    loop->context.stop();
  }
  for (auto& loop : loops_) {
    if (loop->thread.joinable()) loop->thread.join();
  }
}

}  // namespace switchyard
