// An answer whose text is kept back until it is known to be what `response_format` asks for. Pure: events in, events
// out.
//
//   StructuredAnswer answer(output);
//   answer.Withhold(events);                   // takes the text out, leaves reasoning and the rest
//   auto fault = answer.Release(cut, events);  // the last events: puts the text in, or says what is wrong with it
//
// What the caller gets is the one JSON value of Release(), in place of all that was said around it. An answer that was
// cut short (token limit, stop sequence) is given as far as it goes. Tool calls come before the format: with one, the
// text is passed as it is. After a refusal there is no text. Citations move behind the text: their places are in one
// that is not shown.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/common/provider/structured_output.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

class StructuredAnswer {
 public:
  using Events = std::vector<chat::v1::ChatEvent>;

  explicit StructuredAnswer(StructuredOutput output) : output_(std::move(output)) {}

  /// @return false once there is more text than any answer has: it is to be ended.
  bool Withhold(Events& events);

  /// @param events the last ones: usage and `finished` among them. Without effect on them unless OK.
  /// @param cut whether the relay ended the answer
  /// @return INVALID_ARGUMENT saying what is wrong, as StructuredOutput::Read() does
  absl::Status Release(bool cut, Events& events);

  const StructuredOutput& output() const { return output_; }
  const std::string& text() const { return text_; }
  bool too_long() const;
  /// Begins with another answer; citations stay.
  void StartOver() { text_.clear(); }

 private:
  StructuredOutput output_;
  std::string text_;
  Events citations_;
  bool called_tools_ = false;
};

}  // namespace switchyard
