// The APIs that the relay speaks, one row each: a path, a parser and a writer. How a turn is run is the same for all
// (turn.h).
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "boost/asio/awaitable.hpp"
#include "edge/api_keys.h"
#include "edge/chat_client.h"
#include "edge/turn.h"
#include "services/common/http/http_server.h"
#include "services/common/time/random.h"

namespace switchyard {

struct Api {
  absl::string_view path;
  absl::string_view id_prefix;  // of its answers' ids
  absl::StatusOr<TurnRequest> (*read)(absl::string_view body);
};

/// The API at `path`; nullptr if there is none.
const Api* FindApi(absl::string_view path);

/// All there are.
std::vector<absl::string_view> ApiPaths();

/// Answers a POST to `api`, as far as `caller` may have it. @param headers go with every answer.
boost::asio::awaitable<void> ServeApi(const Api& api, HttpServerRequest& request, HttpResponder& responder,
                                      ChatClient& chat, const Caller& caller, const CallContext& context,
                                      const TurnOptions& options, const Clock& clock, Random& random,
                                      HttpHeaders headers, RequestRecord& record);

}  // namespace switchyard
