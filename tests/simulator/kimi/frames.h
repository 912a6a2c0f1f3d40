// Envelopes and events of the simulated Kimi's stream.
#pragma once

#include <string>
#include <vector>

#include "boost/json/value.hpp"
#include "tests/simulator/script.h"

namespace simulator::kimi {

std::string Envelope(const std::string& payload, unsigned flags = 0);
std::string Gzip(const std::string& text);
/// {"code", "details"}.
boost::json::object ErrorObject(const std::string& code, const std::string& reason = "REASON_EXAMPLE");
std::string ErrorFrame(const std::string& code, const std::string& reason = "REASON_EXAMPLE");

struct AnswerIds {
  std::string chat, question, answer, scenario, prompt;
};

/// Writes the events of one answer, numbered.
class EventWriter {
 public:
  EventWriter(AnswerIds ids, const Script& script) : ids_(std::move(ids)), script_(script) {}

  std::string Opening();
  std::string Thoughts();
  std::string Pages();
  std::string Piece(const std::string& text, size_t index);
  std::string References();
  std::string Exception();
  std::string Completed();
  std::string Done();

 private:
  std::string Event(const char* op, const char* mask, const char* member, boost::json::value value);
  std::string Framed(const boost::json::object& event) const;
  boost::json::object Source() const;

  const AnswerIds ids_;
  const Script script_;
  int offset_ = 0;
  std::string text_;
};

}  // namespace simulator::kimi
