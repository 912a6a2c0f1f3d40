// Kimi's answer stream as events of the chat contract.
//
//   EventDecoder decoder;
//   decoder.set_encoding(headers.Get("connect-content-encoding"));
//   auto status = decoder.Feed(bytes, events);
//
// Pure. Source: protocol notes of Kimi, section 4.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "boost/json/value.hpp"
#include "services/common/provider/answer_stream.h"
#include "services/kimi/frames.h"

namespace switchyard::kimi {

class EventDecoder final : public AnswerDecoder {
 public:
  void set_encoding(absl::string_view encoding) { frames_.set_encoding(encoding); }

  /// Errors: what the platform says instead of answering, by ConnectError(); UPSTREAM_CHANGED for a stream that cannot
  /// be followed.
  absl::Status Feed(absl::string_view bytes, std::vector<ChatEvent>& events) override;
  /// Only the end frame completes an answer: an error may come behind `done`.
  bool complete() const override { return ended_; }
  /// UPSTREAM_BROKEN unless finished().
  absl::Status End(std::vector<ChatEvent>& events) override;
  int64_t progress() const override { return progress_; }

  /// The platform says that nothing more is to come but the end frame.
  bool finished() const { return ended_ || done_ || completed_; }
  /// The platform withdrew the answer.
  bool filtered() const { return filtered_; }
  /// The platform refused before it said anything.
  bool refused() const { return refused_; }
  bool has_content() const { return has_content_; }
  const std::string& chat_id() const { return chat_id_; }
  /// The answer's own id, once the platform said it.
  const std::string& message_id() const { return message_id_; }

 private:
  struct Block {
    std::string text;     // emitted as answer or reasoning
    std::string thought;  // of block.think
    std::string parent;   // block id
    bool echo = false;    // of the user's message
    std::string flags;    // "thinking", "answer" or none
    bool stage = false;   // an open thinking stage
  };

  absl::Status Handle(const Frame& frame, std::vector<ChatEvent>& events);
  void HandleMessage(const boost::json::value& message, std::vector<ChatEvent>& events);
  absl::Status HandleBlock(const boost::json::value& block, bool append, std::vector<ChatEvent>& events);
  void HandleStages(const boost::json::value& stages, Block& block);
  absl::Status HandleException(const boost::json::value& exception, std::vector<ChatEvent>& events);
  void HandleText(const boost::json::value& text, Block& block, bool append, std::vector<ChatEvent>& events);
  void Update(std::string& known, absl::string_view content, bool append, bool reasoning,
              std::vector<ChatEvent>& events);
  void Emit(absl::string_view text, bool reasoning, std::vector<ChatEvent>& events);
  void Cite(const boost::json::value* source, std::vector<ChatEvent>& events);
  void CiteAll(const boost::json::value* list, absl::string_view member, std::vector<ChatEvent>& events);
  bool InThinkingStage(const Block& block) const;

  FrameReader frames_;
  std::map<std::string, Block> blocks_;
  std::set<std::string> user_messages_;
  std::set<std::string> cited_;
  std::string chat_id_;
  std::string message_id_;
  int64_t progress_ = 0;
  bool has_content_ = false;
  bool saw_think_ = false;
  bool done_ = false;
  bool completed_ = false;
  bool ended_ = false;
  bool filtered_ = false;
  bool refused_ = false;
};

}  // namespace switchyard::kimi
