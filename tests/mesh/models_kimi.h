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
  return {
      {"kimi", kPlain},
      {"kimi-thinking", kThinks},
      {"kimi-search", kSearches},
      {"kimi-thinking-search", kBoth},
      {"kimi-latest", kPlain},
      {"kimi-vision", kPlain},
      {"kimi-k2.6", kPlain},
      {"kimi-k2.6-thinking", kThinks},
      {"kimi-k2.5", kPlain},
      {"kimi-k2.5-thinking", kThinks},
      {"kimi-k2", kPlain},
      {"kimi-k2-thinking", kThinks},
      {"kimi-k1.5", R"({"scenario":"SCENARIO_K1D5","options":{"thinking":false}})"},
      {"kimi-k1.5-thinking", R"({"scenario":"SCENARIO_K1D5","options":{"thinking":true}})"},
      {"kimi-k3", R"({"scenario":"SCENARIO_OK_COMPUTER","kimiplusId":"ok-computer","options":{"thinking":true}})"},
      {"moonshot-v1-8k", kPlain},
      {"moonshot-v1-32k", kPlain},
      {"moonshot-v1-128k", kPlain},
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
