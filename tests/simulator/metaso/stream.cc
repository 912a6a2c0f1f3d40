#include "tests/simulator/metaso/stream.h"

#include <utility>

#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"

namespace simulator::metaso {

namespace json = boost::json;

std::string Frames::Raw(const std::string& payload) const {
  const std::string line = script_.Number("crlf", 0) == 1 ? "\r\n" : "\n";
  return (script_.Number("space", 0) == 1 ? "data: " : "data:") + payload + line + line;
}

std::string Frames::Object(const json::value& object) const { return Raw(json::serialize(object)); }

std::string Frames::Delta(const char* name, json::value value) const {
  json::object delta{{name, std::move(value)}};
  json::object choice{{"delta", std::move(delta)}};
  return Object(json::object{{"id", message_}, {"choices", json::array{std::move(choice)}}});
}

std::string Frames::Text(const std::string& text) const {
  if (chat_) return Delta("content", json::value(text));
  return Object(json::object{{"type", "append-text"}, {"text", text}});
}

std::string Frames::Thought(const std::string& text) const { return Delta("reasoning_content", json::value(text)); }

std::string Frames::Sources() const {
  json::array list{
      json::object{{"index", 1}, {"title", "First source"}, {"link", "https://source.example/1"}, {"snippet", "s1"}},
      json::object{{"index", 2}, {"title", "Second source"}, {"link", "https://source.example/2"}}};
  if (chat_) return Delta("citations", std::move(list));
  return Object(json::object{{"type", "query"}, {"data", json::array{"simulated query"}}}) +
         Object(json::object{{"type", "set-reference"}, {"list", std::move(list)}});
}

std::string Frames::Between() const {
  if (script_.Number("comments", 0) != 1) return "";
  return Object(json::object{{"type", "heartbeat"}}) + ": still here\n\n\n\n" +
         Object(json::object{{"type", "something-new"}, {"data", nullptr}});
}

std::string Frames::Fault(const std::string& fault) const {
  if (fault == "garbage") return Raw("{\"type\":\"append-text\",");
  if (fault == "bad_utf8") return Raw("{\"type\":\"append-text\",\"text\":\"\xFF\xFE\"}");
  if (fault == "oversized")
    return Object(json::object{{"type", "append-text"}, {"text", std::string(2 * 1024 * 1024, 'x')}});
  if (fault == "error")
    return Object(json::object{{"type", "error"}, {"code", "SEARCH_FAILED"}, {"msg", "搜索服务异常"}});
  if (fault == "error_unknown")
    return Object(json::object{{"type", "error"}, {"code", "NEVER_SEEN"}, {"msg", "something new"}});
  if (fault == "word") return Raw("[SERVICE_BUSY]");
  if (fault == "envelope") return Object(json::object{{"errCode", 401}, {"errMsg", "未登录"}});
  if (fault == "quota") return Object(json::object{{"type", "error"}, {"code", 4001}, {"msg", "额度已用完"}});
  if (fault == "anonymous" && chat_) return Fault("quota");
  if (fault == "rate" && chat_) return Object(json::object{{"msg", "Too Many Requests"}, {"code", 429}});
  if (fault == "rate" || fault == "anonymous") return Raw("[TOO_MANY_REQUESTS]") + "\n\n";
  return "";
}

}  // namespace simulator::metaso
