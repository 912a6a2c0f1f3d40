// `response_format`: what is asked of a platform that knows no such thing, and what its answer must be. Pure.
//
//   auto output = StructuredOutput::From(request.response_format());   // error: the request's own
//   prompt += (*output)->Instructions(false);
//   auto json = (*output)->Read(answer);
//   if (!json.ok()) … one more turn with (*output)->RepairPrompt(answer, json.status()) …
//
// The schema is an instruction to the platform and a check of what comes back. What is taken from an answer is one JSON
// value, as the platform wrote it: a fence or prose around it is cut off, and faults that can be mended without a guess
// are (a comma too many, comments, True/False/None, raw line breaks in strings). An answer with several values that
// would do is refused.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/common/json_schema/json_schema.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

class StructuredOutput {
 public:
  /// None for plain text. INVALID_ARGUMENT (INVALID_REQUEST) naming `response_format.json_schema.name` or `.schema`.
  static absl::StatusOr<std::optional<StructuredOutput>> From(const chat::v1::ResponseFormat& format);

  /// To be put behind the conversation, with an empty line between.
  /// @param tools whether the platform may call some instead
  std::string Instructions(bool tools) const;

  /// The JSON text of a whole answer. INVALID_ARGUMENT saying what is wrong and where; it may quote the answer's keys.
  absl::StatusOr<std::string> Read(absl::string_view answer) const;

  /// Asks for the same once more. It stands alone: the answer and what is wrong with it are in it.
  std::string RepairPrompt(absl::string_view answer, const absl::Status& fault) const;

  /// `fault` of Read() as an error for the caller: UPSTREAM_CHANGED with the cause "format_not_met". It names places of
  /// the schema and nothing that is only in the answer.
  absl::Status Error(const absl::Status& fault, absl::string_view platform) const;

  /// What an answer that was cut short is shown as: without the fence that opens it.
  static absl::string_view WithoutOpeningFence(absl::string_view answer);

 private:
  StructuredOutput() = default;
  absl::Status Check(absl::string_view json) const;
  std::string Demand() const;
  std::string WithoutAnswer(absl::string_view fault) const;

  std::string name_;
  std::string description_;
  std::string schema_text_;             // empty: any object
  std::optional<JsonSchema> schema_;    // the same
  std::set<std::string> schema_words_;  // every key and string of the schema
};

}  // namespace switchyard
