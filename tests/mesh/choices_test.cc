// What `reasoning_effort` and `web_search_options` come to on each platform: what it is told, and what the caller is
// told where it cannot be.
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

namespace json = boost::json;

constexpr char kNone[] = R"(,"reasoning_effort":"none")";
constexpr char kLow[] = R"(,"reasoning_effort":"low")";
constexpr char kHigh[] = R"(,"reasoning_effort":"high")";
constexpr char kMax[] = R"(,"reasoning_effort":"xhigh")";
constexpr char kSearch[] = R"(,"web_search_options":{})";
constexpr char kNoSearch[] = R"(,"web_search":false)";

struct Row {
  const char* model;
  const char* request;
  const char* upstream;
  const char* notice = "";  // its code
};

void Expect(const std::string& platform, const std::string& dialect, const std::vector<Row>& rows,
            Variables more = {}) {
  const std::string at = absl::StrCat("SWITCHYARD_PROVIDERS__", absl::AsciiStrToUpper(platform), "__DIALECT");
  if (!dialect.empty()) more[at] = dialect;
  PlatformSuite suite(platform, more);
  for (const Row& row : rows) {
    SCOPED_TRACE(absl::StrCat(platform, " ", dialect, " ", row.model, row.request));
    const Whole answer = Chat(suite.port(), "[[sim: text=One]]", row.request, row.model);
    ASSERT_EQ(answer.status, 200) << answer.error("message");
    const json::value recorded(suite.Recorded());
    EXPECT_TRUE(Contains(recorded, json::parse(row.upstream))) << json::serialize(recorded);
    std::string codes;
    if (const auto* notices = answer.json.as_object().if_contains("notices")) {
      for (const json::value& notice : notices->as_array()) codes += notice.at("code").as_string().c_str();
    }
    EXPECT_EQ(codes, row.notice);
  }
  suite.ExpectClean();
}

TEST(Choices, DeepSeek) {
  Expect("deepseek", "",
         {{"deepseek-chat", kHigh, R"({"thinking_enabled":true,"search_enabled":false})"},
          {"deepseek-r1", kNone, R"({"thinking_enabled":false})"},
          {"deepseek-chat", kSearch, R"({"thinking_enabled":false,"search_enabled":true})"},
          {"deepseek-chat-search", kNoSearch, R"({"search_enabled":false})"}});
}

TEST(Choices, Kimi) {
  constexpr char kTool[] = R"({"tools":[{"type":"TOOL_TYPE_SEARCH","search":{}}]})";
  Expect("kimi", "",
         {{"kimi", kLow, R"({"options":{"thinking":true}})"},
          {"kimi-thinking", kNone, R"({"options":{"thinking":false}})"},
          {"kimi", kSearch, kTool},
          {"kimi-search", kNoSearch, R"({"tools":[]})"}});
  Expect("kimi", "chat",
         {{"kimi-thinking", "", R"({"options":{"thinking":true,"reasoning_effort":"REASONING_EFFORT_LOW"}})"},
          {"kimi", kLow, R"({"options":{"thinking":true,"reasoning_effort":"REASONING_EFFORT_LOW"}})"},
          {"kimi", kHigh, R"({"options":{"thinking":true,"reasoning_effort":"REASONING_EFFORT_HIGH"}})"},
          {"kimi", kMax, R"({"options":{"thinking":true,"reasoning_effort":"REASONING_EFFORT_MAX"}})"},
          {"kimi-thinking", kNone, R"({"options":{"thinking":false,"reasoning_effort":"REASONING_EFFORT_NONE"}})"}});
}

TEST(Choices, Metaso) {
  Expect("metaso", "a",
         {{"metaso", kHigh, R"({"mode":"detail"})", "reasoning_not_available"},
          {"metaso", kNone, R"({"mode":"detail"})"},
          {"metaso", kSearch, R"({"mode":"detail"})"},
          {"metaso", kNoSearch, R"({"mode":"detail"})", "web_search_always_on"}});
}

TEST(Choices, Doubao) {
  Expect("doubao", "",
         {{"doubao", kHigh, R"({"need_deep_think":1})"},
          {"doubao-thinking", kNone, R"({"need_deep_think":0})"},
          {"doubao", kSearch, R"({"need_deep_think":0})", "web_search_not_available"}});
  Expect("doubao", "b",
         {{"doubao", kHigh, R"({"use_deep_think":true})"}, {"doubao-thinking", kNone, R"({"use_deep_think":false})"}});
}

TEST(Choices, Qwen) {
  Expect("qwen", "a",
         {{"qwen3-max", kHigh, R"({"model":"Qwen3-Max-Thinking-Preview"})"},
          {"qwen3-max-thinking", kNone, R"({"model":"Qwen3-Max"})"},
          {"qwen3-flash", kHigh, R"({"model":"Qwen3-Flash"})", "reasoning_not_available"},
          {"qwen3-max", kSearch, R"({"model":"Qwen3-Max"})", "web_search_not_available"}});
  Expect("qwen", "b",
         {{"qwen3-flash", kHigh, R"({"deep_search":"1"})"},
          {"qwen3-flash", kNone, R"({"deep_search":"0"})"},
          {"qwen3-max", kSearch, R"({"deep_search":"1"})"}});
}

TEST(Choices, Zhipu) {
  Expect("zhipu", "",
         {{"glm-5", kHigh, R"({"chat_mode":"zero"})", "reasoning_not_available"},
          {"glm-5", kSearch, R"({"is_networking":true})"},
          {"glm-5-search", kNoSearch, R"({"is_networking":false})"}});
  Expect("zhipu", "current",
         {{"glm-5", kLow, R"({"chat_mode":"thinking","reasoning_effort":"high"})"},
          {"glm-5", kMax, R"({"chat_mode":"deep_thinking","reasoning_effort":"max"})"},
          {"glm-5-thinking", kNone, R"({"chat_mode":""})"},
          {"glm-deepresearch", kNone, R"({"chat_mode":"deep_research"})", "reasoning_not_available"}});
}

TEST(Choices, MiniMax) {
  const Variables quick = {{"SWITCHYARD_PROVIDERS__MINIMAX__OPTIONS__AGENT_WAIT_MS", "0"},
                           {"SWITCHYARD_PROVIDERS__MINIMAX__OPTIONS__POLL_MS", "5"},
                           {"SWITCHYARD_PROVIDERS__MINIMAX__OPTIONS__POLL_LATER_MS", "5"},
                           {"SWITCHYARD_PROVIDERS__MINIMAX__OPTIONS__POLL_BACKOFF_MS", "1"},
                           {"SWITCHYARD_PROVIDERS__MINIMAX__OPTIONS__DELETE_RETRY_MS", "500"}};
  Expect("minimax", "",
         {{"minimax", kHigh, R"({"chat_type":2})", "reasoning_not_available"},
          {"minimax", kSearch, R"({"chat_type":2})", "web_search_not_available"}},
         quick);
  Expect("minimax", "agent",
         {{"MiniMax-M3", kHigh, R"({"model":{"variant":"thinking"}})"},
          {"minimax", kHigh, R"({"model":{"model_id":"MiniMax-M3","variant":"thinking"}})"},
          {"MiniMax-M3-thinking", kNone, R"({"model":{"variant":""}})"},
          {"MiniMax-M2.7", kHigh, R"({"model":{"variant":""}})", "reasoning_not_available"}},
         quick);
}

}  // namespace
}  // namespace switchyard
