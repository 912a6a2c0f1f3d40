// Doubao's ids. Source: protocol notes, section 1.
#pragma once

#include <vector>

#include "tests/mesh/model_table.h"

namespace switchyard {

inline std::vector<ModelRow> DoubaoModels() {
  return {
      {"doubao", R"({"bot_id":"7338286299411103781","need_deep_think":0})"},
      {"doubao-thinking", R"({"bot_id":"7338286299411103781","need_deep_think":1})"},
      {"doubao-pro", R"({"bot_id":"7338286299411103781","need_deep_think":0})"},
      {"doubao-pro-thinking", R"({"bot_id":"7338286299411103781","need_deep_think":1})"},
      {"doubao-1.5-pro", R"({"bot_id":"7338286299411103781","need_deep_think":0})"},
      {"doubao-1.5-pro-thinking", R"({"bot_id":"7338286299411103781","need_deep_think":1})"},
      {"doubao-lite", R"({"bot_id":"7338286299411103781","need_deep_think":0})"},
      {"doubao-lite-thinking", R"({"bot_id":"7338286299411103781","need_deep_think":1})"},
      {"doubao-expert", R"({"bot_id":"7338286299411103781","need_deep_think":3})"},
  };
}

}  // namespace switchyard
