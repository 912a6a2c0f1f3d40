// Qwen's answer stream as events of the chat contract.
//
//   EventDecoder decoder;
//   auto status = decoder.Feed(bytes, events);
//   if (decoder.complete()) switch (decoder.ending()) …
//
// Every frame holds all of the answer so far; what comes out are its new parts. Pure. Source: protocol notes of Qwen,
// section 4.1.
#pragma once

#include <string>
#include <vector>

#include "boost/json/object.hpp"
#include "services/common/sse/sse_decoder.h"
#include "services/qwen/answer_text.h"
#include "services/qwen/stream_decoder.h"

namespace switchyard::qwen {

class EventDecoder final : public StreamDecoder {
 public:
  /// Errors: CREDENTIAL_EXPIRED, RATE_LIMITED, INVALID_REQUEST or UPSTREAM_CHANGED for an error code in the stream;
  /// CLIENT_REFUSED if the answer is the call to upgrade; UPSTREAM_CHANGED (cause protocol) for a stream that cannot
  /// be followed; UPSTREAM_BROKEN for one that says it is over without its end.
  absl::Status Feed(absl::string_view bytes, std::vector<ChatEvent>& events) override;
  bool complete() const override { return ending_ != Ending::kOpen; }
  /// UPSTREAM_BROKEN unless complete().
  absl::Status End(std::vector<ChatEvent>& events) override;
  int64_t progress() const override { return progress_; }

  Ending ending() const override { return ending_; }
  const std::string& session() const override { return session_; }
  const std::string& message() const override { return message_; }
  bool has_content() const override { return has_content_; }

 private:
  absl::Status Handle(const SseEvent& event, std::vector<ChatEvent>& events);
  absl::Status HandleFrame(const boost::json::object& frame, std::vector<ChatEvent>& events);
  void Snapshot(const boost::json::object& frame, bool running, std::string& text, std::string& reasoning) const;
  void Advance(const std::string& text, const std::string& reasoning, bool last, std::vector<ChatEvent>& events);
  void Show(absl::string_view text, std::vector<ChatEvent>& events);
  absl::Status Release(std::vector<ChatEvent>& events);

  SseDecoder sse_;
  GrowingText text_;
  GrowingText reasoning_;
  std::string held_;        // a beginning of the call to upgrade, and nothing else so far
  bool may_retire_ = true;  // the answer may still turn out to be that call
  bool answering_ = false;  // text came out: no more reasoning
  bool has_content_ = false;
  bool malformed_ = false;  // so was the last frame
  bool warned_ = false;
  Ending ending_ = Ending::kOpen;
  std::string session_;
  std::string message_;
  int64_t progress_ = 0;
};

}  // namespace switchyard::qwen
