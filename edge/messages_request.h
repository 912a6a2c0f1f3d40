// The body of POST /v1/messages, Anthropic's Messages API, as a ChatRequest. Model ids are the relay's own. Pure: form
// is checked here, meaning by the provider.
//
// Source: Anthropic API reference, "Create a Message", and the types of the @anthropic-ai/sdk package 1.13.0.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "edge/field_names.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

struct MessagesCall {
  chat::v1::ChatRequest request;
  bool stream = false;
  FieldNames names;
};

/// INVALID_ARGUMENT (INVALID_REQUEST) naming the field. What is well-formed but cannot be honoured is listed in
/// `request.unsupported`: whether that is an error is the provider's to say.
absl::StatusOr<MessagesCall> ParseMessages(absl::string_view body);

}  // namespace switchyard
