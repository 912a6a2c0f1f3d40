// DeepSeek's ids. Source: protocol notes, sections 1.2 and 1.3.
#pragma once

#include <vector>

#include "tests/mesh/model_table.h"

namespace switchyard {

inline std::vector<ModelRow> DeepSeekModels() {
  return {
      {"deepseek", R"({"model_type":"default","thinking_enabled":false,"search_enabled":false})"},
      {"deepseek-search", R"({"model_type":"default","thinking_enabled":false,"search_enabled":true})"},
      {"deepseek-chat", R"({"model_type":"default","thinking_enabled":false,"search_enabled":false})"},
      {"deepseek-chat-search", R"({"model_type":"default","thinking_enabled":false,"search_enabled":true})"},
      {"deepseek-default", R"({"model_type":"default","thinking_enabled":false,"search_enabled":false})"},
      {"deepseek-default-search", R"({"model_type":"default","thinking_enabled":false,"search_enabled":true})"},
      {"deepseek-v3", R"({"model_type":"default","thinking_enabled":false,"search_enabled":false})"},
      {"deepseek-v3-search", R"({"model_type":"default","thinking_enabled":false,"search_enabled":true})"},
      {"deepseek-v4-flash", R"({"model_type":"default","thinking_enabled":false,"search_enabled":false})"},
      {"deepseek-v4-flash-search", R"({"model_type":"default","thinking_enabled":false,"search_enabled":true})"},
      {"deepseek-reasoner", R"({"model_type":"default","thinking_enabled":true,"search_enabled":false})"},
      {"deepseek-reasoner-search", R"({"model_type":"default","thinking_enabled":true,"search_enabled":true})"},
      {"deepseek-r1", R"({"model_type":"default","thinking_enabled":true,"search_enabled":false})"},
      {"deepseek-r1-search", R"({"model_type":"default","thinking_enabled":true,"search_enabled":true})"},
      {"deepseek-think", R"({"model_type":"default","thinking_enabled":true,"search_enabled":false})"},
      {"deepseek-think-search", R"({"model_type":"default","thinking_enabled":true,"search_enabled":true})"},
      {"deepseek-v4-pro", R"({"model_type":"expert","thinking_enabled":true,"search_enabled":false})"},
      {"deepseek-v4-pro-search", R"({"model_type":"expert","thinking_enabled":true,"search_enabled":true})"},
      {"deepseek-expert", R"({"model_type":"expert","thinking_enabled":true,"search_enabled":false})"},
      {"deepseek-expert-search", R"({"model_type":"expert","thinking_enabled":true,"search_enabled":true})"},
      {"deepseek-vision", R"({"model_type":"vision","thinking_enabled":false,"search_enabled":false})"},
      {"deepseek-vision-search", R"({"model_type":"vision","thinking_enabled":false,"search_enabled":true})"},
  };
}

}  // namespace switchyard
