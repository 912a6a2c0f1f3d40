// What a question means to Metaso: how thorough the search is and where it searches, by the model's name, by words at
// the start of the question, by the temperature.
//
//   SearchPlan plan = PlanSearch("metaso", "学术搜索：石墨烯", std::nullopt);   // detail, scholar, "石墨烯"
//
// Pure. Source: protocol notes of Metaso, section 1, rules M1 to M6.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace switchyard::metaso {

struct SearchPlan {
  std::string mode;      // fast, concise, detail, research
  bool scholar = false;  // academic sources alone
  std::string question;  // what to search for; empty if the message was blank

  absl::string_view engine_type() const { return scholar ? "scholar" : ""; }
};

/// @param model with or without "metaso" in front; in any case of letters
/// @param message the last user message, valid UTF-8
/// @param temperature unset where the request has none
SearchPlan PlanSearch(absl::string_view model, absl::string_view message, std::optional<double> temperature);

/// The text without blanks at its ends, those of Unicode that Chinese text uses among them.
absl::string_view TrimQuestion(absl::string_view text);

}  // namespace switchyard::metaso
