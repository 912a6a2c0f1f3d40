// The answer stream of the site's newer call as events of the chat contract: the state of all parts in every frame.
//
// Pure. Source: protocol notes of Qwen, section 4.2.
#pragma once

#include <string>
#include <vector>

#include "boost/json/object.hpp"
#include "services/common/sse/sse_decoder.h"
#include "services/qwen/answer_text.h"
#include "services/qwen/stream_decoder.h"

namespace switchyard::qwen {

class Chat2Decoder final : public StreamDecoder {
 public:
  /// Errors: as EventDecoder's; UPSTREAM_CHANGED (cause unknown_code) for `success: false`.
  absl::Status Feed(absl::string_view bytes, std::vector<ChatEvent>& events) override;
  bool complete() const override { return ending_ != Ending::kOpen; }
  /// OK if the answer's part said that it is complete; UPSTREAM_BROKEN otherwise.
  absl::Status End(std::vector<ChatEvent>& events) override;
  int64_t progress() const override { return progress_; }

  Ending ending() const override { return ending_; }
  const std::string& session() const override { return session_; }
  const std::string& message() const override { return message_; }
  bool has_content() const override { return has_content_; }

 private:
  absl::Status Handle(const SseEvent& event, std::vector<ChatEvent>& events);
  absl::Status HandleFrame(const boost::json::value& frame, std::vector<ChatEvent>& events);
  void ReadParts(const boost::json::array& parts, std::string& text, std::string& reasoning);

  SseDecoder sse_;
  GrowingText text_;
  GrowingText reasoning_;
  bool answering_ = false;
  bool part_complete_ = false;
  bool has_content_ = false;
  Ending ending_ = Ending::kOpen;
  int64_t frame_ = -1;  // number of the newest
  std::string session_;
  std::string message_;
  int64_t progress_ = 0;
};

}  // namespace switchyard::qwen
