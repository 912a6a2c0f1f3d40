// DeepSeek's answer stream, in all its dialects, as events of the chat contract.
//
//   EventDecoder decoder({.search = true});
//   auto status = decoder.Feed(bytes, events);
//   if (decoder.complete()) switch (decoder.ending()) …
//
// Pure. Source: protocol notes of DeepSeek, section 4.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/common/provider/answer_stream.h"
#include "services/common/sse/sse_decoder.h"
#include "services/deepseek/citation_markers.h"
#include "services/deepseek/patch_document.h"

namespace switchyard::deepseek {

/// How the platform ended the answer.
enum class Ending {
  kOpen,  // not yet
  kStop,
  kLength,
  kIncomplete,     // cut: it may be continued
  kContentFilter,  // withdrawn
};

class EventDecoder final : public AnswerDecoder {
 public:
  struct Options {
    bool search = false;        // asked for, so marks of citations are to be expected
    bool keep_markers = false;  // leave them in the text
    // The platform counts tokens over a whole conversation: its count is this answer's only in the first turn.
    bool first_turn = true;
  };
  explicit EventDecoder(Options options);

  /// Errors: RATE_LIMITED, CONTEXT_TOO_LONG or UPSTREAM_UNAVAILABLE for what the platform says instead of answering;
  /// UPSTREAM_CHANGED (cause protocol) for a stream that cannot be followed.
  absl::Status Feed(absl::string_view bytes, std::vector<ChatEvent>& events) override;
  bool complete() const override { return ending_ != Ending::kOpen; }
  /// UPSTREAM_BROKEN unless complete().
  absl::Status End(std::vector<ChatEvent>& events) override;
  int64_t progress() const override { return progress_; }

  Ending ending() const { return ending_; }
  /// The answer's own id, once the platform said it.
  std::optional<int64_t> response_message_id() const { return response_message_id_; }
  /// Whether any text or reasoning came out.
  bool has_content() const { return !answer_.empty() || !reasoning_.empty(); }

  /// The stream of a further call goes on with the same answer: it may begin with all that is known, or with the rest.
  void BeginContinuation();
  /// The whole message so far, where the platform sends that instead of a stream.
  absl::Status FeedMessage(const boost::json::value& message, std::vector<ChatEvent>& events);
  /// The tail of text that was held back, and the citations, whose sources may come after the text. Call it once, when
  /// nothing more follows.
  void Finish(std::vector<ChatEvent>& events);

 private:
  enum class Kind { kAnswer, kReasoning, kRefusal, kOther };
  struct Part {
    Kind kind;
    absl::string_view text;
    size_t fragment;  // index; kNoFragment for the oldest dialect's own members
  };

  absl::Status Handle(const SseEvent& event, std::vector<ChatEvent>& events);
  absl::Status HandleObject(const boost::json::object& object, std::vector<ChatEvent>& events);
  absl::Status HandleNotice(const SseEvent& event);
  absl::Status Derive(std::vector<ChatEvent>& events);
  absl::Status Parts(std::vector<Part>& parts) const;
  void Add(const Part& part, absl::string_view text, std::vector<ChatEvent>& events);
  void Resynchronise(const std::vector<Part>& parts, std::vector<ChatEvent>& events);
  absl::Status CheckStatus();
  void NoteId(const boost::json::object& object);

  const Options options_;
  std::optional<SseDecoder> sse_{std::in_place};
  PatchDocument document_;
  CitationMarkers markers_;
  Ending ending_ = Ending::kOpen;
  std::optional<int64_t> response_message_id_;
  int64_t progress_ = 0;

  std::vector<size_t> taken_;  // bytes of each part's text that have been looked at
  std::string answer_;         // all the platform's answer text so far, marks included
  std::string reasoning_;      // the same, with a line feed between two parts
  std::optional<size_t> last_thought_;
  bool continuing_ = false;  // the next snapshot belongs to an answer that is partly known
  bool replaying_ = false;   // the document is still behind what is known
  bool closed_ = false;      // the platform ended the stream itself
};

}  // namespace switchyard::deepseek
