#include "services/metaso/question.h"

#include <gtest/gtest.h>

#include <string>

#include "boost/json/parse.hpp"
#include "services/common/status/reason.h"
#include "services/metaso/modes.h"
#include "tests/support/files.h"

namespace switchyard::metaso {
namespace {

namespace json = boost::json;

TEST(PlanSearch, FollowsEverySharedVector) {
  const json::value file = json::parse(ReadTestFile("tests/data/vectors/metaso_modes.json"));
  const json::array& cases = file.at("cases").as_array();
  EXPECT_EQ(cases.size(), 20u);
  for (const json::value& row : cases) {
    SCOPED_TRACE(row.at("id").as_string().c_str());
    std::optional<double> temperature;
    if (!row.at("temperature").is_null()) temperature = row.at("temperature").to_number<double>();
    const SearchPlan plan =
        PlanSearch(row.at("model").as_string().c_str(), row.at("message").as_string().c_str(), temperature);
    const json::value& expected = row.at("expected");
    EXPECT_EQ(plan.mode, expected.at("mode").as_string().c_str());
    EXPECT_EQ(std::string(plan.engine_type()), expected.at("engineType").as_string().c_str());
    EXPECT_EQ(plan.question, expected.at("question").as_string().c_str());
  }
}

TEST(PlanSearch, DirectivesAtTheEdge) {
  struct Row {
    const char* message;
    const char* mode;
    bool scholar;
    const char* question;
  };
  for (const Row& row : {Row{"简洁搜索：", "detail", false, "简洁搜索："}, Row{"学术:", "detail", false, "学术:"},
                         Row{"学术研究：x", "detail", false, "学术研究：x"}, Row{"搜索：x", "detail", false, "搜索：x"},
                         Row{"\u3000学术深入搜索 x\u00A0", "detail", true, "x"},
                         Row{"研究搜索x", "research", false, "x"}, Row{"\u3000 \n", "detail", false, ""}}) {
    const SearchPlan plan = PlanSearch("metaso", row.message, std::nullopt);
    EXPECT_EQ(plan.mode, row.mode) << row.message;
    EXPECT_EQ(plan.scholar, row.scholar) << row.message;
    EXPECT_EQ(plan.question, row.question) << row.message;
  }
}

chat::v1::ChatRequest Request(const std::string& last) {
  chat::v1::ChatRequest request;
  request.set_model("metaso");
  auto& message = *request.add_messages();
  message.set_role(chat::v1::ROLE_USER);
  message.add_parts()->set_text(last);
  return request;
}

TEST(PlanOf, TheQuestionIsTheEndOfTheHistory) {
  auto plan = PlanOf(Request("简洁搜索：天气"), "[User]\nOne\n\n[User]\n简洁搜索：天气");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->mode, "concise");
  EXPECT_EQ(plan->question, "[User]\nOne\n\n[User]\n天气，直接回答");
}

TEST(PlanOf, TemperatureCountsOnlyWhereThereIsOne) {
  chat::v1::ChatRequest request = Request("x");
  EXPECT_EQ(PlanOf(request, "x")->mode, "detail");
  request.mutable_sampling()->set_temperature(0);
  EXPECT_EQ(PlanOf(request, "x")->mode, "concise");
}

TEST(PlanOf, ABlankMessageIsRefused) {
  const auto plan = PlanOf(Request("\u3000"), "\u3000");
  EXPECT_EQ(ReasonOf(plan.status()), Reason::REASON_INVALID_REQUEST);
}

}  // namespace
}  // namespace switchyard::metaso
