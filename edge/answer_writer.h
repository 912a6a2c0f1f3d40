// How one API words answers. A turn hands it events; everything about running a turn is elsewhere (turn.h).
//
// Streamed: Write() each event, End() after the last answer finished, or Fail(). Whole: Take() each event, then
// Whole(). An implementation is pure: events in, bytes out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "services/common/sse/sse_encoder.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// What every answer of a request has in common.
struct AnswerHead {
  std::string id = {};  // of the answer, in the API's own form: "chatcmpl-…"
  std::string model = {};
  int64_t created = 0;                                       // Unix seconds
  std::string request_id = {};                               // for error bodies that name it
  std::function<int64_t()> now = [] { return int64_t{0}; };  // Unix seconds
};

class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  /// Appends the server-sent events for `event` of answer `index`, from 0. What comes before the first content of an
  /// answer is kept until then.
  virtual void Write(size_t index, const chat::v1::ChatEvent& event, std::string& out) = 0;
  /// Appends the stream's end. Every answer has finished.
  virtual void End(std::string& out) = 0;
  /// Appends an error as the stream's last event, so that no client takes the answer for a whole one.
  virtual void Fail(const absl::Status& status, std::string& out) = 0;
  /// Appends something without meaning, so that a silent connection is not taken for a dead one.
  virtual void KeepAlive(std::string& out) { AppendSseComment(out, "waiting"); }

  virtual void Take(size_t index, const chat::v1::ChatEvent& event) = 0;
  /// The body of a whole answer, application/json. Every answer has finished.
  virtual std::string Whole() = 0;
};

}  // namespace switchyard
