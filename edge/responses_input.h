// `input` of POST /v1/responses: items as messages. Pure.
#pragma once

#include "edge/field_names.h"
#include "edge/fields.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// Appends the messages. `names` learns where each of them, and each of its parts, stands in the input.
void ReadInput(Fields& fields, chat::v1::ChatRequest& request, FieldNames& names, Reading& reading);

}  // namespace switchyard
