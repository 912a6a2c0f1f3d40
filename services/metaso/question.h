// A conversation as one search. Pure.
#pragma once

#include "absl/status/statusor.h"
#include "services/metaso/modes.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard::metaso {

/// What is searched for and how. The words that choose a mode are looked for in the last user message alone.
/// @param prompt the last user message, or the whole conversation, which ends with it
/// INVALID_ARGUMENT naming the field if there is nothing to search for.
absl::StatusOr<SearchPlan> PlanOf(const chat::v1::ChatRequest& request, absl::string_view prompt);

}  // namespace switchyard::metaso
