// The event stream of the agent dialect as events of the chat contract.
//
// Pure. Source: protocol notes of MiniMax, section 4.4.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "boost/json/value.hpp"
#include "services/common/provider/answer_stream.h"
#include "services/common/sse/sse_decoder.h"

namespace switchyard::minimax {

class AgentDecoder final : public AnswerDecoder {
 public:
  /// Errors: what the platform says, by its reason; UPSTREAM_BROKEN for trouble of its own once the answer had begun;
  /// UPSTREAM_CHANGED for a stream that cannot be followed.
  absl::Status Feed(absl::string_view bytes, std::vector<ChatEvent>& events) override;
  bool complete() const override { return complete_; }
  /// OK if the platform had said that the answer is finished; UPSTREAM_BROKEN otherwise.
  absl::Status End(std::vector<ChatEvent>& events) override;
  int64_t progress() const override { return progress_; }

  bool has_content() const { return has_text_ || has_reasoning_; }
  /// It ended for its length.
  bool cut() const { return cut_; }

 private:
  // One text, of which some servers send all so far with every piece, and some the piece alone.
  struct Growing {
    std::string held = {};
    bool grew = false;        // a piece was the held text and more
    bool increments = false;  // a piece was not
  };

  absl::Status Handle(const SseEvent& event, std::vector<ChatEvent>& events);
  absl::Status Fail(absl::Status why) const;
  static std::string Piece(Growing& text, absl::string_view piece);
  static std::string Rest(Growing& text, absl::string_view whole);
  void BeginMessage(absl::string_view id);
  void Give(std::string reasoning, std::string text, std::vector<ChatEvent>& events);
  void TakeChunk(const boost::json::value& chunk, std::vector<ChatEvent>& events);
  void TakeMessage(const boost::json::value& message, std::vector<ChatEvent>& events);

  SseDecoder sse_;
  std::string message_;  // id of the message under way
  Growing text_, reasoning_;
  bool has_text_ = false, has_reasoning_ = false;
  bool fresh_ = false;     // a further message began and has said nothing yet
  bool finished_ = false;  // by a chunk; the whole message may follow
  bool complete_ = false;
  bool cut_ = false;
  int64_t progress_ = 0;
};

}  // namespace switchyard::minimax
