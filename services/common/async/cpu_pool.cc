#include "services/common/async/cpu_pool.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace switchyard {
namespace {

constexpr int kNice = 5;

// Linux keeps a priority a thread: setpriority() with a thread's id changes that thread alone.
void LowerPriority() {
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));
  setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + kNice);
}

}  // namespace

CpuPool::CpuPool(Options options) : queue_depth_(options.queue_depth) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int threads = options.threads > 0 ? options.threads : cores;
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] {
      LowerPriority();
      Work();
    });
  }
}

CpuPool::~CpuPool() {
  std::deque<absl::AnyInvocable<void()>> dropped;  // destroyed outside the lock: a job may own anything
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    dropped.swap(queue_);
  }
  dropped.clear();
  for (std::thread& thread : threads_) thread.join();
}

absl::Status CpuPool::Submit(absl::AnyInvocable<void()> job) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::UnavailableError("the CPU pool is stopping");
  if (static_cast<int>(queue_.size()) >= queue_depth_)
    return absl::ResourceExhaustedError("the queue of the CPU pool is full");
  queue_.push_back(std::move(job));
  return absl::OkStatus();
}

int CpuPool::load() const {
  absl::MutexLock lock(&mutex_);
  return running_ + static_cast<int>(queue_.size());
}

void CpuPool::Work() {
  for (;;) {
    absl::AnyInvocable<void()> job;
    {
      absl::MutexLock lock(&mutex_);
      const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); };
      mutex_.Await(absl::Condition(&ready));
      if (stopping_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
    }
    job();
    job = nullptr;  // what it owned goes before it stops to count
    absl::MutexLock lock(&mutex_);
    --running_;
  }
}

}  // namespace switchyard
