// MiniMax's ids in the matrix dialect. Source: protocol notes, section 1.2.
#pragma once

#include <vector>

#include "tests/mesh/model_table.h"

namespace switchyard {

inline std::vector<ModelRow> MiniMaxModels() {
  return {
      {"minimax", R"({"chat_type":2,"model_option":{"display_name":"Auto","model_type":0}})"},
      {"minimax-auto", R"({"chat_type":2,"model_option":{"display_name":"Auto","model_type":0}})"},
      {"MiniMax-M2.5", R"({"chat_type":2,"model_option":{"display_name":"MiniMax-M2.5","model_type":501}})"},
      {"MiniMax-M2.7", R"({"chat_type":2,"model_option":{"display_name":"MiniMax-M2.7","model_type":502}})"},
  };
}

// The agent dialect. Source: section 1.3.
inline std::vector<ModelRow> MiniMaxAgentModels() {
  return {
      {"minimax", R"({"model":{"provider_id":"minimax","model_id":"MiniMax-M3","variant":""}})"},
      {"minimax-auto", R"({"model":{"provider_id":"minimax","model_id":"MiniMax-M3","variant":""}})"},
      {"MiniMax-M2.5", R"({"model":{"provider_id":"minimax","model_id":"MiniMax-M2.5","variant":""}})"},
      {"MiniMax-M2.7", R"({"model":{"provider_id":"minimax","model_id":"MiniMax-M2.7","variant":""}})"},
      {"MiniMax-M2.7-highspeed",
       R"({"model":{"provider_id":"minimax","model_id":"MiniMax-M2.7-highspeed","variant":""}})"},
      {"MiniMax-M3", R"({"model":{"provider_id":"minimax","model_id":"MiniMax-M3","variant":""}})"},
      {"MiniMax-M3-thinking", R"({"model":{"provider_id":"minimax","model_id":"MiniMax-M3","variant":"thinking"}})"},
  };
}

}  // namespace switchyard
