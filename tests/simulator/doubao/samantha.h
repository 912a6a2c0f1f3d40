// The older dialect of the simulated Doubao: numbered events, three layers of JSON.
#pragma once

#include <string>
#include <vector>

#include "tests/simulator/doubao/answer.h"

namespace simulator::doubao {

/// What is wrong with a request of this dialect; "" if nothing is.
std::string WrongSamanthaBody(const boost::json::value& body);
/// The question in it.
std::string SamanthaPrompt(const boost::json::value& body);

class NumberedEvents final : public AnswerScript {
 public:
  explicit NumberedEvents(AnswerPlan plan) : plan_(std::move(plan)) {}

  std::string Opening() override;
  std::vector<std::string> Thoughts() override;
  std::string Piece(const std::string& text) override;
  std::string Ending(const std::string& text) override;
  std::string RawPiece(const std::string& data) override { return Line(data); }
  std::string Error(int64_t code, const std::string& message) override;
  std::string Heartbeat() override { return Line(R"({"event_type":1})"); }

 private:
  std::string Line(const std::string& data) const;
  std::string Frame(int type, const boost::json::value& data);
  std::string Message(int content_type, const boost::json::value& content, bool finish = false);

  AnswerPlan plan_;
  int next_ = 0;
};

}  // namespace simulator::doubao
