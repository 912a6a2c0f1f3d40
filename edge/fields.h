// The members of a JSON object, read one by one; the first fault stays and ends the reading.
//
//   absl::Status fault;
//   Fields fields(body, fault);
//   if (auto value = fields.Double("temperature")) sampling.set_temperature(*value);
//   if (!fault.ok()) return fault;
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/common/text/json.h"

namespace switchyard {

class Fields {
 public:
  Fields(JsonReader reader, absl::Status& fault) : reader_(std::move(reader)), fault_(fault) {
    Check(reader_.MustBeObject());
  }

  std::optional<std::string> String(absl::string_view key) { return Take(key, &JsonReader::OptionalString); }
  std::optional<bool> Bool(absl::string_view key) { return Take(key, &JsonReader::OptionalBool); }
  std::optional<int64_t> Int(absl::string_view key) { return Take(key, &JsonReader::OptionalInt); }
  std::optional<double> Double(absl::string_view key) { return Take(key, &JsonReader::OptionalDouble); }

  /// The member itself; nullptr if absent or null, or after a fault.
  const boost::json::value* Raw(absl::string_view key) {
    known_.insert(std::string(key));
    return fault_.ok() ? reader_.Find(key) : nullptr;
  }
  /// A required string; "" after a fault.
  std::string Required(absl::string_view key) {
    known_.insert(std::string(key));
    if (!fault_.ok()) return "";
    auto value = reader_.String(key);
    Check(value.status());
    return value.ok() ? *std::move(value) : std::string();
  }

  std::string PathOf(absl::string_view key) const { return reader_.PathOf(key); }
  void Fault(absl::string_view key, absl::string_view what) { Check(InvalidField(reader_.PathOf(key), what)); }
  void Wrong(absl::string_view key, absl::string_view expected) { Check(reader_.Wrong(key, expected)); }
  bool ok() const { return fault_.ok(); }

  /// Members that nobody asked for.
  std::vector<std::string> Unknown() const {
    std::vector<std::string> unknown;
    if (!reader_.value().is_object()) return unknown;
    for (const auto& member : reader_.value().get_object()) {
      std::string name(member.key());
      if (known_.count(name) == 0) unknown.push_back(std::move(name));
    }
    return unknown;
  }

 private:
  template <typename T>
  std::optional<T> Take(absl::string_view key,
                        absl::StatusOr<std::optional<T>> (JsonReader::*read)(absl::string_view) const) {
    known_.insert(std::string(key));
    if (!fault_.ok()) return std::nullopt;
    auto value = (reader_.*read)(key);
    Check(value.status());
    return value.ok() ? *std::move(value) : std::nullopt;
  }
  void Check(const absl::Status& status) {
    if (fault_.ok() && !status.ok()) fault_ = status;
  }

  JsonReader reader_;
  absl::Status& fault_;
  std::set<std::string> known_;
};

}  // namespace switchyard
