#include "tests/simulator/kimi/frames.h"

#include <zlib.h>

#include <utility>

#include "boost/json/serialize.hpp"
#include "tests/simulator/platform.h"

namespace simulator::kimi {

namespace json = boost::json;

std::string Envelope(const std::string& payload, unsigned flags) {
  std::string frame(1, static_cast<char>(flags));
  const size_t size = payload.size();
  for (const unsigned shift : {24U, 16U, 8U, 0U}) frame += static_cast<char>(size >> shift & 0xFF);
  return frame + payload;
}

std::string Gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

json::object ErrorObject(const std::string& code, const std::string& reason) {
  const json::object localized{{"locale", "en-US"}, {"message", "told to the user"}};
  const json::object debug{{"reason", reason}, {"localizedMessage", localized}};
  const json::object detail{{"type", "kimi.example.v1.ErrorDetail"}, {"value", ""}, {"debug", debug}};
  json::array details;
  details.push_back(detail);
  return {{"code", code}, {"details", std::move(details)}};
}

std::string ErrorFrame(const std::string& code, const std::string& reason) {
  return Envelope(json::serialize(json::object{{"error", ErrorObject(code, reason)}}), 2);
}

std::string EventWriter::Framed(const json::object& event) const {
  const std::string text = json::serialize(event);
  return script_.Number("compress", 0) != 0 ? Envelope(Gzip(text), 1) : Envelope(text);
}

std::string EventWriter::Event(const char* op, const char* mask, const char* member, json::value value) {
  const json::object event{{"op", op}, {"mask", mask}, {"eventOffset", ++offset_}, {member, std::move(value)}};
  std::string frame = Framed(event);
  if (script_.Number("comments", 0) != 0) frame += Envelope(R"({"heartbeat":{}})") + Envelope("");
  return frame;
}

std::string EventWriter::Opening() {
  std::string out = Envelope(R"({"heartbeat":{}})");
  out += Event("set", "chat", "chat", json::object{{"id", ids_.chat}, {"name", "New chat"}});
  json::array blocks;
  blocks.push_back(
      json::object{{"id", "0"}, {"messageId", ids_.question}, {"text", json::object{{"content", ids_.prompt}}}});
  out += Event("set", "message", "message",
               json::object{{"id", ids_.question},
                            {"role", "user"},
                            {"status", "MESSAGE_STATUS_COMPLETED"},
                            {"blocks", std::move(blocks)},
                            {"scenario", ids_.scenario}});
  return out + Event("set", "message", "message",
                     json::object{{"id", ids_.answer},
                                  {"parentId", ids_.question},
                                  {"role", "assistant"},
                                  {"status", "MESSAGE_STATUS_GENERATING"},
                                  {"blocks", json::array()},
                                  {"scenario", ids_.scenario}});
}

std::string EventWriter::Thoughts() {
  const std::vector<std::string> thoughts = ThoughtPieces(script_);
  const std::string route = script_.Text("route", "think");
  const auto stage = [&](const char* status) {
    json::array stages;
    stages.push_back(json::object{{"name", "STAGE_NAME_THINKING"}, {"status", status}});
    return Event(
        "set", "block.multiStage", "block",
        json::object{
            {"id", "s1"}, {"messageId", ids_.answer}, {"multiStage", json::object{{"stages", std::move(stages)}}}});
  };
  std::string out;
  if (route != "flags") out += stage("STAGE_STATUS_START");
  const char* kind = route == "think" ? "think" : "text";
  for (size_t i = 0; i < thoughts.size(); ++i) {
    json::object content{{"content", thoughts[i]}};
    if (route == "flags" && i == 0) content["flags"] = "thinking";
    json::object block{{"id", "s3"}, {"parentId", "s1"}, {kind, std::move(content)}};
    const std::string mask = std::string("block.") + kind + (i == 0 ? "" : ".content");
    out += Event(i == 0 ? "set" : "append", mask.c_str(), "block", std::move(block));
  }
  if (route != "flags") out += stage("STAGE_STATUS_END");
  return out;
}

json::object EventWriter::Source() const {
  return {{"title", "First source"}, {"url", "https://source.example/1"}, {"snippet", "s1"}};
}

std::string EventWriter::Pages() {
  json::array pages;
  pages.push_back(Source());
  return Event("append", "block.search.webPages", "block",
               json::object{{"id", "p1"}, {"search", json::object{{"webPages", std::move(pages)}}}});
}

std::string EventWriter::References() {
  json::object second = Source();
  second["url"] = "https://source.example/2";
  second["title"] = "Second source";
  json::array chunks;
  chunks.push_back(json::object{{"refIndex", "1"}, {"base", Source()}});
  chunks.push_back(json::object{{"refIndex", "2"}, {"base", std::move(second)}});
  return Event("set", "message.refs", "message",
               json::object{{"id", ids_.answer}, {"refs", json::object{{"searchChunks", std::move(chunks)}}}});
}

std::string EventWriter::Piece(const std::string& text, size_t index) {
  text_ += text;
  const bool fresh = index == 0 || script_.Number("blocks", 0) != 0;
  const bool snapshot = script_.Number("snapshots", 0) != 0;
  const std::string id = script_.Number("blocks", 0) != 0 ? "t" + std::to_string(index) : "t0";
  json::object content{{"content", snapshot && script_.Number("blocks", 0) == 0 ? text_ : text}};
  if (script_.Text("route") == "flags") content["flags"] = "answer";
  json::object block{{"id", id}, {"text", std::move(content)}};
  if (fresh) block["messageId"] = ids_.answer;
  const bool set = fresh || snapshot;
  return Event(set ? "set" : "append", set ? "block.text" : "block.text.content", "block", std::move(block));
}

std::string EventWriter::Exception() {
  const json::object localized{{"message", "Let us talk about something else."}};
  const json::object error{{"reason", "REASON_CONTENT_SAFETY"}, {"localizedMessage", localized}};
  return Event("set", "block.exception", "block",
               json::object{{"id", "x1"}, {"messageId", ids_.answer}, {"exception", json::object{{"error", error}}}});
}

std::string EventWriter::Completed() {
  return Event("set", "message.status", "message",
               json::object{{"id", ids_.answer}, {"status", "MESSAGE_STATUS_COMPLETED"}});
}

std::string EventWriter::Done() { return Framed(json::object{{"eventOffset", ++offset_}, {"done", json::object()}}); }

}  // namespace simulator::kimi
