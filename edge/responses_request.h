// The body of POST /v1/responses as a ChatRequest: OpenAI's Responses API without its memory, since nothing is stored
// here. Pure: form is checked here, meaning by the provider.
//
// Source: OpenAI API reference, "Create a model response", and the types of the openai package 6.49.0.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "edge/field_names.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

struct ResponseCall {
  chat::v1::ChatRequest request;
  bool stream = false;
  bool reasoning_summary = false;  // reasoning.summary was asked for: reasoning is told as one
  std::string repeated;            // members that the response object repeats of the request: "temperature":0.5,…
  FieldNames names;
};

/// INVALID_ARGUMENT (INVALID_REQUEST) naming the field. What is well-formed but cannot be honoured is listed in
/// `request.unsupported`: whether that is an error is the provider's to say.
absl::StatusOr<ResponseCall> ParseResponse(absl::string_view body);

}  // namespace switchyard
