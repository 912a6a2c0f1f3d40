// What a ChatRequest has to be before a platform is bothered with it. Pure.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/common/catalogue/catalogue.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// The model of the request. NOT_FOUND (MODEL_NOT_FOUND, field "model") for an unknown id; INVALID_ARGUMENT for none.
absl::StatusOr<const ModelEntry*> ResolveModel(const chat::v1::ChatRequest& request);

/// INVALID_ARGUMENT naming the first field that is missing, out of range or cannot be honoured.
/// @param ignore_unsupported the service's own setting, which the request may override.
absl::Status ValidateRequest(const chat::v1::ChatRequest& request, const ModelEntry& model, bool ignore_unsupported);

}  // namespace switchyard
