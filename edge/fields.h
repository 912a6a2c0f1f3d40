// The members of a JSON object, read one by one; the first fault stays and ends the reading.
//
//   Reading reading;
//   Fields fields(body, reading);
//   if (auto value = fields.Double("temperature")) sampling.set_temperature(*value);
//   if (!reading.fault.ok()) return reading.fault;
//
// What nobody asked for is noted in `reading.ignored` when the Fields go.
#pragma once

#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/common/text/views.h"

namespace switchyard {

/// What comes of reading one request body.
struct Reading {
  absl::Status fault;             // the first; INVALID_REQUEST naming the field
  std::set<std::string> ignored;  // members that mean nothing here: "top", "messages[].extra"; at most kMaxIgnored

  static constexpr size_t kMaxIgnored = 32;
  static constexpr size_t kMaxIgnoredName = 64;
};

/// A word of the API and what it stands for.
template <typename Enum>
struct Word {
  absl::string_view word;
  Enum value;
};

class Fields {
 public:
  Fields(JsonReader reader, Reading& reading) : reader_(std::move(reader)), reading_(reading) {
    Check(reader_.MustBeObject());
  }
  ~Fields() { NoteUnknown(); }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  std::optional<std::string> String(absl::string_view key) { return Take(key, &JsonReader::OptionalString); }
  std::optional<bool> Bool(absl::string_view key) { return Take(key, &JsonReader::OptionalBool); }
  std::optional<int64_t> Int(absl::string_view key) { return Take(key, &JsonReader::OptionalInt); }
  std::optional<double> Double(absl::string_view key) { return Take(key, &JsonReader::OptionalDouble); }

  /// A string of at most `code_points`.
  std::optional<std::string> String(absl::string_view key, int64_t code_points) {
    auto text = String(key);
    if (text && CountCodePoints(*text) > code_points) {
      Fault(key, absl::StrCat("may have at most ", code_points, " characters"));
      return std::nullopt;
    }
    return text;
  }
  std::optional<int64_t> Int(absl::string_view key, int64_t low, int64_t high) {
    const auto value = Int(key);
    if (!value || (*value >= low && *value <= high)) return value;
    Fault(key, high == std::numeric_limits<int64_t>::max() ? absl::StrCat("must be at least ", low)
                                                           : absl::StrCat("must be from ", low, " to ", high));
    return std::nullopt;
  }
  /// One of some words; a fault that names them all otherwise.
  template <typename Table>
  auto OneOf(absl::string_view key, const Table& table) -> std::optional<decltype(table[0].value)> {
    const auto text = String(key);
    if (!text) return std::nullopt;
    std::string words;
    for (const auto& row : table) {
      if (row.word == *text) return row.value;
      absl::StrAppend(&words, words.empty() ? "" : ", ", row.word);
    }
    Fault(key, absl::StrCat("must be one of ", words));
    return std::nullopt;
  }

  /// The member itself; nullptr if absent or null, or after a fault.
  const boost::json::value* Raw(absl::string_view key) {
    known_.insert(std::string(key));
    return ok() ? reader_.Find(key) : nullptr;
  }
  /// The member if it is a list, of at most `most`; a fault saying what it should be otherwise.
  const boost::json::array* List(absl::string_view key, absl::string_view expected, size_t most) {
    const boost::json::value* value = Raw(key);
    if (value == nullptr) return nullptr;
    if (!value->is_array()) {
      Wrong(key, expected);
    } else if (value->get_array().size() > most) {
      Fault(key, absl::StrCat("may hold at most ", most));
    } else {
      return &value->get_array();
    }
    return nullptr;
  }
  /// A required string; "" after a fault.
  std::string Required(absl::string_view key) {
    known_.insert(std::string(key));
    if (!ok()) return "";
    auto value = reader_.String(key);
    Check(value.status());
    return value.ok() ? *std::move(value) : std::string();
  }
  /// A string where it stands in the JSON, which may be large; nullopt if it is not there.
  std::optional<absl::string_view> View(absl::string_view key) {
    const boost::json::value* value = Raw(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_string()) return ToAbsl(value->get_string());
    Wrong(key, "a string");
    return std::nullopt;
  }
  /// A required object; nullptr after a fault.
  const boost::json::value* RequiredRaw(absl::string_view key) {
    const boost::json::value* value = Raw(key);
    if (value == nullptr && ok()) Fault(key, "is missing");
    return value;
  }

  std::string PathOf(absl::string_view key) const { return reader_.PathOf(key); }
  std::string PathOf(absl::string_view key, size_t index) const {
    return absl::StrCat(reader_.PathOf(key), "[", index, "]");
  }
  void Fault(absl::string_view key, absl::string_view what) { Check(InvalidField(reader_.PathOf(key), what)); }
  /// A fault of the object itself.
  void Fault(absl::string_view what) { Check(InvalidField(reader_.path(), what)); }
  void Wrong(absl::string_view key, absl::string_view expected) { Check(reader_.Wrong(key, expected)); }
  bool ok() const { return reading_.fault.ok(); }

 private:
  template <typename T>
  std::optional<T> Take(absl::string_view key,
                        absl::StatusOr<std::optional<T>> (JsonReader::*read)(absl::string_view) const) {
    known_.insert(std::string(key));
    if (!ok()) return std::nullopt;
    auto value = (reader_.*read)(key);
    Check(value.status());
    return value.ok() ? *std::move(value) : std::nullopt;
  }
  void Check(const absl::Status& status) {
    if (ok() && !status.ok()) reading_.fault = status;
  }

  void NoteUnknown() {
    if (!ok() || !reader_.value().is_object()) return;
    for (const auto& member : reader_.value().get_object()) {
      const absl::string_view name = ToAbsl(member.key());
      if (known_.count(name) > 0 || reading_.ignored.size() >= Reading::kMaxIgnored) continue;
      reading_.ignored.insert(WithoutIndexes(reader_.PathOf(name)).substr(0, Reading::kMaxIgnoredName));
    }
  }
  // One name for the same member of every message.
  static std::string WithoutIndexes(absl::string_view path) {
    std::string out;
    bool inside = false;
    for (const char c : path) {
      if (c == ']') inside = false;
      if (!inside) out.push_back(c);
      if (c == '[') inside = true;
    }
    return out;
  }

  JsonReader reader_;
  Reading& reading_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace switchyard
