// Zhipu's answer stream as events of the chat contract.
//
//   EventDecoder decoder(/*continued=*/false);
//   auto status = decoder.Feed(bytes, events);
//   if (decoder.complete()) { decoder.Finish(events); … }
//
// Pure. Source: protocol notes of Zhipu, section 4.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "boost/json/object.hpp"
#include "services/common/provider/answer_stream.h"
#include "services/common/sse/sse_decoder.h"
#include "services/zhipu/citation_marks.h"
#include "services/zhipu/paragraphs.h"

namespace switchyard::zhipu {

class EventDecoder final : public AnswerDecoder {
 public:
  /// @param continued whether the request named a conversation
  explicit EventDecoder(bool continued) : continued_(continued) {}

  /// Errors: UPSTREAM_BROKEN for the platform's own, UPSTREAM_CHANGED for what is no frame, those of an envelope.
  absl::Status Feed(absl::string_view bytes, std::vector<ChatEvent>& events) override;
  /// The end, or the platform's stepping in, behind which a little may still come: see ended().
  bool complete() const override { return ended_ || intervened_; }
  /// CREDENTIAL_EXPIRED or INVALID_REQUEST if nothing came at all, UPSTREAM_BROKEN for a cut.
  absl::Status End(std::vector<ChatEvent>& events) override;
  int64_t progress() const override { return progress_; }

  bool ended() const { return ended_; }
  bool intervened() const { return intervened_; }
  bool has_content() const { return has_content_; }
  const std::string& conversation() const { return conversation_; }
  /// Names the answer to who wants it stopped; "" until it is known.
  const std::string& part() const { return part_; }

  /// What was held back, the citations, and what the platform says where it stepped in. Call it once, at the end.
  void Finish(std::vector<ChatEvent>& events);

 private:
  enum class Channel { kAnswer, kReasoning };

  absl::Status Handle(const SseEvent& event, std::vector<ChatEvent>& events);
  absl::Status HandleFrame(const boost::json::value& frame, std::vector<ChatEvent>& events);
  void HandlePart(const boost::json::value& part, size_t position, std::vector<ChatEvent>& events);
  void HandleBlock(const boost::json::value& block, const std::string& paragraph, const std::string& key, bool finished,
                   std::vector<ChatEvent>& events);
  void TakeSources(const boost::json::value& part);
  void Collect(const boost::json::value& block);
  void GivePictures(std::vector<ChatEvent>& events);
  void CloseCode(std::vector<ChatEvent>& events);
  void Add(Channel channel, const std::string& paragraph, absl::string_view text, std::vector<ChatEvent>& events);

  const bool continued_;
  SseDecoder sse_;
  Paragraphs paragraphs_;
  CitationMarks marks_;
  std::string conversation_, part_;
  std::string last_answer_, last_thought_;  // the paragraph that the newest text of each channel belongs to
  std::string code_part_;                   // whose fence is open
  std::set<std::string> outputs_;           // of code that ran, each told once
  std::set<std::string> pictures_told_;
  std::vector<std::pair<int64_t, std::string>> pictures_;  // order and url, not told yet
  std::string intervention_;
  int64_t progress_ = 0;
  bool any_bytes_ = false;
  bool has_content_ = false;
  bool ended_ = false;
  bool intervened_ = false;
};

}  // namespace switchyard::zhipu
