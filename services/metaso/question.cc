#include "services/metaso/question.h"

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/provider/prompt.h"
#include "services/common/status/reason.h"

namespace switchyard::metaso {

absl::StatusOr<SearchPlan> PlanOf(const chat::v1::ChatRequest& request, absl::string_view prompt) {
  auto last = LastUserMessage(request);
  if (!last.ok()) return last.status();
  const auto& sampling = request.sampling();
  std::optional<double> temperature;
  if (sampling.has_temperature()) temperature = sampling.temperature();
  SearchPlan plan = PlanSearch(request.model(), last->text, temperature);
  if (plan.question.empty())
    return MakeError(Reason::REASON_INVALID_REQUEST, "messages: the last user message is blank", {.field = "messages"});
  if (absl::StartsWith(prompt, last->text)) {
    // What the framework put behind the message goes with the question.
    plan.question += std::string(prompt.substr(last->text.size()));
  } else {
    absl::string_view history = prompt;
    const bool ends = absl::ConsumeSuffix(&history, last->text);
    plan.question = ends ? absl::StrCat(history, plan.question) : std::string(prompt);
  }
  return plan;
}

}  // namespace switchyard::metaso
