// What a request chooses of a turn's ways, where the platform leaves a choice: reasoning, web search, and how reasoning
// is given. Pure.
//
// `reasoning_effort`: "none" turns thinking off and any other word turns it on. How deep it goes can be said to two
// platforms: Kimi's newest form takes minimal and low as low, medium and high as high, xhigh and max as the most;
// Zhipu's current dialect takes all up to high as high, xhigh and max as the most. Elsewhere thinking is on or off.
// `web_search_options` turns search on; no platform takes a depth or a place.
//
//   platform               thinking                                    web search
//   DeepSeek               a switch                                    a switch
//   Kimi                   a switch                                    a switch
//   Metaso, dialect a      never                                       always
//   Metaso, dialect b      as the platform likes                       always
//   Doubao                 a switch                                    as the platform likes
//   Qwen, dialect a        a switch between the two Qwen3-Max models   never
//   Qwen, dialect b        a switch                                    a switch
//   Zhipu, classic         as the platform likes                       a switch
//   Zhipu, current         a switch; deep research as it likes         a switch
//   MiniMax, matrix        as the platform likes                       as the platform likes
//   MiniMax, agent         a switch for M3, else as the platform likes as the platform likes
//
// Source: section 1 of each platform's protocol notes. What is asked for and cannot be is told in a notice.
#pragma once

#include <vector>

#include "services/common/catalogue/catalogue.h"
#include "services/common/provider/provider.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

struct Choices {
  bool thinking = false;
  bool web_search = false;
  /// With a response format, reasoning is never inside the text: `think` and `tags` become `separate`.
  chat::v1::ReasoningFormat format = chat::v1::REASONING_FORMAT_THINK;
  /// reasoning_not_available, reasoning_always_on, web_search_not_available, web_search_always_on
  std::vector<chat::v1::Notice> notices = {};
};

Choices Choose(const ChatRequest& request, const ModelEntry& model, const Abilities& abilities,
               chat::v1::ReasoningFormat default_format);

}  // namespace switchyard
