// Metaso's ids. Source: protocol notes, section 1.
#pragma once

#include <vector>

#include "tests/mesh/model_table.h"

namespace switchyard {

inline std::vector<ModelRow> MetasoModels() {
  return {
      {"metaso", R"({"mode":"detail","engineType":""})"},
      {"metaso-fast", R"({"mode":"fast","engineType":""})"},
      {"metaso-concise", R"({"mode":"concise","engineType":""})"},
      {"metaso-detail", R"({"mode":"detail","engineType":""})"},
      {"metaso-research", R"({"mode":"research","engineType":""})"},
      {"metaso-scholar", R"({"mode":"detail","engineType":"scholar"})"},
      {"metaso-concise-scholar", R"({"mode":"concise","engineType":"scholar"})"},
      {"metaso-detail-scholar", R"({"mode":"detail","engineType":"scholar"})"},
      {"metaso-research-scholar", R"({"mode":"research","engineType":"scholar"})"},
  };
}

}  // namespace switchyard
