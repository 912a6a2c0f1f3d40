// The opaque id by which a caller continues a conversation: sealed, bound to the account and to the caller.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/session/seal.h"

namespace switchyard {

struct ConversationId {
  std::string platform;
  std::string account;     // label
  std::string resume_ref;  // the platform's own
};

std::string SealConversationId(const Sealer& sealer, const ConversationId& id, absl::string_view caller);

/// INVALID_ARGUMENT (field "conversation_id") if it is damaged, or of another caller or relay.
absl::StatusOr<ConversationId> OpenConversationId(const Sealer& sealer, absl::string_view text,
                                                  absl::string_view caller);

}  // namespace switchyard
