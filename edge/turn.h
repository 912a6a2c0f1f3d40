// Runs the turns of one HTTP request, whichever API it came by: one call a wanted answer, all at once; the status held
// until there is something to say; events to the API's writer; errors by status, or as the stream's last event.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "boost/asio/awaitable.hpp"
#include "edge/answer_writer.h"
#include "edge/chat_client.h"
#include "edge/error_body.h"
#include "edge/field_names.h"
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
  std::string refused;  // by the server itself, and why: its words, none of the caller's
  std::optional<Clock::Monotonic> first_content;
  int64_t body_bytes = 0;  // sent
  bool whole = false;      // the answer was sent to its end
  ErrorForm error_form = ErrorForm::kOpenAi;
};

struct TurnOptions {
  absl::Duration request_limit = absl::Seconds(600);  // the whole of one request
  absl::Duration heartbeat = absl::Seconds(15);       // silence before a comment, and before the status is settled
};

/// A request as every API reads it.
struct TurnRequest {
  std::vector<chat::v1::ChatRequest> prompts;  // at least one; all of one model
  size_t answers_each = 1;                     // of each prompt; answer i is one of prompt i / answers_each
  bool stream = false;
  FieldNames names;
  std::function<std::unique_ptr<AnswerWriter>(AnswerHead head)> writer;

  size_t answers() const { return prompts.size() * answers_each; }
};

/// Answers `request`, which `parsed` is the body of. @param headers go with every answer. @param head without its model
/// and times, which are filled in here.
boost::asio::awaitable<void> RunTurn(absl::StatusOr<TurnRequest> parsed, HttpResponder& responder, ChatClient& chat,
                                     const CallContext& context, const TurnOptions& options, const Clock& clock,
                                     AnswerHead head, HttpHeaders headers, RequestRecord& record);

}  // namespace switchyard
