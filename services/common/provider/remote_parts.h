// Pictures and files that a request names by address, brought here.
#pragma once

#include "absl/status/status.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/async/scope.h"
#include "services/common/http/public_fetch.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// Puts the bytes in the place of every address in those messages of `request` that are sent, one after the other.
/// INVALID_REQUEST naming the address that cannot be used; the scope's own. All of it outlives the call.
boost::asio::awaitable<absl::Status> FetchRemoteParts(Scope& scope, PublicFetcher& fetcher,
                                                      chat::v1::ChatRequest& request);

}  // namespace switchyard
