// The frames of the simulated Zhipu's stream.
#pragma once

#include <string>
#include <utility>

#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "tests/simulator/script.h"

namespace simulator::zhipu {

class Frames {
 public:
  Frames(Script script, std::string conversation, std::string message, std::string part)
      : script_(std::move(script)),
        conversation_(std::move(conversation)),
        message_(std::move(message)),
        part_(std::move(part)) {}

  const std::string& part() const { return part_; }

  std::string Frame(const std::string& status, boost::json::array parts, boost::json::object more = {}) const;
  boost::json::array Part(const char* type, const std::string& text, bool finished) const;
  /// A frame with the next piece of a paragraph, or with all so far.
  std::string Piece(const char* type, std::string& so_far, const std::string& piece) const;
  std::string Whole(const char* type, const std::string& text) const;
  std::string Between() const;
  std::string Sources() const;
  std::string Fault(const std::string& fault) const;

 private:
  std::string Raw(const std::string& payload) const;

  const Script script_;
  const std::string conversation_, message_, part_;
};

}  // namespace simulator::zhipu
