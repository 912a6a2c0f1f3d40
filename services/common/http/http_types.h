// HTTP messages as plain values. Nothing here knows Beast.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace switchyard {

/// Header fields in order, names compared without case. Values must not hold CR, LF or NUL: the client and the server
/// refuse to send such a message (INTERNAL).
class HttpHeaders {
 public:
  using Field = std::pair<std::string, std::string>;

  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<Field> fields) : fields_(fields) {}

  void Add(absl::string_view name, absl::string_view value) { fields_.emplace_back(name, value); }

  /// Replaces every field of that name.
  void Set(absl::string_view name, absl::string_view value) {
    Remove(name);
    Add(name, value);
  }

  void Remove(absl::string_view name) {
    std::erase_if(fields_, [&](const Field& field) { return absl::EqualsIgnoreCase(field.first, name); });
  }

  /// The first field of that name, or nullopt.
  std::optional<absl::string_view> Find(absl::string_view name) const {
    for (const Field& field : fields_) {
      if (absl::EqualsIgnoreCase(field.first, name)) return absl::string_view(field.second);
    }
    return std::nullopt;
  }

  /// The first field of that name, or "".
  absl::string_view Get(absl::string_view name) const { return Find(name).value_or(absl::string_view()); }

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  size_t size() const { return fields_.size(); }

 private:
  std::vector<Field> fields_;
};

}  // namespace switchyard
