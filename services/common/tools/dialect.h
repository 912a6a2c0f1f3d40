// How a platform's models are taught to write a tool call, and every form in which one is recognised. One table each.
//
// What is taught is plain text near to what the model's family was trained on. A family's own special tokens are never
// taught: in a web chat's prompt they are words like others or are taken out, and in its answers they may not show.
// They are understood where they do.
//
// Thread-safe: constant data.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace switchyard {

struct Dialect {
  enum class Form {
    kJson,    // <open>{"name": "f", "arguments": {"a": 1}}<close>
    kInvoke,  // <open><invoke name="f"><parameter name="a">1</parameter></invoke><close>, any number in one
    kPairs,   // <open>f <arg_key>a</arg_key> <arg_value>1</arg_value><close>
  };
  absl::string_view name;
  Form form;
  absl::string_view open;
  absl::string_view close;
};

/// The dialect taught to `platform`; the common one for a name that is not in the table.
const Dialect& DialectOf(absl::string_view platform);

/// Calls as the dialect writes them. Arguments that are no JSON object are rendered as none.
std::string RenderCalls(const Dialect& dialect,
                        absl::Span<const std::pair<std::string, std::string>> names_and_arguments);

// ---- What is recognised, whichever dialect is taught

/// What can open a call, or a block of calls.
absl::Span<const absl::string_view> CallOpeners();
/// What closes one.
absl::Span<const absl::string_view> CallClosers();
/// What stands between a name and its arguments.
absl::Span<const absl::string_view> NameSeparators();

/// Text in which nothing opens or closes a call any more: a space goes behind the '<' of what would.
std::string NeutraliseCalls(absl::string_view text);

}  // namespace switchyard
