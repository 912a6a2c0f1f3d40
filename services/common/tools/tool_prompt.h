// What a model is told of tools, as text: the block that goes before the conversation, and the calls and results of its
// history in the very words of that block's dialect.
//
// Pure.
#pragma once

#include <string>

#include "services/common/tools/dialect.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// The definitions and the rules; empty if nothing may be called. @param brief a reminder, in a conversation that has
/// seen them: names and types alone
std::string ToolInstructions(const chat::v1::ChatRequest& request, const Dialect& dialect, bool brief);

/// The calls of a message of the assistant; it has some.
std::string CallsOf(const chat::v1::Message& message, const Dialect& dialect);

/// The heading of a result, without brackets, by the call that it answers: "Tool result 2: get_weather". The number
/// stands where its message made several calls; nothing but the words where the call is not in the request.
std::string ResultHeading(const chat::v1::ChatRequest& request, const chat::v1::Message& result);

/// Whether the request is about tools at all: some are given, or its history has calls or results.
bool ConcernsTools(const chat::v1::ChatRequest& request);

}  // namespace switchyard
