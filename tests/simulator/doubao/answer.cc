#include "tests/simulator/doubao/answer.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "boost/json/serialize.hpp"
#include "tests/simulator/platform.h"

namespace simulator::doubao {

namespace json = boost::json;

namespace {

json::object TextBlock(const std::string& id, const std::string& parent, const std::string& text, int patch_type) {
  json::object inner;
  if (!text.empty()) inner["text"] = text;
  json::object content;
  content["text_block"] = std::move(inner);
  json::object block;
  block["block_type"] = 10000;
  block["block_id"] = id;
  block["parent_id"] = parent;
  block["content"] = std::move(content);
  block["is_finish"] = false;
  block["patch_type"] = patch_type;
  return block;
}

json::object ThinkingBlock(const char* title, bool finished) {
  json::object inner;
  inner[finished ? "finish_title" : "streaming_title"] = title;
  json::object content;
  content["thinking_block"] = std::move(inner);
  json::object block;
  block["block_type"] = 10040;
  block["block_id"] = "t1";
  block["content"] = std::move(content);
  block["is_finish"] = finished;
  block["patch_type"] = finished ? 2 : 1;
  return block;
}

json::object Card(const char* title, const char* url, int index) {
  json::object card;
  card["title"] = title;
  card["url"] = url;
  card["summary"] = "s";
  card["sitename"] = "site";
  card["index"] = index;
  json::object result;
  result["text_card"] = std::move(card);
  return result;
}

json::object SearchBlock(const char* id, json::array results, int scene) {
  json::object inner;
  inner["queries"] = json::array{"simulated query"};
  inner["results"] = std::move(results);
  inner["scene"] = scene;
  json::object content;
  content["search_query_result_block"] = std::move(inner);
  json::object block;
  block["block_type"] = 10025;
  block["block_id"] = id;
  block["content"] = std::move(content);
  block["is_finish"] = true;
  block["patch_type"] = 1;
  return block;
}

json::object ImageBlock() {
  json::object original;
  original["url"] = "https://images.example/1.png";
  json::object image;
  image["key"] = "k1";
  image["image_ori"] = std::move(original);
  json::object creation;
  creation["image"] = std::move(image);
  json::object inner;
  inner["creations"] = json::array{std::move(creation)};
  json::object content;
  content["creation_block"] = std::move(inner);
  json::object block;
  block["block_type"] = 2074;
  block["block_id"] = "i1";
  block["content"] = std::move(content);
  return block;
}

}  // namespace

std::string NamedEvents::RawEvent(const std::string& name, const std::string& data) {
  const std::string id = std::to_string(next_++);
  if (plan_.script.Number("oneline", 0) != 0) return "id: " + id + " event: " + name + " data: " + data + "\n\n";
  std::string event = "id: " + id + "\nevent: " + name + "\ndata: " + data + "\n\n";
  if (plan_.script.Number("comments", 0) != 0) event += ": noise\n\nevent: SSE_HEARTBEAT\ndata: {}\n\n";
  if (plan_.script.Number("crlf", 0) != 0) event = absl::StrReplaceAll(event, {{"\n", "\r\n"}});
  return event;
}

std::string NamedEvents::Event(const std::string& name, const json::value& data) {
  return RawEvent(name, json::serialize(data));
}

json::value NamedEvents::Id(const std::string& id) const {
  uint64_t number = 0;
  if (plan_.script.Number("numeric", 0) != 0 && absl::SimpleAtoi(id, &number)) return number;
  return json::value(id);
}

std::string NamedEvents::Opening() {
  json::object query;
  query["question_id"] = Id(plan_.question);
  query["message_index"] = plan_.question_index;
  json::object meta;
  meta["conversation_id"] = Id(plan_.conversation);
  meta["conversation_type"] = 3;
  meta["section_id"] = Id(plan_.section);
  json::object ack;
  ack["query_list"] = json::array{std::move(query)};
  ack["ack_client_meta"] = std::move(meta);
  ack["timeout_conf"] = json::object{{"answer_first_pending_time", 180000}, {"packet_interval_time", 120000}};
  json::object echo;
  echo["conversation_id"] = Id(plan_.conversation);
  echo["message_id"] = Id(plan_.question);
  echo["user_type"] = 1;
  echo["content_type"] = 9999;
  echo["content_block"] = json::array{TextBlock("q1", "", "the question, which is no answer", 1)};
  echo["index_in_conv"] = plan_.question_index;
  json::object notify;
  notify["message"] = std::move(echo);
  return Event("SSE_HEARTBEAT", json::object()) + Event("SSE_ACK", ack) + Event("FULL_MSG_NOTIFY", notify);
}

std::string NamedEvents::Message(json::array blocks) {
  message_open_ = true;
  json::object meta;
  meta["message_id"] = Id(plan_.answer);
  meta["conversation_id"] = Id(plan_.conversation);
  meta["section_id"] = Id(plan_.section);
  meta["user_type"] = 2;
  meta["index_in_conv"] = plan_.question_index + 1;
  json::object content;
  content["content_block"] = std::move(blocks);
  content["content_type"] = 9999;
  json::object message;
  message["content"] = std::move(content);
  message["meta"] = std::move(meta);
  return Event("STREAM_MSG_NOTIFY", message);
}

std::string NamedEvents::Patch(json::array blocks, const std::string& speech) {
  if (!message_open_) return Message(std::move(blocks));
  json::object value;
  value["content_block"] = std::move(blocks);
  json::object patch;
  patch["patch_object"] = 1;
  patch["patch_type"] = 1;
  patch["patch_value"] = std::move(value);
  json::array patches{std::move(patch)};
  if (!speech.empty()) {
    json::object spoken;
    spoken["tts_content"] = speech;
    json::object copy;
    copy["patch_object"] = 111;
    copy["patch_type"] = 1;
    copy["patch_value"] = std::move(spoken);
    patches.push_back(std::move(copy));
  }
  json::object data;
  data["message_id"] = Id(plan_.answer);
  data["patch_op"] = std::move(patches);
  return Event("STREAM_CHUNK", data);
}

std::vector<std::string> NamedEvents::Thoughts() {
  std::vector<std::string> events;
  if (plan_.thinking) {
    events.push_back(Patch({ThinkingBlock("思考中", false)}, ""));
    bool first = true;
    for (const std::string& thought : ThoughtPieces(plan_.script)) {
      if (first || !plan_.deltas) {
        events.push_back(Patch({TextBlock("r1", "t1", thought, 1)}, ""));
      } else {
        events.push_back(Event("CHUNK_DELTA", json::object{{"text", thought}}));
      }
      first = false;
    }
    events.push_back(Patch({ThinkingBlock("已完成思考", true)}, ""));
  }
  if (plan_.script.Number("search", 0) != 0) {
    events.push_back(Patch({SearchBlock("s1", {}, 1)}, ""));
    events.push_back(Patch({SearchBlock("s1",
                                        {Card("First source", "https://source.example/1", 1),
                                         Card("Second source", "https://source.example/2", 2)},
                                        1)},
                           ""));
  }
  return events;
}

std::string NamedEvents::Piece(const std::string& text) {
  if (!text_open_) {
    text_open_ = true;
    return Patch({TextBlock("a1", "", text, 1)}, text);
  }
  if (!plan_.deltas) return Patch({TextBlock("a1", "", text, 1)}, text);
  return Event("CHUNK_DELTA", json::object{{"text", text}});
}

std::string NamedEvents::Ending(const std::string& text) {
  std::string out;
  if (text_open_) {
    json::object closing = TextBlock("a1", "", "", 2);
    closing["is_finish"] = true;
    out += Patch({std::move(closing)}, "");
  }
  if (plan_.script.Number("search", 0) != 0)
    out += Patch({SearchBlock("s2", {Card("Again", "https://source.example/1", 1)}, 2)}, "");
  if (plan_.script.Number("image", 0) != 0) out += Patch({ImageBlock()}, "");
  json::object finish;
  finish["msgid"] = Id(plan_.answer);
  finish["brief"] = text;
  json::object end;
  end["end_type"] = 1;
  end["msg_finish_attr"] = std::move(finish);
  out += Event("SSE_REPLY_END", end);
  out += Event("SSE_REPLY_END", json::object{{"end_type", 2}, {"answer_finish_attr", {{"has_suggest", false}}}});
  return out + Event("SSE_REPLY_END", json::object{{"end_type", 3}});
}

std::string NamedEvents::Error(int64_t code, const std::string& message) {
  return Event("STREAM_ERROR", json::object{{"error_code", code}, {"error_msg", message}});
}

std::string ErrorStream(int64_t code, const std::string& message, bool verify, bool gateway, bool older) {
  json::object decision{{"type", "verify"}, {"region", "cn"}, {"verify_scene", "doubao_message_web"}};
  if (older) {
    json::object ext;
    if (verify) ext["decision"] = json::serialize(decision);
    json::object detail{{"code", code}, {"message", message}};
    detail["ext"] = std::move(ext);
    json::object data{{"code", code}, {"message", message}};
    data["error_detail"] = std::move(detail);
    const json::object frame{{"event_data", json::serialize(data)}, {"event_id", "0"}, {"event_type", 2005}};
    return absl::StrCat("data: ", json::serialize(frame), "\n\n");
  }
  json::object error;
  error["error_code"] = code;
  error["error_msg"] = message;
  if (verify) {
    json::object extra;
    extra["decision"] = std::move(decision);
    error["extra"] = std::move(extra);
  }
  std::string out = absl::StrCat("id: 0\nevent: STREAM_ERROR\ndata: ", json::serialize(error), "\n\n");
  if (!gateway) return out;
  json::object refused;
  refused["code"] = "Internal";
  refused["message"] =
      absl::StrCat("ErrorX:code=", code, " stable=true isPeer=false message=[", message, "]\nchain=[]");
  absl::StrAppend(&out, "event: gateway-error\ndata: ", json::serialize(refused), "\n\n");
  return out;
}

}  // namespace simulator::doubao
