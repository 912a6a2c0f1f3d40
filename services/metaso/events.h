// Metaso's answer streams, of the search and of the chat, as events of the chat contract.
//
//   EventDecoder decoder({.label_citations = true});
//   auto status = decoder.Feed(bytes, events);
//   if (decoder.complete()) decoder.Finish(events);
//
// Pure. Source: protocol notes of Metaso, section 4.
#pragma once

#include <string>
#include <vector>

#include "services/common/provider/answer_stream.h"
#include "services/common/sse/sse_decoder.h"
#include "services/metaso/answer_text.h"
#include "services/metaso/references.h"

namespace switchyard::metaso {

class EventDecoder final : public AnswerDecoder {
 public:
  struct Options {
    bool label_citations = true;
    std::string conversation = {};  // that is continued; another one that the platform names is then ignored
  };
  explicit EventDecoder(Options options);

  /// Errors: what the platform says by an error event or a word in brackets, see CodeError(); UPSTREAM_CHANGED for a
  /// payload that is neither JSON nor a word.
  absl::Status Feed(absl::string_view bytes, std::vector<ChatEvent>& events) override;
  bool complete() const override { return complete_; }
  /// UPSTREAM_BROKEN unless complete().
  absl::Status End(std::vector<ChatEvent>& events) override;
  int64_t progress() const override { return progress_; }

  /// Whether any text or reasoning came.
  bool has_content() const { return has_content_; }
  /// Of the chat dialect; empty until the platform said them.
  const std::string& conversation_id() const { return conversation_id_; }
  const std::string& message_id() const { return message_id_; }

  /// The citations, whose sources may come after the text. Call it once, when the answer is complete.
  void Finish(std::vector<ChatEvent>& events) const;

 private:
  absl::Status Handle(const std::string& payload, std::vector<ChatEvent>& events);
  absl::Status HandleObject(const boost::json::value& object, std::vector<ChatEvent>& events);
  absl::Status HandleDelta(const boost::json::value& object, std::vector<ChatEvent>& events);
  absl::Status ErrorIn(const boost::json::value& object, absl::string_view type) const;
  void AddText(absl::string_view text, std::vector<ChatEvent>& events);
  void GiveHeld(std::vector<ChatEvent>& events);

  SseDecoder sse_;
  AnswerText text_;
  References references_;
  const bool continued_;
  std::string conversation_id_;
  std::string message_id_;
  bool complete_ = false;
  bool has_content_ = false;
  int64_t progress_ = 0;
};

}  // namespace switchyard::metaso
