// One answer of the simulated Doubao as the events of its stream, piece by piece.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "boost/json/value.hpp"
#include "tests/simulator/script.h"

namespace simulator::doubao {

struct AnswerPlan {
  Script script;
  bool thinking = false;
  bool deltas = true;                                   // the client takes CHUNK_DELTA
  std::string conversation, section, question, answer;  // ids
  int64_t question_index = 1;
  std::string prompt;
};

/// What both dialects have.
class AnswerScript {
 public:
  virtual ~AnswerScript() = default;
  /// Heartbeat, acknowledgement and, in dialect A, the echo of the question.
  virtual std::string Opening() = 0;
  /// The thinking, where there is some, and what was searched meanwhile.
  virtual std::vector<std::string> Thoughts() = 0;
  virtual std::string Piece(const std::string& text) = 0;
  /// @param text all of it, for the summary
  virtual std::string Ending(const std::string& text) = 0;
  /// An event with a piece of text whose data is `data`, which may be anything.
  virtual std::string RawPiece(const std::string& data) = 0;
  virtual std::string Error(int64_t code, const std::string& message) = 0;
  virtual std::string Heartbeat() = 0;
};

class NamedEvents final : public AnswerScript {
 public:
  explicit NamedEvents(AnswerPlan plan) : plan_(std::move(plan)) {}

  std::string Opening() override;
  std::vector<std::string> Thoughts() override;
  std::string Piece(const std::string& text) override;
  std::string Ending(const std::string& text) override;
  std::string RawPiece(const std::string& data) override { return RawEvent("CHUNK_DELTA", data); }
  std::string Error(int64_t code, const std::string& message) override;
  std::string Heartbeat() override { return RawEvent("SSE_HEARTBEAT", "{}"); }

 private:
  std::string Event(const std::string& name, const boost::json::value& data);
  std::string RawEvent(const std::string& name, const std::string& data);
  boost::json::value Id(const std::string& id) const;
  std::string Message(boost::json::array blocks);
  std::string Patch(boost::json::array blocks, const std::string& speech);

  AnswerPlan plan_;
  int next_ = 0;
  bool message_open_ = false;
  bool text_open_ = false;
};

/// An event stream that is nothing but an error: STREAM_ERROR, and gateway-error behind it where `gateway`. In the
/// `older` dialect an event of type 2005.
std::string ErrorStream(int64_t code, const std::string& message, bool verify, bool gateway, bool older);

}  // namespace simulator::doubao
