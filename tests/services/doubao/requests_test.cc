#include "services/doubao/requests.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"

namespace switchyard::doubao {
namespace {

namespace json = boost::json;

const absl::Time kNow = absl::FromUnixMillis(1793000000123);

Settings TestSettings() {
  Settings settings;
  settings.user_agent = "Mozilla/5.0 (X11; Linux x86_64) Chrome/138.0.0.0";
  settings.pc_version = "3.5.10";
  settings.version_code = "20800";
  settings.region = "CN";
  settings.bot_id = "100";
  settings.lite_bot_id = "200";
  return settings;
}

Account TestAccount() {
  Account account;
  account.token = Secret("sessionid=s; sessionid_ss=s");
  account.identity = {
      {"device_id", "71"}, {"web_id", "72"}, {"tea_uuid", "73"}, {"fp", "verify_x"}, {"web_tab_id", "t"}};
  return account;
}

CompletionInput TestInput() {
  CompletionInput input;
  input.prompt = "Hello \"you\"";
  input.model = "default";
  input.ids = {"local_1", "m", "b", "k", "26s", "local_16s"};
  input.now = kNow;
  return input;
}

class CountingRandom final : public Random {
 public:
  uint64_t Next() override { return next_++; }

 private:
  uint64_t next_ = 0;
};

TEST(Requests, CompletionHasTheFieldsOfTheProtocol) {
  const HttpRequest request = Completion(TestSettings(), TestAccount(), TestInput());
  EXPECT_EQ(request.method, "POST");
  EXPECT_FALSE(request.repeatable);
  EXPECT_EQ(request.url,
            "https://www.doubao.com/chat/completion?aid=497858&device_id=71&device_platform=web&fp=verify_x&language=zh"
            "&pc_version=3.5.10&pkg_type=release_version&real_aid=497858&region=CN&samantha_web=1&sys_region=CN"
            "&tea_uuid=73&use-olympus-account=1&version_code=20800&web_id=72&web_tab_id=t");
  EXPECT_EQ(
      request.body,
      R"({"client_meta":{"local_conversation_id":"local_1","conversation_id":"","bot_id":"100","last_section_id":"","last_message_index":null},)"
      R"("messages":[{"local_message_id":"m","content_block":[{"block_type":10000,"content":{"text_block":{"text":"Hello \"you\"","icon_url":"","icon_url_dark":"","summary":""},"pc_event_block":""},)"
      R"("block_id":"b","parent_id":"","meta_info":[],"append_fields":[]}],"message_status":0}],)"
      R"("option":{"create_time_ms":1793000000123,"unique_key":"k","need_deep_think":0,"need_create_conversation":true,)"
      R"("conversation_init_option":{"need_ack_conversation":true},"sse_recv_event_options":{"support_chunk_delta":true},)"
      R"("start_seq":0,"scene_type":0,"message_from":0,"answer_with_suggest":false,"is_audio":false,"tts_switch":false,)"
      R"("click_clear_context":false,"from_suggest":false,"is_regen":false,"is_replace":false,"disable_sse_cache":false,)"
      R"("resend_for_regen":false,"no_replace_for_regen":false,"is_ai_playground":false,"send_message_scene":"","collect_id":"",)"
      R"("select_text_action":"","regen_instruction":"","shared_app_name":"","regen_query_id":[],"edit_query_id":[],)"
      R"("recovery_option":{"is_recovery":false,"req_create_time_sec":1793000000}},)"
      R"("ext":{"use_deep_think":"0","fp":"verify_x","conversation_init_option":"{\"need_ack_conversation\":true}","commerce_credit_config_enable":"0","sub_conv_firstmet_type":"1"}})");
  EXPECT_EQ(request.headers.Get("cookie"), "sessionid=s; sessionid_ss=s");
  EXPECT_EQ(request.headers.Get("origin"), "https://www.doubao.com");
  EXPECT_EQ(request.headers.Get("referer"), "https://www.doubao.com/chat/");
  EXPECT_EQ(request.headers.Get("agw-js-conv"), "str");
  EXPECT_TRUE(absl::StrContains(request.headers.Get("sec-ch-ua"), "\"Google Chrome\";v=\"138\""));
  EXPECT_EQ(request.headers.Get("sec-ch-ua-platform"), "\"Linux\"");
}

TEST(Requests, TheModelDecidesAssistantAndThinking) {
  struct Row {
    const char* model;
    bool thinking;
    const char* bot;
    int deep;
  };
  for (const Row& row : {Row{"default", false, "100", 0}, Row{"default", true, "100", 1}, Row{"lite", false, "200", 0},
                         Row{"lite", true, "200", 1}, Row{"expert", true, "100", 3}, Row{"expert", false, "100", 0}}) {
    CompletionInput input = TestInput();
    input.model = row.model;
    input.thinking = row.thinking;
    const json::value body = json::parse(Completion(TestSettings(), TestAccount(), input).body);
    EXPECT_EQ(body.at("client_meta").at("bot_id").as_string(), row.bot);
    EXPECT_EQ(body.at("option").at("need_deep_think").as_int64(), row.deep);
    EXPECT_EQ(body.at("ext").at("use_deep_think").as_string(), std::to_string(row.deep));
  }
}

TEST(Requests, ALaterTurnGoesOn) {
  CompletionInput input = TestInput();
  input.after = {"7412345678901234567", "7412345678901234568", 4};
  const json::value body = json::parse(Completion(TestSettings(), TestAccount(), input).body);
  EXPECT_EQ(json::serialize(body.at("client_meta")),
            R"({"local_conversation_id":"local_1","conversation_id":"7412345678901234567","bot_id":"100",)"
            R"("last_section_id":"7412345678901234568","last_message_index":4})");
  EXPECT_FALSE(body.at("option").at("need_create_conversation").as_bool());
  EXPECT_EQ(body.at("ext").at("sub_conv_firstmet_type").as_string(), "0");
}

TEST(Requests, TheOlderDialect) {
  CompletionInput input = TestInput();
  input.thinking = true;
  const HttpRequest request = SamanthaCompletion(TestSettings(), TestAccount(), input);
  EXPECT_TRUE(absl::StrContains(request.url, "/samantha/chat/completion?aid=497858&"));
  EXPECT_EQ(request.headers.Get("agw-js-conv"), "str, str");
  const json::value wanted = json::parse(
      R"({"messages":[{"content":"{\"text\":\"Hello \\\"you\\\"\"}","content_type":2001,"attachments":[],"references":[]}],)"
      R"("completion_option":{"is_regen":false,"with_suggest":false,"need_create_conversation":true,"launch_stage":1,)"
      R"("is_replace":false,"is_delete":false,"message_from":0,"action_bar_skill_id":0,"use_deep_think":true,)"
      R"("use_auto_cot":false,"resend_for_regen":false,"enable_commerce_credit":false,"event_id":"0"},)"
      R"("evaluate_option":{"web_ab_params":""},"section_id":"26s","conversation_id":"0",)"
      R"("local_conversation_id":"local_16s","local_message_id":"m"})");
  EXPECT_EQ(json::parse(request.body), wanted) << request.body;
}

TEST(Requests, CapturedSignaturesPassAsTheyAre) {
  Settings settings = TestSettings();
  settings.ms_token = "a=b";
  settings.a_bogus = "c/d";
  EXPECT_TRUE(absl::EndsWith(Completion(settings, TestAccount(), TestInput()).url, "&msToken=a%3Db&a_bogus=c%2Fd"));
}

TEST(Requests, ADeletionIsOfOneConversation) {
  const HttpRequest request = DeleteConversation(TestSettings(), TestAccount(), "41000000000000100", "q");
  EXPECT_EQ(
      request.body,
      R"({"cmd":4171,"uplink_body":{"batch_delete_user_conversation_uplink_body":{"conversation_id":["41000000000000100"],)"
      R"("delete_all":false,"conversation_type":3}},"sequence_id":"q","channel":2,"version":"1"})");
  EXPECT_TRUE(absl::StrContains(request.url, "/im/conversation/batch_del_user_conv?aid=497858&"));
  EXPECT_EQ(request.headers.Get("content-type"), "application/json; encoding=utf-8");
}

TEST(ConversationPoint, IsReadAsItWasWritten) {
  const ConversationPoint point{"18446744073709551615", "7412345678901234568", 12};
  const auto read = ConversationPoint::Parse(point.ToString());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->conversation, point.conversation);
  EXPECT_EQ(read->section, point.section);
  EXPECT_EQ(read->last_index, 12);
  for (const char* wrong :
       {"", "1", "1@2", "1@2@", "1@2@x", "@2@3", "1@@3", "a@2@3", "1@2@3@4", "123456789012345678901@2@3"})
    EXPECT_FALSE(ConversationPoint::Parse(wrong)) << wrong;
}

TEST(MessageIds, HaveTheirForms) {
  CountingRandom random;
  const MessageIds ids = MessageIds::Make(random, kNow);
  EXPECT_EQ(ids.local_conversation, "local_1793000000123012345");
  EXPECT_EQ(ids.local_message.size(), 36u);
  EXPECT_NE(ids.local_message, ids.unique_key);
  EXPECT_NE(ids.block, ids.unique_key);
}

}  // namespace
}  // namespace switchyard::doubao
