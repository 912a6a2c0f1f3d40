// Doubao's answer stream of named events as events of the chat contract.
//
//   EventDecoder decoder;
//   auto status = decoder.Feed(bytes, events);
//
// Pure. Source: protocol notes of Doubao, section 4.1.
#pragma once

#include <string>
#include <vector>

#include "services/common/provider/answer_stream.h"
#include "services/common/sse/sse_decoder.h"
#include "services/doubao/answer_blocks.h"
#include "services/doubao/event_lines.h"
#include "services/doubao/requests.h"

namespace switchyard::doubao {

/// An id in either JSON form, digit by digit; empty if it is none.
std::string DecimalId(const boost::json::value* value);

/// What a provider needs of a decoder of either dialect.
class DoubaoDecoder : public AnswerDecoder {
 public:
  /// Where the conversation stands, as far as the platform has said.
  virtual const ConversationPoint& point() const = 0;
  virtual bool has_content() const = 0;
};

class EventDecoder final : public DoubaoDecoder {
 public:
  /// Errors: what the platform says instead of answering, see responses.h; UPSTREAM_CHANGED for what cannot be parsed.
  absl::Status Feed(absl::string_view bytes, std::vector<ChatEvent>& events) override;
  bool complete() const override { return complete_; }
  /// UPSTREAM_BROKEN unless complete().
  absl::Status End(std::vector<ChatEvent>& events) override;
  int64_t progress() const override { return progress_; }

  const ConversationPoint& point() const override { return point_; }
  bool has_content() const override { return blocks_.has_content(); }

 private:
  absl::Status Handle(const SseEvent& event, std::vector<ChatEvent>& events);
  void Acknowledge(const boost::json::value& data);
  void Open(const boost::json::value& data, std::vector<ChatEvent>& events);
  void Patch(const boost::json::value& data, std::vector<ChatEvent>& events);
  void OldPatch(const boost::json::value& value, std::vector<ChatEvent>& events);
  void TakeBlocks(const boost::json::value& holder, std::vector<ChatEvent>& events);
  void ReplyEnd(const boost::json::value& data, std::vector<ChatEvent>& events);
  void Complete(std::vector<ChatEvent>& events);
  void NotePoint(const boost::json::value& ids, const boost::json::value* index);

  EventLines lines_;
  SseDecoder sse_;
  AnswerBlocks blocks_;
  ConversationPoint point_;
  bool in_blocks_ = false;  // the text comes in blocks, or in pieces: not in the oldest form of patch
  bool complete_ = false;
  int64_t progress_ = 0;
};

}  // namespace switchyard::doubao
