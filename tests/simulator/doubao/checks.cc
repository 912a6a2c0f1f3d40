#include "tests/simulator/doubao/checks.h"

#include <algorithm>
#include <regex>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace simulator::doubao {

namespace json = boost::json;

namespace {

constexpr char kOrigin[] = "https://www.doubao.com";

bool Matches(const std::string& text, const char* pattern) { return std::regex_match(text, std::regex(pattern)); }
constexpr char kUuid[] = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";

enum class Type { kText, kUuidText, kWhole, kFlag, kList, kObject };
bool Fits(const json::value* value, Type type) {
  if (value == nullptr) return false;
  switch (type) {
    case Type::kText:
      return value->is_string();
    case Type::kUuidText:
      return value->is_string() && Matches(value->get_string().c_str(), kUuid);
    case Type::kWhole:
      return value->is_int64();
    case Type::kFlag:
      return value->is_bool();
    case Type::kList:
      return value->is_array();
    case Type::kObject:
      return value->is_object();
  }
  return false;
}

struct Member {
  const char* name;
  Type type;
};
std::string Misfit(const json::value* object, const std::string& path, const std::vector<Member>& members) {
  if (object == nullptr || !object->is_object()) return path;
  for (const Member& member : members) {
    if (!Fits(object->get_object().if_contains(member.name), member.type)) return absl::StrCat(path, ".", member.name);
  }
  return "";
}

std::string WrongMessage(const json::value& body) {
  const json::value* messages = At(body, {"messages"});
  if (messages == nullptr || !messages->is_array() || messages->get_array().size() != 1) return "messages";
  const json::value& message = messages->get_array()[0];
  if (std::string wrong = Misfit(
          &message, "messages[0]",
          {{"local_message_id", Type::kUuidText}, {"message_status", Type::kWhole}, {"content_block", Type::kList}});
      !wrong.empty())
    return wrong;
  const json::array& blocks = message.at("content_block").get_array();
  if (blocks.size() != 1) return "content_block";
  if (std::string wrong = Misfit(&blocks[0], "content_block[0]",
                                 {{"block_type", Type::kWhole},
                                  {"content", Type::kObject},
                                  {"block_id", Type::kUuidText},
                                  {"parent_id", Type::kText},
                                  {"meta_info", Type::kList},
                                  {"append_fields", Type::kList}});
      !wrong.empty())
    return wrong;
  if (blocks[0].at("block_type").get_int64() != 10000) return "block_type";
  if (!Fits(At(blocks[0], {"content", "pc_event_block"}), Type::kText)) return "pc_event_block";
  return Misfit(
      At(blocks[0], {"content", "text_block"}), "text_block",
      {{"text", Type::kText}, {"icon_url", Type::kText}, {"icon_url_dark", Type::kText}, {"summary", Type::kText}});
}

std::string WrongOption(const json::value& body) {
  std::vector<Member> members = {{"create_time_ms", Type::kWhole},
                                 {"unique_key", Type::kUuidText},
                                 {"need_deep_think", Type::kWhole},
                                 {"need_create_conversation", Type::kFlag},
                                 {"conversation_init_option", Type::kObject}};
  for (const char* name : {"start_seq", "scene_type", "message_from"}) members.push_back({name, Type::kWhole});
  for (const char* name :
       {"answer_with_suggest", "is_audio", "tts_switch", "click_clear_context", "from_suggest", "is_regen",
        "is_replace", "disable_sse_cache", "resend_for_regen", "no_replace_for_regen", "is_ai_playground"})
    members.push_back({name, Type::kFlag});
  for (const char* name :
       {"send_message_scene", "collect_id", "select_text_action", "regen_instruction", "shared_app_name"})
    members.push_back({name, Type::kText});
  for (const char* name : {"regen_query_id", "edit_query_id"}) members.push_back({name, Type::kList});
  return Misfit(At(body, {"option"}), "option", members);
}

}  // namespace

const json::value* At(const json::value& value, std::initializer_list<const char*> path) {
  const json::value* at = &value;
  for (const char* name : path) {
    at = at->is_object() ? at->get_object().if_contains(name) : nullptr;
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::string TextAt(const json::value& value, std::initializer_list<const char*> path) {
  const json::value* found = At(value, path);
  return found != nullptr && found->is_string() ? std::string(found->get_string().data(), found->get_string().size())
                                                : std::string();
}

Parameters ReadQuery(const std::string& query) {
  Parameters parameters;
  for (const std::string& pair : std::vector<std::string>(absl::StrSplit(query, '&', absl::SkipEmpty()))) {
    const size_t equals = pair.find('=');
    parameters[pair.substr(0, equals)] = equals == std::string::npos ? "" : pair.substr(equals + 1);
  }
  return parameters;
}

Parameters ReadCookies(const switchyard::HttpServerRequest& request) {
  Parameters cookies;
  for (absl::string_view pair : absl::StrSplit(request.headers.Get("cookie"), ';')) {
    pair = absl::StripAsciiWhitespace(pair);
    const size_t equals = pair.find('=');
    if (equals != absl::string_view::npos)
      cookies[std::string(pair.substr(0, equals))] = std::string(pair.substr(equals + 1));
  }
  return cookies;
}

std::string WrongHeaders(const switchyard::HttpServerRequest& request) {
  if (request.headers.Get("origin") != kOrigin) return "Origin";
  if (!absl::StartsWith(request.headers.Get("referer"), absl::StrCat(kOrigin, "/chat/"))) return "Referer";
  if (request.headers.Get("user-agent").empty()) return "User-Agent";
  if (!absl::StartsWith(request.headers.Get("content-type"), "application/json")) return "Content-Type";
  return "";
}

std::string WrongQuery(const Parameters& query) {
  for (const char* name :
       {"aid", "real_aid", "device_platform", "language", "pc_version", "pkg_type", "region", "sys_region",
        "samantha_web", "use-olympus-account", "version_code", "device_id", "web_id", "tea_uuid", "web_tab_id", "fp"}) {
    if (query.count(name) == 0) return name;
  }
  for (const auto& [name, value] : Parameters{{"aid", "497858"},
                                              {"real_aid", "497858"},
                                              {"device_platform", "web"},
                                              {"pkg_type", "release_version"},
                                              {"samantha_web", "1"},
                                              {"use-olympus-account", "1"}}) {
    if (query.at(name) != value) return name;
  }
  for (const char* name : {"device_id", "web_id", "tea_uuid"}) {
    if (!Matches(query.at(name), "7[0-9]{18}")) return name;
  }
  if (!Matches(query.at("fp"),
               "verify_[0-9a-z]{8}_[0-9A-Za-z]{8}_[0-9A-Za-z]{4}_[0-9A-Za-z]{4}_[0-9A-Za-z]{4}_[0-9A-Za-z]{12}"))
    return "fp";
  if (!Matches(query.at("web_tab_id"), kUuid)) return "web_tab_id";
  // Signatures of the page can only be wrong here. Source: protocol notes, section 6.
  if (query.count("a_bogus") != 0) return "a_bogus";
  return "";
}

std::string WrongBody(const json::value& body, const Parameters& query) {
  if (std::string wrong = Misfit(At(body, {"client_meta"}), "client_meta",
                                 {{"local_conversation_id", Type::kText},
                                  {"conversation_id", Type::kText},
                                  {"bot_id", Type::kText},
                                  {"last_section_id", Type::kText}});
      !wrong.empty())
    return wrong;
  if (!Matches(TextAt(body, {"client_meta", "local_conversation_id"}), "local_[0-9]{16,19}"))
    return "local_conversation_id";
  const json::value* last = At(body, {"client_meta", "last_message_index"});
  if (last == nullptr || !(last->is_null() || last->is_int64())) return "last_message_index";
  if (std::string wrong = WrongMessage(body); !wrong.empty()) return wrong;
  if (std::string wrong = WrongOption(body); !wrong.empty()) return wrong;
  if (std::string wrong = Misfit(At(body, {"ext"}), "ext",
                                 {{"use_deep_think", Type::kText},
                                  {"fp", Type::kText},
                                  {"conversation_init_option", Type::kText},
                                  {"commerce_credit_config_enable", Type::kText},
                                  {"sub_conv_firstmet_type", Type::kText}});
      !wrong.empty())
    return wrong;
  const int64_t deep = At(body, {"option", "need_deep_think"})->get_int64();
  if (deep != 0 && deep != 1 && deep != 3) return "need_deep_think";
  if (TextAt(body, {"ext", "use_deep_think"}) != std::to_string(deep)) return "use_deep_think";
  if (TextAt(body, {"ext", "fp"}) != query.at("fp")) return "ext.fp";
  return "";
}

}  // namespace simulator::doubao
