#include "services/metaso/modes.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace switchyard::metaso {
namespace {

constexpr std::array<absl::string_view, 8> kBlanks = {" ", "\t", "\r", "\n", "\v", "\f", "\u00A0", "\u3000"};
constexpr std::array<absl::string_view, 4> kModes = {"fast", "concise", "detail", "research"};

struct ModeWord {
  absl::string_view word;
  absl::string_view mode;
};
constexpr std::array kModeWords = {ModeWord{"简洁", "concise"}, ModeWord{"深入", "detail"},
                                   ModeWord{"研究", "research"}};
constexpr absl::string_view kScholar = "学术";
constexpr absl::string_view kSearchWord = "搜索";
constexpr absl::string_view kWeather = "天气";
// Without it the site answers questions about the weather by a widget that has no text.
constexpr absl::string_view kAnswerDirectly = "，直接回答";

/// What a name or a directive asks for.
struct Wish {
  absl::string_view mode = {};
  bool scholar = false;
};

// M1.
Wish WishOfModel(absl::string_view model) {
  const std::string name = absl::AsciiStrToLower(absl::StripAsciiWhitespace(model));
  absl::string_view rest = name;
  absl::ConsumePrefix(&rest, "metaso");
  absl::ConsumePrefix(&rest, "-");
  Wish wish;
  if (rest == "scholar") wish.scholar = true;
  for (const absl::string_view mode : kModes) {
    if (rest == mode) wish.mode = mode;
    if (mode != "fast" && rest == absl::StrCat(mode, "-scholar")) wish = {mode, true};
  }
  return wish;
}

bool ConsumeColon(absl::string_view* text) { return absl::ConsumePrefix(text, ":") || absl::ConsumePrefix(text, "："); }

// M3. Takes the directive off `question`; an empty wish if there is none, or nothing but one.
Wish TakeDirective(absl::string_view* question) {
  absl::string_view rest = *question;
  Wish wish;
  wish.scholar = absl::ConsumePrefix(&rest, kScholar);
  for (const ModeWord& row : kModeWords) {
    if (wish.mode.empty() && absl::ConsumePrefix(&rest, row.word)) wish.mode = row.mode;
  }
  const bool named = wish.scholar || !wish.mode.empty();
  const bool searches = named && absl::ConsumePrefix(&rest, kSearchWord);
  const bool colon = named && ConsumeColon(&rest);
  const bool bare_scholar = wish.scholar && wish.mode.empty() && colon;
  rest = TrimQuestion(rest);
  if ((!searches && !bare_scholar) || rest.empty()) return {};
  *question = rest;
  return wish;
}

// M4.
absl::string_view ModeOfTemperature(std::optional<double> temperature) {
  if (!temperature) return "detail";
  if (*temperature < 0.4) return "concise";
  return *temperature < 0.7 ? "detail" : "research";
}

}  // namespace

absl::string_view TrimQuestion(absl::string_view text) {
  for (bool cut = true; cut;) {
    cut = false;
    for (const absl::string_view blank : kBlanks) {
      while (absl::ConsumePrefix(&text, blank)) cut = true;
      while (absl::ConsumeSuffix(&text, blank)) cut = true;
    }
  }
  return text;
}

SearchPlan PlanSearch(absl::string_view model, absl::string_view message, std::optional<double> temperature) {
  absl::string_view question = TrimQuestion(message);
  const Wish by_name = WishOfModel(model);
  const Wish by_words = TakeDirective(&question);
  absl::string_view mode = by_name.mode.empty() ? by_words.mode : by_name.mode;
  if (mode.empty()) mode = ModeOfTemperature(temperature);
  SearchPlan plan;
  plan.mode = std::string(mode);
  plan.scholar = by_name.scholar || by_words.scholar;
  plan.question = std::string(question);
  if (absl::StrContains(question, kWeather)) absl::StrAppend(&plan.question, kAnswerDirectly);
  return plan;
}

}  // namespace switchyard::metaso
