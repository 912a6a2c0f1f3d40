#include "services/doubao/samantha_events.h"

#include "absl/strings/match.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/common/text/views.h"
#include "services/doubao/responses.h"

namespace switchyard::doubao {

namespace json = boost::json;

namespace {

enum EventType : int64_t { kHeartbeat = 1, kMessage = 2001, kAck = 2002, kEnd = 2003, kError = 2005 };
enum ContentType : int64_t {
  kText = 2001,
  kTextNewer = 10000,
  kTextOther = 2008,  // one source takes it for thinking
  kTextLong = 2071,
  kThinking = 10040,
  kSearch = 10025,
  kImages = 2074,
};
constexpr int64_t kReference = 104;

absl::Status NotUnderstood() {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, "doubao's answer was not understood: an event is not JSON",
                   {.cause = "protocol"});
}

/// A value that may be JSON itself or the text of it; null if it is neither.
json::value Unfolded(const json::value* value) {
  if (value == nullptr || !value->is_string()) return value == nullptr ? json::value(nullptr) : *value;
  auto inner = ParseJson(ToAbsl(value->get_string()));
  return inner.ok() ? *std::move(inner) : json::value(nullptr);
}

}  // namespace

absl::Status SamanthaDecoder::Feed(absl::string_view bytes, std::vector<ChatEvent>& events) {
  std::vector<SseEvent> received;
  const absl::Status fed = sse_.Feed(bytes, received);
  for (const SseEvent& event : received) {
    if (complete_) return absl::OkStatus();  // nothing that follows changes an answer that has ended
    if (auto status = Handle(event, events); !status.ok()) return status;
  }
  return complete_ ? absl::OkStatus() : fed;
}

absl::Status SamanthaDecoder::End(std::vector<ChatEvent>& events) {
  if (!complete_ && message_finished_) Complete(events);
  if (complete_) return absl::OkStatus();
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, "doubao's answer ended before it was complete",
                   {.cause = "truncated"});
}

absl::Status SamanthaDecoder::Handle(const SseEvent& event, std::vector<ChatEvent>& events) {
  if (!event.has_data || event.data.empty()) return absl::OkStatus();
  auto frame = ParseJson(event.data);
  if (!frame.ok() && !IsValidUtf8(event.data)) frame = ParseJson(ReplaceInvalidUtf8(event.data));
  if (!frame.ok() || !frame->is_object()) return NotUnderstood();
  if (event.name == "gateway-error") return GatewayError(*frame, has_content());
  const auto code = JsonWhole(FindMember(*frame, {"code"}));
  if (code && *code != 0) return StreamError(*frame, has_content());
  if (absl::StrContains(JsonText(FindMember(*frame, {"message"})), "ErrorX:code="))
    return GatewayError(*frame, has_content());

  const int64_t type = JsonWhole(FindMember(*frame, {"event_type"})).value_or(0);
  // All that comes of a long thought, as in the other dialect.
  if (type == kHeartbeat && !point_.conversation.empty()) ++progress_;
  if (type != kMessage && type != kAck && type != kEnd && type != kError) return absl::OkStatus();
  ++progress_;
  if (type == kEnd) {
    Complete(events);
    return absl::OkStatus();
  }
  const json::value data = Unfolded(FindMember(*frame, {"event_data"}));
  if (!data.is_object()) return NotUnderstood();
  if (type == kError) return StreamError(data, has_content());
  NotePoint(data);
  return type == kMessage ? TakeMessage(data, events) : absl::OkStatus();
}

void SamanthaDecoder::NotePoint(const json::value& data) {
  if (std::string id = DecimalId(FindMember(data, {"conversation_id"})); !id.empty()) point_.conversation = id;
  if (std::string id = DecimalId(FindMember(data, {"section_id"})); !id.empty()) point_.section = id;
  if (const auto index = JsonWhole(FindMember(data, {"message_index"}))) point_.last_index = *index;
}

absl::Status SamanthaDecoder::TakeMessage(const json::value& data, std::vector<ChatEvent>& events) {
  if (const json::value* message = FindMember(data, {"message"})) {
    const json::value* content = FindMember(*message, {"content"});
    TakeContent(JsonWhole(FindMember(*message, {"content_type"})).value_or(0), JsonText(content), events);
    TakeReferences(*message);
  }
  const json::value* finish = FindMember(data, {"is_finish"});
  if (finish != nullptr && finish->is_bool() && finish->get_bool()) message_finished_ = true;
  return absl::OkStatus();
}

void SamanthaDecoder::TakeContent(int64_t type, absl::string_view content, std::vector<ChatEvent>& events) {
  const auto parsed = ParseJson(content);
  const bool object = parsed.ok() && parsed->is_object();
  if (type == kText || type == kTextNewer || type == kTextOther || type == kTextLong) {
    absl::string_view text = content;
    if (object) {
      text = JsonText(FindMember(*parsed, {"text"}));
      if (text.empty()) text = JsonText(FindMember(*parsed, {"delta", "text"}));
      if (text.empty()) text = JsonText(FindMember(*parsed, {"content"}));
    }
    thinking_ ? blocks_.TakeThought(text, events) : blocks_.TakeText(text, events);
  } else if (type == kThinking) {
    SwitchThinking(object ? JsonText(FindMember(*parsed, {"finish_title"})) : absl::string_view());
  } else if (object && (type == kSearch || type == kImages)) {
    const json::value* list = FindMember(*parsed, {type == kSearch ? "results" : "creations"});
    if (list == nullptr || !list->is_array()) return;
    for (const json::value& item : list->get_array())
      type == kSearch ? blocks_.TakeSource(item) : blocks_.TakePicture(item);
  }
}

// By its title; a title that nobody has seen yet turns it over.
void SamanthaDecoder::SwitchThinking(absl::string_view title) {
  if (title == "深度思考中") {
    thinking_ = true;
  } else if (title == "已完成思考") {
    thinking_ = false;
  } else {
    thinking_ = !thinking_;
  }
}

void SamanthaDecoder::TakeReferences(const json::value& message) {
  const json::value* infos = FindMember(message, {"meta_infos"});
  if (infos == nullptr || !infos->is_array()) return;
  for (const json::value& info : infos->get_array()) {
    if (JsonWhole(FindMember(info, {"type"})) != kReference) continue;
    if (const json::value source = Unfolded(FindMember(info, {"info"})); source.is_object()) blocks_.TakeSource(source);
  }
}

void SamanthaDecoder::Complete(std::vector<ChatEvent>& events) {
  complete_ = true;
  blocks_.Finish(events);
}

}  // namespace switchyard::doubao
