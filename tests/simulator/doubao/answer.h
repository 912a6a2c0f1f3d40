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

class AnswerScript {
 public:
  explicit AnswerScript(AnswerPlan plan) : plan_(std::move(plan)) {}

  /// Heartbeat, acknowledgement and the echo of the question.
  std::string Opening();
  /// The thinking, where there is some, and what was searched meanwhile.
  std::vector<std::string> Thoughts();
  std::string Piece(const std::string& text);
  /// @param text all of it, for the summary
  std::string Ending(const std::string& text);
  std::string Event(const std::string& name, const boost::json::value& data);
  /// Any text as an event's data.
  std::string RawEvent(const std::string& name, const std::string& data);

 private:
  boost::json::value Id(const std::string& id) const;
  std::string Message(boost::json::array blocks);
  std::string Patch(boost::json::array blocks, const std::string& speech);

  AnswerPlan plan_;
  int next_ = 0;
  bool message_open_ = false;
  bool text_open_ = false;
};

/// An event stream that is nothing but an error: STREAM_ERROR, and gateway-error behind it where `gateway`.
std::string ErrorStream(int64_t code, const std::string& message, bool verify, bool gateway);

}  // namespace simulator::doubao
