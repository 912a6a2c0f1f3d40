#include "services/doubao/requests.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"
#include "services/common/text/views.h"
#include "services/doubao/device.h"

namespace switchyard::doubao {

namespace json = boost::json;

namespace {

constexpr int kTextBlock = 10000;
constexpr char kAckWanted[] = R"({"need_ack_conversation":true})";

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

bool IsId(absl::string_view text) {
  constexpr size_t kLongest = 20;  // of an unsigned 64-bit number
  return !text.empty() && text.size() <= kLongest &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
}

std::string Escaped(absl::string_view value) {
  std::string out;
  for (const unsigned char c : value) {
    if (absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += static_cast<char>(c);
    } else {
      absl::StrAppendFormat(&out, "%%%02X", c);
    }
  }
  return out;
}

std::string Query(const Settings& settings, const Device& device) {
  const std::vector<std::pair<absl::string_view, absl::string_view>> parameters = {
      {"aid", "497858"},
      {"device_id", device.device_id},
      {"device_platform", "web"},
      {"fp", device.fp},
      {"language", "zh"},
      {"pc_version", settings.pc_version},
      {"pkg_type", "release_version"},
      {"real_aid", "497858"},
      {"region", settings.region},
      {"samantha_web", "1"},
      {"sys_region", settings.region},
      {"tea_uuid", device.tea_uuid},
      {"use-olympus-account", "1"},
      {"version_code", settings.version_code},
      {"web_id", device.web_id},
      {"web_tab_id", device.web_tab_id},
  };
  std::string query;
  for (const auto& [name, value] : parameters)
    absl::StrAppend(&query, query.empty() ? "?" : "&", name, "=", Escaped(value));
  // Only as the owner captured them. Source: protocol notes, section 3.1.
  if (!settings.ms_token.empty()) absl::StrAppend(&query, "&msToken=", Escaped(settings.ms_token));
  if (!settings.a_bogus.empty()) absl::StrAppend(&query, "&a_bogus=", Escaped(settings.a_bogus));
  return query;
}

/// Client hints that agree with the User-Agent.
void AddClientHints(absl::string_view user_agent, HttpHeaders& headers) {
  const size_t chrome = user_agent.find("Chrome/");
  if (chrome == absl::string_view::npos) return;
  absl::string_view version = user_agent.substr(chrome + 7);
  version = version.substr(0, version.find('.'));
  absl::string_view system = "Linux";
  if (user_agent.find("Windows") != absl::string_view::npos) system = "Windows";
  if (user_agent.find("Macintosh") != absl::string_view::npos) system = "macOS";
  headers.Add("Sec-Ch-Ua", absl::StrCat("\"Not)A;Brand\";v=\"8\", \"Chromium\";v=\"", version,
                                        "\", \"Google Chrome\";v=\"", version, "\""));
  headers.Add("Sec-Ch-Ua-Mobile", "?0");
  headers.Add("Sec-Ch-Ua-Platform", absl::StrCat("\"", system, "\""));
}

HttpRequest Post(const Settings& settings, const Account& account, absl::string_view path, const json::object& body) {
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(settings.base_url, path, Query(settings, DeviceOf(account)));
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("Accept", "*/*");
  request.headers.Add("Cookie", CookieOf(account));
  request.headers.Add("Origin", kOrigin);
  request.headers.Add("Referer", absl::StrCat(kOrigin, "/chat/"));
  request.headers.Add("User-Agent", settings.user_agent);
  AddClientHints(settings.user_agent, request.headers);
  request.headers.Add("Sec-Fetch-Dest", "empty");
  request.headers.Add("Sec-Fetch-Mode", "cors");
  request.headers.Add("Sec-Fetch-Site", "same-origin");
  request.headers.Add("Accept-Language", "zh-CN,zh;q=0.9");
  request.headers.Add("Agw-Js-Conv", "str");
  request.body = json::serialize(body);
  return request;
}

json::object ClientMeta(const Settings& settings, const CompletionInput& input) {
  const bool fresh = input.after.conversation.empty();
  json::object meta;
  meta["local_conversation_id"] = input.ids.local_conversation;
  meta["conversation_id"] = input.after.conversation;
  meta["bot_id"] = input.model == "lite" ? settings.lite_bot_id : settings.bot_id;
  meta["last_section_id"] = input.after.section;
  meta["last_message_index"] = fresh ? json::value(nullptr) : json::value(input.after.last_index);
  return meta;
}

json::object Message(const CompletionInput& input) {
  json::object text;
  text["text"] = View(input.prompt);
  text["icon_url"] = "";
  text["icon_url_dark"] = "";
  text["summary"] = "";
  json::object content;
  content["text_block"] = std::move(text);
  content["pc_event_block"] = "";
  json::object block;
  block["block_type"] = kTextBlock;
  block["content"] = std::move(content);
  block["block_id"] = input.ids.block;
  block["parent_id"] = "";
  block["meta_info"] = json::array();
  block["append_fields"] = json::array();
  json::array blocks;
  blocks.push_back(std::move(block));
  json::object message;
  message["local_message_id"] = input.ids.local_message;
  message["content_block"] = std::move(blocks);
  message["message_status"] = 0;
  return message;
}

json::object Option(const CompletionInput& input, DeepThink deep_think) {
  json::object option;
  option["create_time_ms"] = absl::ToUnixMillis(input.now);
  option["unique_key"] = input.ids.unique_key;
  option["need_deep_think"] = static_cast<int>(deep_think);
  option["need_create_conversation"] = input.after.conversation.empty();
  option["conversation_init_option"] = json::object{{"need_ack_conversation", true}};
  option["sse_recv_event_options"] = json::object{{"support_chunk_delta", true}};
  for (const char* name : {"start_seq", "scene_type", "message_from"}) option[name] = 0;
  for (const char* name :
       {"answer_with_suggest", "is_audio", "tts_switch", "click_clear_context", "from_suggest", "is_regen",
        "is_replace", "disable_sse_cache", "resend_for_regen", "no_replace_for_regen", "is_ai_playground"})
    option[name] = false;
  for (const char* name :
       {"send_message_scene", "collect_id", "select_text_action", "regen_instruction", "shared_app_name"})
    option[name] = "";
  for (const char* name : {"regen_query_id", "edit_query_id"}) option[name] = json::array();
  json::object recovery;
  recovery["is_recovery"] = false;
  recovery["req_create_time_sec"] = absl::ToUnixSeconds(input.now);
  option["recovery_option"] = std::move(recovery);
  return option;
}

DeepThink DeepThinkOf(const CompletionInput& input) {
  if (!input.thinking) return DeepThink::kOff;
  return input.model == "expert" ? DeepThink::kExpert : DeepThink::kThinking;
}

std::string RandomDigits(Random& random, int digits) {
  std::string text;
  for (int i = 0; i < digits; ++i) text += static_cast<char>('0' + random.Next() % 10);
  return text;
}

}  // namespace

std::string ConversationPoint::ToString() const { return absl::StrCat(conversation, "@", section, "@", last_index); }

std::optional<ConversationPoint> ConversationPoint::Parse(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '@');
  ConversationPoint point;
  if (parts.size() != 3 || !IsId(parts[0]) || !IsId(parts[1]) || !absl::SimpleAtoi(parts[2], &point.last_index))
    return std::nullopt;
  point.conversation = parts[0];
  point.section = parts[1];
  return point;
}

MessageIds MessageIds::Make(Random& random, absl::Time now) {
  MessageIds ids;
  ids.local_conversation = absl::StrCat("local_", absl::ToUnixMillis(now), RandomDigits(random, 6));
  ids.local_message = random.NextUuid();
  ids.block = random.NextUuid();
  ids.unique_key = random.NextUuid();
  ids.samantha_section = absl::StrCat("26", RandomDigits(random, 16));
  ids.samantha_conversation = absl::StrCat("local_16", RandomDigits(random, 14));
  return ids;
}

HttpRequest Completion(const Settings& settings, const Account& account, const CompletionInput& input) {
  const DeepThink deep_think = DeepThinkOf(input);
  json::object ext;
  ext["use_deep_think"] = absl::StrCat(static_cast<int>(deep_think));
  ext["fp"] = DeviceOf(account).fp;
  ext["conversation_init_option"] = kAckWanted;
  ext["commerce_credit_config_enable"] = "0";
  ext["sub_conv_firstmet_type"] = input.after.conversation.empty() ? "1" : "0";
  json::array messages;
  messages.push_back(Message(input));
  json::object body;
  body["client_meta"] = ClientMeta(settings, input);
  body["messages"] = std::move(messages);
  body["option"] = Option(input, deep_think);
  body["ext"] = std::move(ext);
  return Post(settings, account, kCompletion, body);
}

HttpRequest SamanthaCompletion(const Settings& settings, const Account& account, const CompletionInput& input) {
  constexpr int kTextMessage = 2001;
  json::object text;
  text["text"] = View(input.prompt);
  json::object message;
  message["content"] = json::serialize(text);
  message["content_type"] = kTextMessage;
  message["attachments"] = json::array();
  message["references"] = json::array();
  json::array messages;
  messages.push_back(std::move(message));
  json::object option;
  for (const char* name : {"is_regen", "with_suggest", "is_replace", "is_delete", "use_auto_cot", "resend_for_regen",
                           "enable_commerce_credit"})
    option[name] = false;
  for (const char* name : {"message_from", "action_bar_skill_id"}) option[name] = 0;
  option["need_create_conversation"] = true;
  option["launch_stage"] = 1;
  option["use_deep_think"] = input.thinking;
  option["event_id"] = "0";
  json::object body;
  body["messages"] = std::move(messages);
  body["completion_option"] = std::move(option);
  body["evaluate_option"] = json::object{{"web_ab_params", ""}};
  body["section_id"] = input.ids.samantha_section;
  body["conversation_id"] = "0";
  body["local_conversation_id"] = input.ids.samantha_conversation;
  body["local_message_id"] = input.ids.local_message;
  HttpRequest request = Post(settings, account, kSamanthaCompletion, body);
  request.headers.Set("Agw-Js-Conv", "str, str");
  return request;
}

HttpRequest DeleteConversation(const Settings& settings, const Account& account, absl::string_view conversation,
                               const std::string& sequence_id) {
  constexpr int kCommand = 4171;
  json::array ids;
  ids.push_back(json::value(View(conversation)));
  json::object deletion;
  deletion["conversation_id"] = std::move(ids);
  deletion["delete_all"] = false;  // never anything else: it would empty the owner's account
  deletion["conversation_type"] = 3;
  json::object uplink;
  uplink["batch_delete_user_conversation_uplink_body"] = std::move(deletion);
  json::object body;
  body["cmd"] = kCommand;
  body["uplink_body"] = std::move(uplink);
  body["sequence_id"] = sequence_id;
  body["channel"] = 2;
  body["version"] = "1";
  HttpRequest request = Post(settings, account, kDelete, body);
  request.headers.Set("Content-Type", "application/json; encoding=utf-8");
  request.repeatable = true;
  return request;
}

}  // namespace switchyard::doubao
