// JSON Schema (draft 7, and what later drafts kept of it) as a check of values: a tool's arguments, a structured
// answer.
//
//   auto schema = JsonSchema::Parse(*ParseJson(text));
//   if (!schema.ok()) … INVALID_ARGUMENT, says what is wrong with it …
//   absl::Status fits = schema->Check(value);   // INVALID_ARGUMENT: "at /city: …"
//
// References to schemas within the schema are followed; those to other documents are refused, never fetched. A schema
// that is too large, and a check that takes too long, is an error: both come from strangers. `format`, `pattern`
// and `patternProperties` are not checked.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "boost/json/value.hpp"

namespace switchyard {

/// Immutable and thread-safe; copies share one schema.
class JsonSchema {
 public:
  /// INVALID_ARGUMENT with a plain sentence.
  static absl::StatusOr<JsonSchema> Parse(const boost::json::value& schema);

  /// INVALID_ARGUMENT naming the place, as a JSON pointer, and the first thing wrong there.
  absl::Status Check(const boost::json::value& value) const;

 private:
  struct Rules;
  explicit JsonSchema(std::shared_ptr<const Rules> rules) : rules_(std::move(rules)) {}

  std::shared_ptr<const Rules> rules_;
};

}  // namespace switchyard
