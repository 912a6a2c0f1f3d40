// A pause that a Scope can cut short.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"

namespace switchyard {

/// OK after `duration`; the scope's status if it ends first.
boost::asio::awaitable<absl::Status> Sleep(Scope& scope, absl::Duration duration);

}  // namespace switchyard
