// Kimi's ids. Source: protocol notes, section 1.2.
#pragma once

#include <string>
#include <vector>

#include "tests/mesh/model_table.h"

namespace switchyard {

inline std::vector<ModelRow> KimiModels() {
  static constexpr char kPlain[] =
      R"({"scenario":"SCENARIO_K2D5","tools":[],"message":{"scenario":"SCENARIO_K2D5"},"options":{"thinking":false}})";
  static constexpr char kThinks[] = R"({"scenario":"SCENARIO_K2D5","tools":[],"options":{"thinking":true}})";
  static constexpr char kSearches[] =
      R"({"scenario":"SCENARIO_K2D5","tools":[{"type":"TOOL_TYPE_SEARCH","search":{}}],"options":{"thinking":false}})";
  static constexpr char kBoth[] =
      R"({"scenario":"SCENARIO_K2D5","tools":[{"type":"TOOL_TYPE_SEARCH","search":{}}],"options":{"thinking":true}})";
  static constexpr char kOld[] = R"({"scenario":"SCENARIO_K1D5","tools":[],"options":{"thinking":false}})";
  static constexpr char kOldSearches[] =
      R"({"scenario":"SCENARIO_K1D5","tools":[{"type":"TOOL_TYPE_SEARCH","search":{}}],"options":{"thinking":false}})";
  static constexpr char kOldThinks[] = R"({"scenario":"SCENARIO_K1D5","tools":[],"options":{"thinking":true}})";
  static constexpr char kOldBoth[] =
      R"({"scenario":"SCENARIO_K1D5","tools":[{"type":"TOOL_TYPE_SEARCH","search":{}}],"options":{"thinking":true}})";
  return {
      {"kimi", kPlain},
      {"kimi-search", kSearches},
      {"kimi-thinking", kThinks},
      {"kimi-thinking-search", kBoth},
      {"kimi-latest", kPlain},
      {"kimi-latest-search", kSearches},
      {"kimi-latest-thinking", kThinks},
      {"kimi-latest-thinking-search", kBoth},
      {"kimi-vision", kPlain},
      {"kimi-vision-search", kSearches},
      {"kimi-vision-thinking", kThinks},
      {"kimi-vision-thinking-search", kBoth},
      {"kimi-k2.6", kPlain},
      {"kimi-k2.6-search", kSearches},
      {"kimi-k2.6-thinking", kThinks},
      {"kimi-k2.6-thinking-search", kBoth},
      {"kimi-k2.5", kPlain},
      {"kimi-k2.5-search", kSearches},
      {"kimi-k2.5-thinking", kThinks},
      {"kimi-k2.5-thinking-search", kBoth},
      {"kimi-k2", kPlain},
      {"kimi-k2-search", kSearches},
      {"kimi-k2-thinking", kThinks},
      {"kimi-k2-thinking-search", kBoth},
      {"moonshot-v1-8k", kPlain},
      {"moonshot-v1-8k-search", kSearches},
      {"moonshot-v1-8k-thinking", kThinks},
      {"moonshot-v1-8k-thinking-search", kBoth},
      {"moonshot-v1-32k", kPlain},
      {"moonshot-v1-32k-search", kSearches},
      {"moonshot-v1-32k-thinking", kThinks},
      {"moonshot-v1-32k-thinking-search", kBoth},
      {"moonshot-v1-128k", kPlain},
      {"moonshot-v1-128k-search", kSearches},
      {"moonshot-v1-128k-thinking", kThinks},
      {"moonshot-v1-128k-thinking-search", kBoth},
      {"kimi-k1.5", kOld},
      {"kimi-k1.5-search", kOldSearches},
      {"kimi-k1.5-thinking", kOldThinks},
      {"kimi-k1.5-thinking-search", kOldBoth},
      {"kimi-k1", kOld},
      {"kimi-k1-search", kOldSearches},
      {"kimi-k1-thinking", kOldThinks},
      {"kimi-k1-thinking-search", kOldBoth},
      {"kimi-k3",
       R"({"scenario":"SCENARIO_OK_COMPUTER","kimiplusId":"ok-computer","tools":[],"options":{"thinking":true}})"},
      {"kimi-k3-search", R"({"scenario":"SCENARIO_OK_COMPUTER","kimiplusId":"ok-computer","options":{"thinking":true},)"
                         R"("tools":[{"type":"TOOL_TYPE_SEARCH","search":{}}]})"},
  };
}

inline std::vector<ModelRow> KimiChatModels() {
  static constexpr char kPlain[] =
      R"({"scenario":"SCENARIO_CHAT","project_id":"","message":{"scenario":"SCENARIO_CHAT","is_goal":false},)"
      R"("options":{"thinking":false,"enable_plugin":true,"reasoning_effort":"REASONING_EFFORT_NONE","model":"k2d6-chat"}})";
  return {
      {"kimi", kPlain},
      {"kimi-k2.6", kPlain},
      {"kimi-k2.6-thinking",
       R"({"scenario":"SCENARIO_CHAT","options":{"thinking":true,"reasoning_effort":"REASONING_EFFORT_LOW"}})"},
      {"kimi-k3", R"({"scenario":"SCENARIO_CHAT","options":{"thinking":true,"model":"k3-agent"}})"},
  };
}

}  // namespace switchyard
