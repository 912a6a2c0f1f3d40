#include "services/common/rpc/open_calls.h"

#include <utility>
#include <vector>

#include "boost/asio/execution/context.hpp"
#include "boost/asio/query.hpp"

namespace switchyard {

namespace asio = boost::asio;

asio::execution_context::id OpenCalls::id;

OpenCalls& OpenCalls::Of(const Executor& executor) {
  return asio::use_service<OpenCalls>(asio::query(executor, asio::execution::context));
}

uint64_t OpenCalls::Add(std::shared_ptr<OpenCall> call) {
  absl::MutexLock lock(&mutex_);
  calls_.emplace(++next_, std::move(call));
  return next_;
}

void OpenCalls::Remove(uint64_t call) {
  absl::MutexLock lock(&mutex_);
  calls_.erase(call);
}

void OpenCalls::shutdown() {
  std::vector<std::shared_ptr<OpenCall>> open;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [id, call] : calls_) {
      if (auto alive = call.lock()) open.push_back(std::move(alive));
    }
  }
  // A call may end while it is abandoned, on this thread, so the lock is not held.
  for (auto& call : open) call->Abandon();
  open.clear();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](std::map<uint64_t, std::weak_ptr<OpenCall>>* calls) { return calls->empty(); }, &calls_));
}

}  // namespace switchyard
