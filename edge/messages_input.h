// `system` and `messages` of POST /v1/messages as the relay's messages. Pure.
#pragma once

#include "edge/field_names.h"
#include "edge/fields.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// Appends the messages. A tool's result, which Anthropic puts into a message of the user, is a message of its own.
/// `names` learns where each of them, and each of its parts, stands in the request.
void ReadMessages(Fields& fields, chat::v1::ChatRequest& request, FieldNames& names, Reading& reading);

}  // namespace switchyard
