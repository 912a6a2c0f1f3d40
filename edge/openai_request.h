// The body of POST /v1/chat/completions as a ChatRequest. Pure: form is checked here, meaning by the provider.
//
//   auto parsed = ParseChatCompletion(body);
//   if (!parsed.ok()) … INVALID_REQUEST naming the field …
//
// Source: OpenAI API reference, "Create chat completion"; the relay's own fields are listed in docs/api.md.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

struct ChatCompletionCall {
  chat::v1::ChatRequest request;
  bool stream = false;
  bool include_usage = false;      // stream_options.include_usage
  int n = 1;                       // choices, 1 to 8
  bool calls_as_function = false;  // asked with `functions`: calls are answered as `function_call`
};

/// INVALID_ARGUMENT (INVALID_REQUEST) naming the field. What is well-formed but cannot be honoured is listed in
/// `request.unsupported`: whether that is an error is the provider's to say.
absl::StatusOr<ChatCompletionCall> ParseChatCompletion(absl::string_view body);

}  // namespace switchyard
