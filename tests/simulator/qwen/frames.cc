#include "tests/simulator/qwen/frames.h"

#include <utility>

#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"

namespace simulator::qwen {

namespace json = boost::json;

std::string Frames::Raw(const std::string& payload) const {
  const std::string line = script_.Number("crlf", 0) == 1 ? "\r\n" : "\n";
  return (script_.Number("space", 1) == 1 ? "data: " : "data:") + payload + line + line;
}

std::string Frames::Frame(const char* status, const std::string& text, const std::string& thought, bool may_share,
                          bool incremental) const {
  json::array contents;
  if (!thought.empty()) {
    json::object item{{"contentType", "think"}, {"content", thought}, {"role", "assistant"}};
    contents.push_back(std::move(item));
  }
  if (!text.empty()) {
    json::object item{{"contentType", "text"}, {"content", text}, {"role", "assistant"}, {"status", status}};
    contents.push_back(std::move(item));
  }
  json::object frame;
  frame["sessionId"] = session_;
  frame["msgId"] = message_;
  frame["parentMsgId"] = parent_;
  frame["msgStatus"] = status;
  frame["contentType"] = "text";
  frame["contentFrom"] = "text";
  frame["canShare"] = may_share;
  if (incremental) frame["incremental"] = true;
  frame["contents"] = std::move(contents);
  return Raw(json::serialize(frame));
}

std::string Frames::Running(const std::string& text, const std::string& thought) const {
  return Frame("generating", text, thought, true, false);
}

std::string Frames::Delta(const std::string& text) const { return Frame("generating", text, "", true, true); }

std::string Frames::Last(const std::string& text, const std::string& thought, bool may_share) const {
  const std::string word = script_.Text("word", "finished");
  return Frame(word.c_str(), text, thought, may_share, false);
}

std::string Frames::Error(const std::string& code, const std::string& said) const {
  json::object frame{{"msgStatus", "finished"},
                     {"contentType", "text"},
                     {"errorCode", code},
                     {"errorMsg", said},
                     {"contents", json::array()}};
  return Raw(json::serialize(frame));
}

std::string Frames::Between() const {
  if (script_.Number("comments", 0) != 1) return "";
  return ": still here\n\nevent: message\nid: 7\ndata:\n\n" + Raw("[heartbeat]");
}

}  // namespace simulator::qwen
