// The events of Metaso's answers, in both dialects, byte for byte as the platform frames them.
#pragma once

#include <string>
#include <vector>

#include "boost/json/value.hpp"
#include "tests/simulator/script.h"

namespace simulator::metaso {

class Frames {
 public:
  /// @param chat the deltas of the newer dialect
  Frames(const Script& script, bool chat, std::string message)
      : script_(script), chat_(chat), message_(std::move(message)) {}

  std::string Raw(const std::string& payload) const;
  std::string Object(const boost::json::value& object) const;
  std::string Text(const std::string& text) const;
  std::string Thought(const std::string& text) const;
  std::string Sources() const;
  /// Between two pieces.
  std::string Between() const;
  /// An error, by the word of the fault; "" if it is none that a stream can hold.
  std::string Fault(const std::string& fault) const;
  std::string Done() const { return Raw("[DONE]"); }

 private:
  std::string Delta(const char* name, boost::json::value value) const;

  const Script script_;
  const bool chat_;
  const std::string message_;
};

}  // namespace simulator::metaso
