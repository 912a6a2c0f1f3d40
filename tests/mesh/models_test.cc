// Every model of every platform, whole and streamed, through the edge and over gRPC, in the all-in-one and in separate
// programs; and the platform was told each time what the model's row says.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "tests/mesh/model_table.h"
#include "tests/mesh/models_deepseek.h"
#include "tests/mesh/models_doubao.h"
#include "tests/mesh/models_kimi.h"
#include "tests/mesh/models_metaso.h"
#include "tests/mesh/models_minimax.h"
#include "tests/mesh/models_qwen.h"
#include "tests/mesh/models_zhipu.h"
#include "tests/mesh/platform_suite.h"
#include "tests/support/programs.h"
#include "tests/support/relay.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr char kPrompt[] = "[[sim: text=Red,+green think=Hmm.]]";
constexpr char kText[] = "Red, green";

const std::map<std::string, std::vector<ModelRow>>& Tables() {
  static const auto& tables = *new std::map<std::string, std::vector<ModelRow>>{
      {"deepseek", DeepSeekModels()}, {"kimi", KimiModels()}, {"metaso", MetasoModels()},
      {"doubao", DoubaoModels()},     {"qwen", QwenModels()}, {"zhipu", ZhipuClassicModels()},
      {"minimax", MiniMaxModels()}};
  return tables;
}

class ModelsTest : public ::testing::Test {
 protected:
  void ExpectTold(const std::string& platform, const ModelRow& row) {
    const json::object state = platforms_.State(platform);
    const json::array& requests = state.at("completions").as_array();
    ASSERT_FALSE(requests.empty());
    EXPECT_TRUE(Contains(requests.back(), json::parse(row.upstream)))
        << "wanted " << row.upstream << "\nrecorded " << json::serialize(requests.back());
  }

  /// @param grpc_port of a platform's ChatService
  void ExpectEverything(int http_port, const std::function<int(const std::string&)>& grpc_port) {
    for (const auto& [platform, rows] : Tables()) {
      for (const ModelRow& row : rows) {
        SCOPED_TRACE(absl::StrCat(platform, ": ", row.id));
        const std::string hidden = R"(,"reasoning_format":"hidden")";
        EXPECT_EQ(Chat(http_port, kPrompt, hidden, row.id).text(), kText);
        ExpectTold(platform, row);
        const Streamed streamed = Stream(http_port, kPrompt, hidden, row.id);
        EXPECT_EQ(streamed.text, kText) << streamed.body;
        EXPECT_TRUE(streamed.done);
        ExpectTold(platform, row);
        auto request = GrpcRequest(kPrompt, row.id);
        request.mutable_reasoning()->set_format(chat::v1::REASONING_FORMAT_SEPARATE);
        const GrpcAnswer answer = Ask(grpc_port(platform), request);
        EXPECT_TRUE(answer.status.ok()) << answer.status;
        EXPECT_EQ(answer.text(), kText);
        EXPECT_EQ(answer.finished(), 1);
        ExpectTold(platform, row);
      }
      EXPECT_TRUE(Eventually([&] { return platforms_.OpenConversations(platform) == 0; })) << platform;
      EXPECT_EQ(platforms_.Violations(platform), "") << platform;
    }
  }

  SimulatedPlatforms platforms_;
};

TEST_F(ModelsTest, AllInOne) {
  Relay relay(platforms_);
  ExpectEverything(relay.port(), [&](const std::string&) { return relay.grpc_port(); });
}

TEST_F(ModelsTest, SeparatePrograms) {
  Programs programs(platforms_);
  ExpectEverything(programs.port(), [&](const std::string& platform) { return programs.provider_port(platform); });
}

TEST_F(ModelsTest, ThoseWithAnAccountAreListedUnderTheirVendors) {
  const std::map<std::string, std::string> vendors = {
      {"deepseek", "deepseek"}, {"kimi", "moonshot"}, {"metaso", "metaso"},  {"doubao", "bytedance"},
      {"qwen", "alibaba"},      {"zhipu", "zhipuai"}, {"minimax", "minimax"}};
  Relay relay(platforms_, {{"METASO_TOKEN", ""}});
  const std::string listed = Fetch(relay.port(), "GET", "/v1/models").body;
  for (const auto& [platform, rows] : Tables()) {
    const std::string object =
        absl::StrCat("{\"id\":\"", rows.front().id, "\",\"object\":\"model\",\"created\":1767225600,\"owned_by\":\"",
                     vendors.at(platform), "\"}");
    EXPECT_EQ(absl::StrContains(listed, object), platform != "metaso") << platform << "\n" << listed;
  }
}

}  // namespace
}  // namespace switchyard
