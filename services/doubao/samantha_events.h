// The older answer stream, of numbered events, as events of the chat contract. Three layers of JSON: the event, its
// data as text, and the message's content as text within that.
//
// Pure. Source: protocol notes of Doubao, section 4.2.
#pragma once

#include <string>
#include <vector>

#include "services/common/sse/sse_decoder.h"
#include "services/doubao/answer_blocks.h"
#include "services/doubao/events.h"

namespace switchyard::doubao {

class SamanthaDecoder final : public DoubaoDecoder {
 public:
  /// Errors: what the platform says instead of answering, see responses.h; UPSTREAM_CHANGED for what cannot be parsed.
  absl::Status Feed(absl::string_view bytes, std::vector<ChatEvent>& events) override;
  bool complete() const override { return complete_; }
  /// OK also where the message is complete and only the stream's own end is missing; otherwise UPSTREAM_BROKEN.
  absl::Status End(std::vector<ChatEvent>& events) override;
  int64_t progress() const override { return progress_; }

  const ConversationPoint& point() const override { return point_; }
  bool has_content() const override { return blocks_.has_content(); }

 private:
  absl::Status Handle(const SseEvent& event, std::vector<ChatEvent>& events);
  absl::Status TakeMessage(const boost::json::value& data, std::vector<ChatEvent>& events);
  void TakeContent(int64_t type, absl::string_view content, std::vector<ChatEvent>& events);
  void SwitchThinking(absl::string_view title);
  void TakeReferences(const boost::json::value& message);
  void NotePoint(const boost::json::value& data);
  void Complete(std::vector<ChatEvent>& events);

  SseDecoder sse_;
  AnswerBlocks blocks_;
  ConversationPoint point_;
  bool thinking_ = false;
  bool message_finished_ = false;
  bool complete_ = false;
  int64_t progress_ = 0;
};

}  // namespace switchyard::doubao
