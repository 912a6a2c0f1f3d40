// A string that cannot be logged: it has no operator<<, no conversion to a string and no place in StrCat or fmt.
//
//   Secret token(value);
//   headers.Add("authorization", absl::StrCat("Bearer ", token.Reveal()));   // the one way out, easy to grep for
#pragma once

#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace switchyard {

/// Value type. The bytes are overwritten when it goes.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.Wipe(); }
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      Wipe();
      value_ = other.value_;
    }
    return *this;
  }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      Wipe();
      value_ = std::move(other.value_);
      other.Wipe();
    }
    return *this;
  }
  ~Secret() { Wipe(); }

  /// The value itself: only for the wire, for sealing and for comparing.
  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

  friend bool operator==(const Secret& a, const Secret& b) { return a.value_ == b.value_; }

 private:
  void Wipe() {
    volatile char* bytes = value_.data();
    for (size_t i = 0; i < value_.size(); ++i) bytes[i] = 0;
    value_.clear();
  }

  std::string value_;
};

}  // namespace switchyard
