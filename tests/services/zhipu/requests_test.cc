#include "services/zhipu/requests.h"

#include <gtest/gtest.h>

#include "boost/json/parse.hpp"

namespace switchyard::zhipu {
namespace {

namespace json = boost::json;

json::value Meta(Dialect dialect, const StreamInput& input) {
  Settings settings;
  settings.dialect = dialect;
  const HttpRequest request = StreamAnswerOf(settings, Account(), Stamp(), input);
  return json::parse(request.body).at("meta_data");
}

TEST(Requests, TheCurrentDialectSaysHowHardToThink) {
  StreamInput input;
  input.upstream = "glm-5.3";
  EXPECT_EQ(Meta(Dialect::kCurrent, input).at("chat_mode"), json::value(""));
  input.thinking = true;
  EXPECT_EQ(Meta(Dialect::kCurrent, input).at("chat_mode"), json::value("thinking"));
  EXPECT_EQ(Meta(Dialect::kCurrent, input).at("reasoning_effort"), json::value("high"));
  input.hardest = true;
  EXPECT_EQ(Meta(Dialect::kCurrent, input).at("chat_mode"), json::value("deep_thinking"));
  EXPECT_EQ(Meta(Dialect::kCurrent, input).at("reasoning_effort"), json::value("max"));
  EXPECT_EQ(Meta(Dialect::kClassic, input).at("chat_mode"), json::value("zero"));
  EXPECT_FALSE(Meta(Dialect::kClassic, input).as_object().contains("selected_model"));
}

TEST(Requests, AConversationIsAPair) {
  const auto ref = ConversationRef::Parse("c@a");
  ASSERT_TRUE(ref.has_value());
  EXPECT_EQ(ref->ToString(), "c@a");
  for (const char* wrong : {"", "c", "@a", "c@"}) EXPECT_FALSE(ConversationRef::Parse(wrong).has_value()) << wrong;
  const HttpRequest request = Delete(Settings(), Account(), Stamp(), *ref, false);
  EXPECT_EQ(json::parse(request.body), json::parse(R"({"assistant_id":"a","conversation_ids":["c"]})"));
}

}  // namespace
}  // namespace switchyard::zhipu
