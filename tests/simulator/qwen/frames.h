// What the simulated stream consists of, byte for byte as the platform frames it.
#pragma once

#include <string>

#include "tests/simulator/script.h"

namespace simulator::qwen {

class Frames {
 public:
  Frames(const Script& script, std::string session, std::string message, std::string parent)
      : script_(script), session_(std::move(session)), message_(std::move(message)), parent_(std::move(parent)) {}

  std::string Raw(const std::string& payload) const;
  /// A snapshot while the answer is being written.
  std::string Running(const std::string& text, const std::string& thought) const;
  std::string Delta(const std::string& text) const;
  std::string Last(const std::string& text, const std::string& thought, bool may_share) const;
  std::string Error(const std::string& code, const std::string& said) const;
  std::string Between() const;
  std::string Done() const { return Raw("[DONE]"); }

 private:
  std::string Frame(const char* status, const std::string& text, const std::string& thought, bool may_share,
                    bool incremental) const;

  const Script script_;
  const std::string session_, message_, parent_;
};

}  // namespace simulator::qwen
