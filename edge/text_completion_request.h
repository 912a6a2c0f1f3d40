// The body of POST /v1/completions, OpenAI's older text completion, as ChatRequests: a prompt is one message of the
// user. Pure: form is checked here, meaning by the provider.
//
// Source: OpenAI API reference, "Create completion (legacy)". OpenAI ends an answer after 16 tokens unless told
// otherwise; here it has no end of that kind, since nobody means it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "edge/field_names.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

struct TextCompletionCall {
  std::vector<chat::v1::ChatRequest> requests;  // one a prompt
  int n = 1;                                    // answers of each; at most 8 answers in all
  bool stream = false;
  bool include_usage = false;
  std::vector<std::string> echo;  // the prompts, if answers are to begin with them; else empty
  FieldNames names;
};

/// INVALID_ARGUMENT (INVALID_REQUEST) naming the field. What is well-formed but cannot be honoured is listed in
/// `unsupported` of the requests.
absl::StatusOr<TextCompletionCall> ParseTextCompletion(absl::string_view body);

}  // namespace switchyard
