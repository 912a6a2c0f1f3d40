#include "services/common/provider/choices.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace switchyard {

using chat::v1::ReasoningFormat;
using chat::v1::ReasoningOptions;
using chat::v1::ResponseFormat;

namespace {

struct Wording {
  absl::string_view code;  // of the notices, without its ending
  absl::string_view verb;
};
constexpr Wording kReasoning = {"reasoning", "think"};
constexpr Wording kWebSearch = {"web_search", "search the web"};

/// Whether it is done, and a notice if that is not what was asked for.
bool Decide(std::optional<bool> asked, bool by_default, Ability ability, const ModelEntry& model,
            const Wording& wording, std::vector<chat::v1::Notice>& notices) {
  const auto tell = [&](absl::string_view ending, absl::string_view how) {
    chat::v1::Notice& notice = notices.emplace_back();
    notice.set_code(absl::StrCat(wording.code, ending));
    notice.set_message(absl::StrCat(model.platform, how, wording.verb, " with ", model.id));
  };
  switch (ability) {
    case Ability::kNever:
      if (asked.value_or(false)) tell("_not_available", " cannot be asked to ");
      return false;
    case Ability::kAlways:
      if (!asked.value_or(true)) tell("_always_on", " cannot be asked not to ");
      return true;
    case Ability::kOwnWill:
      if (asked) tell("_not_available", " decides by itself whether to ");
      return asked.value_or(by_default);
    default:
      return asked.value_or(by_default);
  }
}

ReasoningFormat FormatOf(const ChatRequest& request, ReasoningFormat default_format) {
  ReasoningFormat format = request.reasoning().format();
  if (format == ReasoningFormat::REASONING_FORMAT_UNSPECIFIED) format = default_format;
  const auto kind = request.response_format().kind();
  const bool structured = kind == ResponseFormat::KIND_JSON_OBJECT || kind == ResponseFormat::KIND_JSON_SCHEMA;
  if (structured && format != ReasoningFormat::REASONING_FORMAT_HIDDEN) {
    return ReasoningFormat::REASONING_FORMAT_SEPARATE;
  }
  return format;
}

}  // namespace

Choices Choose(const ChatRequest& request, const ModelEntry& model, const Abilities& abilities,
               ReasoningFormat default_format) {
  std::optional<bool> think;
  if (request.reasoning().effort() != ReasoningOptions::EFFORT_UNSPECIFIED) {
    think = request.reasoning().effort() != ReasoningOptions::EFFORT_NONE;
  }
  std::optional<bool> search;
  if (request.web_search().has_enabled()) search = request.web_search().enabled();
  Choices choices;
  choices.thinking = Decide(think, model.reasoning, abilities.thinking, model, kReasoning, choices.notices);
  choices.web_search = Decide(search, model.web_search, abilities.web_search, model, kWebSearch, choices.notices);
  choices.format = FormatOf(request, default_format);
  return choices;
}

}  // namespace switchyard
