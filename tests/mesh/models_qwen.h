// Qwen's ids. Source: protocol notes, section 1.
#pragma once

#include <vector>

#include "tests/mesh/model_table.h"

namespace switchyard {

inline std::vector<ModelRow> QwenModels() {
  return {
      {"qwen", R"({"model":"Qwen"})"},
      {"qwen3", R"({"model":"Qwen"})"},
      {"qwen3-max", R"({"model":"Qwen3-Max"})"},
      {"qwen3-max-thinking", R"({"model":"Qwen3-Max-Thinking-Preview"})"},
      {"qwen3-flash", R"({"model":"Qwen3-Flash"})"},
      {"qwen3-coder", R"({"model":"Qwen3-Coder"})"},
      {"qwen-long", R"({"model":"Qwen-Long"})"},
      {"qwen3.5-plus", R"({"model":"Qwen3.5-Plus"})"},
      {"qwen3.6-plus", R"({"model":"Qwen3.6-Plus"})"},
      {"qwen-vl-plus", R"({"model":"Qwen-VL-Max"})"},
      {"qwen-vl-max", R"({"model":"Qwen-VL-Max"})"},
  };
}

}  // namespace switchyard
