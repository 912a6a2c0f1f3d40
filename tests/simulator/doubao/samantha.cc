#include "tests/simulator/doubao/samantha.h"

#include <regex>

#include "absl/strings/str_replace.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "tests/simulator/doubao/checks.h"
#include "tests/simulator/platform.h"

namespace simulator::doubao {

namespace json = boost::json;

std::string SamanthaPrompt(const json::value& body) {
  const json::value* messages = At(body, {"messages"});
  if (messages == nullptr || !messages->is_array() || messages->get_array().size() != 1) return "";
  json::error_code error;
  const json::value content = json::parse(TextAt(messages->get_array()[0], {"content"}), error);
  return error ? std::string() : TextAt(content, {"text"});
}

std::string WrongSamanthaBody(const json::value& body) {
  if (SamanthaPrompt(body).empty()) return "messages";
  const json::value& message = body.at("messages").get_array()[0];
  const json::value* type = At(message, {"content_type"});
  if (type == nullptr || !type->is_int64() || type->get_int64() != 2001) return "content_type";
  for (const char* name : {"attachments", "references"}) {
    const json::value* list = At(message, {name});
    if (list == nullptr || !list->is_array()) return name;
  }
  for (const char* name : {"is_regen", "with_suggest", "need_create_conversation", "is_replace", "is_delete",
                           "use_deep_think", "use_auto_cot", "resend_for_regen", "enable_commerce_credit"}) {
    const json::value* flag = At(body, {"completion_option", name});
    if (flag == nullptr || !flag->is_bool()) return name;
  }
  if (TextAt(body, {"completion_option", "event_id"}) != "0") return "event_id";
  if (!std::regex_match(TextAt(body, {"section_id"}), std::regex("26[0-9]{16}"))) return "section_id";
  if (!std::regex_match(TextAt(body, {"local_conversation_id"}), std::regex("local_16[0-9]{14}")))
    return "local_conversation_id";
  if (TextAt(body, {"conversation_id"}) != "0" ||
      !At(body, {"completion_option", "need_create_conversation"})->get_bool())
    return "conversation_id";
  return TextAt(body, {"local_message_id"}).size() == 36 ? "" : "local_message_id";
}

std::string NumberedEvents::Line(const std::string& data) const {
  std::string event = "data: " + data + "\n\n";
  if (plan_.script.Number("comments", 0) != 0) event += ": noise\n\ndata: {\"event_type\":1}\n\n";
  if (plan_.script.Number("crlf", 0) != 0) event = absl::StrReplaceAll(event, {{"\n", "\r\n"}});
  return event;
}

std::string NumberedEvents::Frame(int type, const json::value& data) {
  json::object frame;
  frame["event_data"] = json::serialize(data);
  frame["event_id"] = std::to_string(next_++);
  frame["event_type"] = type;
  return Line(json::serialize(frame));
}

std::string NumberedEvents::Message(int content_type, const json::value& content, bool finish) {
  json::object message;
  message["id"] = std::to_string(next_);
  message["content_type"] = content_type;
  message["content"] = json::serialize(content);
  json::object data;
  data["message"] = std::move(message);
  data["conversation_id"] = plan_.conversation;
  data["is_delta"] = true;
  if (finish) data["is_finish"] = true;
  return Frame(2001, data);
}

std::string NumberedEvents::Opening() {
  json::object ack;
  ack["conversation_id"] = plan_.conversation;
  ack["section_id"] = plan_.section;
  ack["message_id"] = plan_.question;
  ack["message_index"] = plan_.question_index;
  return Frame(2002, ack);
}

std::vector<std::string> NumberedEvents::Thoughts() {
  std::vector<std::string> events;
  if (plan_.thinking) {
    events.push_back(Message(10040, json::object{{"finish_title", "深度思考中"}}));
    for (const std::string& thought : ThoughtPieces(plan_.script))
      events.push_back(Message(10000, json::object{{"text", thought}}));
    events.push_back(Message(10040, json::object{{"finish_title", "已完成思考"}}));
  }
  if (plan_.script.Number("search", 0) != 0) {
    json::object card{{"title", "First source"}, {"url", "https://source.example/1"}, {"sitename", "site"}};
    json::object result;
    result["text_card"] = std::move(card);
    json::object found;
    found["results"] = json::array{std::move(result)};
    events.push_back(Message(10025, found));
  }
  return events;
}

std::string NumberedEvents::Piece(const std::string& text) { return Message(10000, json::object{{"text", text}}); }

std::string NumberedEvents::Ending(const std::string&) {
  return Message(2001, json::object(), true) + Frame(2003, json::object());
}

std::string NumberedEvents::Error(int64_t code, const std::string& message) {
  return Frame(2005, json::object{{"code", code}, {"message", message}});
}

}  // namespace simulator::doubao
