// Where the sources of an answer are found in its document.
//
// Pure. Source: protocol notes of DeepSeek, sections 4.4 and 4.5.
#pragma once

#include <vector>

#include "boost/json/value.hpp"
#include "services/deepseek/citation_markers.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard::deepseek {

/// Whether the platform searched for this answer.
bool HasSources(const boost::json::value& document);

/// Appends a citation for every source that a mark names. Marks that name none are passed over.
void AppendCitations(const boost::json::value& document, const std::vector<CitationMarkers::Mark>& marks,
                     std::vector<chat::v1::ChatEvent>& events);

}  // namespace switchyard::deepseek
