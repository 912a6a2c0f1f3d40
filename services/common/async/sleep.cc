#include "services/common/async/sleep.h"

#include "boost/asio/as_tuple.hpp"
#include "boost/asio/steady_timer.hpp"
#include "boost/asio/use_awaitable.hpp"

namespace switchyard {

boost::asio::awaitable<absl::Status> Sleep(Scope& scope, absl::Duration duration) {
  if (scope.ended()) co_return scope.status();
  boost::asio::steady_timer timer(scope.executor(), absl::ToChronoNanoseconds(duration));
  auto stop = scope.OnEnd([&timer] { timer.cancel(); });
  co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  co_return scope.status();
}

}  // namespace switchyard
