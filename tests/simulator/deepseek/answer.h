// One answer of the simulated DeepSeek as the events of its stream, piece by piece.
#pragma once

#include <string>
#include <vector>

#include "boost/json/value.hpp"
#include "tests/simulator/deepseek/delta_encoder.h"
#include "tests/simulator/script.h"

namespace simulator::deepseek {

struct AnswerPlan {
  Script script;
  bool thinking = false;
  bool search = false;
  std::string model_type;
  int64_t request_message = 1;
  int64_t response_message = 2;
  int64_t tokens_before = 0;
  std::string prompt;
};

class AnswerScript {
 public:
  explicit AnswerScript(AnswerPlan plan);

  /// ready, update_session, snapshot, and the reasoning or search that comes first.
  std::string Opening();
  /// @param continued the text of a continued answer so far; its snapshot holds it unless the script says otherwise
  std::string Reopening(const std::string& continued);
  std::string Piece(const std::string& text);
  /// The end with a status word: "FINISHED", "INCOMPLETE", …
  std::string Ending(const std::string& status, int64_t tokens);
  std::string Withdrawal(int64_t tokens);
  static std::string Hint(const std::string& finish_reason);
  std::string Closing(bool retry) const;
  /// Everything but the closing event of an answer whose status never came.
  std::string Tail() const;
  boost::json::value WholeMessage(const std::string& text, const std::string& status) const;

 private:
  boost::json::object ResponseObject(boost::json::array fragments) const;
  std::string Named(const std::string& event, const boost::json::value& data) const;
  boost::json::object Fragment(const std::string& type, const std::string& content);
  std::string OpenText(const std::string& first);

  AnswerPlan plan_;
  std::string dialect_;
  DeltaEncoder encoder_;
  int next_fragment_ = 2;
  bool text_open_ = false;
  int references_ = 0;
};

}  // namespace simulator::deepseek
