// What the requests of several APIs have in common: the relay's own fields, words, data URLs. Pure.
#pragma once

#include <array>
#include <string>

#include "absl/strings/string_view.h"
#include "boost/json/value.hpp"
#include "edge/fields.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

using chat::v1::ReasoningOptions;

inline constexpr std::array kReasoningEfforts = {
    Word<ReasoningOptions::Effort>{"none", ReasoningOptions::EFFORT_NONE},
    Word<ReasoningOptions::Effort>{"minimal", ReasoningOptions::EFFORT_MINIMAL},
    Word<ReasoningOptions::Effort>{"low", ReasoningOptions::EFFORT_LOW},
    Word<ReasoningOptions::Effort>{"medium", ReasoningOptions::EFFORT_MEDIUM},
    Word<ReasoningOptions::Effort>{"high", ReasoningOptions::EFFORT_HIGH},
    Word<ReasoningOptions::Effort>{"xhigh", ReasoningOptions::EFFORT_MAX},
    Word<ReasoningOptions::Effort>{"max", ReasoningOptions::EFFORT_MAX},
};

/// The relay's own fields, which every API takes: `reasoning_format`, `web_search`, `conversation_id`,
/// `keep_conversation`, `account`, `history`, `ignore_unsupported`.
void ReadRelayFields(Fields& fields, chat::v1::ChatRequest& request);

/// OpenAI's `temperature`, `top_p`, penalties, `seed`, and `top_k`, which some clients add.
void ReadSampling(Fields& fields, chat::v1::ChatRequest& request);

/// OpenAI's `stop`: a string or at most four of them.
void ReadStop(Fields& fields, chat::v1::ChatRequest& request);

/// A member that is an object, as JSON text; "" if absent.
std::string ReadObject(Fields& fields, absl::string_view key);

/// An object of strings into the request's metadata.
void ReadMetadata(Fields& fields, chat::v1::ChatRequest& request);

/// {"type":"approximate","country","region","city","timezone"}.
void ReadUserLocation(Fields& owner, chat::v1::WebSearchOptions& search, Reading& reading);

/// "https://…" or "data:image/png;base64,…" at `key`.
void ReadImageUrl(Fields& owner, absl::string_view key, absl::string_view url, chat::v1::Image& image);

/// Base64 text; a fault at `key` if it is none.
std::string ReadBase64(Fields& owner, absl::string_view key, absl::string_view text);

/// Lists a field that is well-formed and cannot be honoured: the provider refuses it by name, or ignores it if told to.
void AddUnsupported(chat::v1::ChatRequest& request, std::string field, absl::string_view why);

/// Whether there is nothing in it: null, false, an empty string, list or object.
bool IsNeutral(const boost::json::value& value);

}  // namespace switchyard
