// POST /v1/chat/completions: one chat turn over HTTP, streamed or whole.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "edge/api_keys.h"
#include "edge/chat_client.h"
#include "services/common/http/http_server.h"
#include "services/common/rpc/call_context.h"
#include "services/common/time/clock.h"

namespace switchyard {

/// What the log line of a request says.
struct RequestRecord {
  std::string model;
  std::string platform;
  int http_status = 0;
  absl::Status status;  // why it failed, also inside a stream
  std::optional<Clock::Monotonic> first_content;
};

struct ChatCompletionsOptions {
  absl::Duration request_limit = absl::Seconds(600);  // the whole of one request
  absl::Duration heartbeat = absl::Seconds(15);       // silence before a comment, and before the status is settled
};

/// Answers `request`. @param headers go with every answer. @param id of the completion: "chatcmpl-…".
boost::asio::awaitable<void> ServeChatCompletion(HttpServerRequest& request, HttpResponder& responder, ChatClient& chat,
                                                 const Caller& caller, const CallContext& context,
                                                 const ChatCompletionsOptions& options, const Clock& clock,
                                                 std::string id, HttpHeaders headers, RequestRecord& record);

}  // namespace switchyard
