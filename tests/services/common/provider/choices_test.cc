#include "services/common/provider/choices.h"

#include <gtest/gtest.h>

#include "services/common/catalogue/catalogue.h"

namespace switchyard {
namespace {

using chat::v1::ReasoningFormat;
using chat::v1::ReasoningOptions;
using chat::v1::ResponseFormat;

Choices Chosen(const ChatRequest& request, const char* model, Abilities abilities = {}) {
  return Choose(request, *FindModel(model), abilities, ReasoningFormat::REASONING_FORMAT_THINK);
}

std::string Codes(const Choices& choices) {
  std::string codes;
  for (const auto& notice : choices.notices) codes += notice.code() + " ";
  return codes;
}

TEST(Choices, TheModelsNameUnlessTheRequestSaysOtherwise) {
  ChatRequest request;
  EXPECT_FALSE(Chosen(request, "deepseek-chat").thinking);
  EXPECT_TRUE(Chosen(request, "deepseek-r1").thinking);
  EXPECT_FALSE(Chosen(request, "deepseek-r1").web_search);
  EXPECT_TRUE(Chosen(request, "deepseek-r1-search").web_search);
  for (const auto effort :
       {ReasoningOptions::EFFORT_MINIMAL, ReasoningOptions::EFFORT_LOW, ReasoningOptions::EFFORT_MEDIUM,
        ReasoningOptions::EFFORT_HIGH, ReasoningOptions::EFFORT_MAX}) {
    request.mutable_reasoning()->set_effort(effort);
    EXPECT_TRUE(Chosen(request, "deepseek-chat").thinking);
  }
  request.mutable_reasoning()->set_effort(ReasoningOptions::EFFORT_NONE);
  request.mutable_web_search()->set_enabled(false);
  EXPECT_FALSE(Chosen(request, "deepseek-r1-search").thinking);
  EXPECT_FALSE(Chosen(request, "deepseek-r1-search").web_search);
  request.mutable_web_search()->set_enabled(true);
  EXPECT_TRUE(Chosen(request, "deepseek-chat").web_search);
  EXPECT_EQ(Codes(Chosen(request, "deepseek-chat")), "");
}

TEST(Choices, WhatCannotBeHadIsTold) {
  struct Row {
    Ability ability;
    std::optional<bool> asked;
    bool by_default;
    bool result;
    const char* ending;  // of the notice; null: none
  };
  for (const Row& row : {
           Row{Ability::kNever, std::nullopt, true, false, nullptr},
           Row{Ability::kNever, true, false, false, "_not_available "},
           Row{Ability::kNever, false, true, false, nullptr},
           Row{Ability::kAlways, std::nullopt, false, true, nullptr},
           Row{Ability::kAlways, true, false, true, nullptr},
           Row{Ability::kAlways, false, true, true, "_always_on "},
           Row{Ability::kOwnWill, std::nullopt, true, true, nullptr},
           Row{Ability::kOwnWill, true, false, true, "_not_available "},
           Row{Ability::kOwnWill, false, true, false, "_not_available "},
       }) {
    ChatRequest request;
    if (row.asked) {
      request.mutable_reasoning()->set_effort(*row.asked ? ReasoningOptions::EFFORT_HIGH
                                                         : ReasoningOptions::EFFORT_NONE);
    }
    const Choices thinking =
        Chosen(request, row.by_default ? "deepseek-r1" : "deepseek", {row.ability, Ability::kChoice});
    EXPECT_EQ(thinking.thinking, row.result);
    EXPECT_EQ(Codes(thinking), row.ending == nullptr ? "" : std::string("reasoning") + row.ending);
    request.Clear();
    if (row.asked) request.mutable_web_search()->set_enabled(*row.asked);
    const Choices search =
        Chosen(request, row.by_default ? "deepseek-search" : "deepseek", {Ability::kChoice, row.ability});
    EXPECT_EQ(search.web_search, row.result);
    EXPECT_EQ(Codes(search), row.ending == nullptr ? "" : std::string("web_search") + row.ending);
  }
}

TEST(Choices, WithAResponseFormatReasoningIsNotInTheText) {
  ChatRequest request;
  EXPECT_EQ(Chosen(request, "deepseek").format, ReasoningFormat::REASONING_FORMAT_THINK);
  request.mutable_reasoning()->set_format(ReasoningFormat::REASONING_FORMAT_TAGS);
  EXPECT_EQ(Chosen(request, "deepseek").format, ReasoningFormat::REASONING_FORMAT_TAGS);
  request.mutable_response_format()->set_kind(ResponseFormat::KIND_TEXT);
  EXPECT_EQ(Chosen(request, "deepseek").format, ReasoningFormat::REASONING_FORMAT_TAGS);
  for (const auto kind : {ResponseFormat::KIND_JSON_OBJECT, ResponseFormat::KIND_JSON_SCHEMA}) {
    request.mutable_response_format()->set_kind(kind);
    EXPECT_EQ(Chosen(request, "deepseek").format, ReasoningFormat::REASONING_FORMAT_SEPARATE);
  }
  request.mutable_reasoning()->set_format(ReasoningFormat::REASONING_FORMAT_HIDDEN);
  EXPECT_EQ(Chosen(request, "deepseek").format, ReasoningFormat::REASONING_FORMAT_HIDDEN);
}

}  // namespace
}  // namespace switchyard
