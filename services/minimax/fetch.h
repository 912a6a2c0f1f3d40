// A signed call and its whole answer: what every call but a stream is.
#pragma once

#include "absl/status/statusor.h"
#include "boost/asio/awaitable.hpp"
#include "services/common/provider/provider.h"
#include "services/minimax/requests.h"
#include "services/minimax/responses.h"

namespace switchyard::minimax {

/// Signs the request over the bytes that are sent, and sends it. NothingReached() if it was not sent.
boost::asio::awaitable<absl::StatusOr<std::unique_ptr<HttpResponse>>> SendSigned(Scope& scope, HttpClient& http,
                                                                                 SignStream& signing,
                                                                                 SignedParts parts);
boost::asio::awaitable<absl::StatusOr<Answer>> ReadWhole(Scope& scope, HttpResponse& response);
/// Both.
boost::asio::awaitable<absl::StatusOr<Answer>> Fetch(Scope& scope, HttpClient& http, SignStream& signing,
                                                     SignedParts parts);

}  // namespace switchyard::minimax
