// What both of Qwen's answer streams tell besides their events.
#pragma once

#include <string>

#include "services/common/provider/answer_stream.h"

namespace switchyard::qwen {

/// How the platform ended the answer.
enum class Ending {
  kOpen,  // not yet
  kStop,
  kContentFilter,  // stopped by the content review
};

class StreamDecoder : public AnswerDecoder {
 public:
  virtual Ending ending() const = 0;
  /// The conversation and the answer in it, once the platform said them.
  virtual const std::string& session() const = 0;
  virtual const std::string& message() const = 0;
  /// Whether any text or reasoning came out.
  virtual bool has_content() const = 0;
};

}  // namespace switchyard::qwen
