// JSON in and out: strict parsing under limits, lookups that say where they failed, strings written fast.
//
//   auto body = ParseJson(bytes);
//   if (!body.ok()) … "invalid JSON: …" …
//   JsonReader root(*body);
//   auto model = root.String("model");          // INVALID_ARGUMENT, field "model"
//
// Pure; nothing throws.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "boost/json/value.hpp"

namespace switchyard {

/// Refuses trailing text, depth above 64, invalid UTF-8 and, with `unique_keys`, an object that names a key twice.
/// INVALID_ARGUMENT with a plain sentence.
absl::StatusOr<boost::json::value> ParseJson(absl::string_view text, bool unique_keys = false);

/// The member at a path of keys, or nullptr.
const boost::json::value* FindMember(const boost::json::value& value, std::initializer_list<absl::string_view> path);

/// What a platform's answer holds, taken leniently; nullptr is an absent member.
/// "" unless it is a string. The view lives as long as the value.
absl::string_view JsonText(const boost::json::value* value);
/// A whole number, or a string that is one.
std::optional<int64_t> JsonWhole(const boost::json::value* value);
/// Unix seconds as a number or a string, or RFC 3339. Not a time before 1970 or after the year 5138.
std::optional<absl::Time> JsonTime(const boost::json::value* value);

/// Typed lookups in an object, for requests. A member that is null counts as absent. Errors are INVALID_ARGUMENT
/// (INVALID_REQUEST) and name the whole path.
class JsonReader {
 public:
  JsonReader(const boost::json::value& value, std::string path = "") : value_(&value), path_(std::move(path)) {}

  const boost::json::value& value() const { return *value_; }
  const std::string& path() const { return path_; }
  std::string PathOf(absl::string_view key) const;

  absl::Status MustBeObject() const;
  /// nullptr if absent or null.
  const boost::json::value* Find(absl::string_view key) const;

  absl::StatusOr<std::string> String(absl::string_view key) const;
  absl::StatusOr<std::optional<std::string>> OptionalString(absl::string_view key) const;
  absl::StatusOr<std::optional<bool>> OptionalBool(absl::string_view key) const;
  absl::StatusOr<std::optional<int64_t>> OptionalInt(absl::string_view key) const;
  absl::StatusOr<std::optional<double>> OptionalDouble(absl::string_view key) const;

  absl::Status Wrong(absl::string_view key, absl::string_view expected) const;

 private:
  const boost::json::value* value_;
  std::string path_;
};

/// "a string", "an object", …: what a value is, for messages.
absl::string_view KindName(const boost::json::value& value);

/// INVALID_REQUEST: "<path>: <what>".
absl::Status InvalidField(std::string path, absl::string_view what);

/// Appends `text` as a JSON string in quotes. `text` is valid UTF-8.
void AppendJsonString(std::string& out, absl::string_view text);

}  // namespace switchyard
