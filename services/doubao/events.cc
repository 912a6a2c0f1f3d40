#include "services/doubao/events.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/common/text/views.h"
#include "services/doubao/responses.h"

namespace switchyard::doubao {

namespace json = boost::json;

namespace {

enum class Kind { kHeartbeat, kAck, kOpen, kDelta, kPatch, kReplyEnd, kStreamEnd, kError, kGatewayError };
struct EventRow {
  absl::string_view name;
  Kind kind;
};
// Whatever is not here is of no interest: the echo of the question (FULL_MSG_NOTIFY) among others.
constexpr std::array kEvents = {
    EventRow{"SSE_HEARTBEAT", Kind::kHeartbeat}, EventRow{"SSE_ACK", Kind::kAck},
    EventRow{"STREAM_MSG_NOTIFY", Kind::kOpen},  EventRow{"CHUNK_DELTA", Kind::kDelta},
    EventRow{"STREAM_CHUNK", Kind::kPatch},      EventRow{"SSE_REPLY_END", Kind::kReplyEnd},
    EventRow{"STREAM_END", Kind::kStreamEnd},    EventRow{"STREAM_ERROR", Kind::kError},
    EventRow{"STREAM_MSG_ERROR", Kind::kError},  EventRow{"gateway-error", Kind::kGatewayError},
};

enum PatchObject : int64_t { kBlocks = 1, kOldText = 102 };  // 111 says the same once more, for speech
constexpr int64_t kUser = 1;

}  // namespace

std::string DecimalId(const json::value* value) {
  if (value == nullptr) return "";
  if (value->is_int64() && value->get_int64() > 0) return absl::StrCat(value->get_int64());
  if (value->is_uint64() && value->get_uint64() > 0) return absl::StrCat(value->get_uint64());
  const absl::string_view text = JsonText(value);
  const bool digits = std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
  return digits && text != "0" && text.size() <= 20 ? std::string(text) : std::string();
}

absl::Status EventDecoder::Feed(absl::string_view bytes, std::vector<ChatEvent>& events) {
  std::vector<SseEvent> received;
  const absl::Status fed = sse_.Feed(lines_.Feed(bytes), received);
  for (const SseEvent& event : received) {
    if (complete_) return absl::OkStatus();  // nothing that follows changes an answer that has ended
    if (auto status = Handle(event, events); !status.ok()) return status;
  }
  return complete_ ? absl::OkStatus() : fed;
}

absl::Status EventDecoder::End(std::vector<ChatEvent>&) {
  if (complete_) return absl::OkStatus();
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, "doubao's answer ended before it was complete",
                   {.cause = "truncated"});
}

absl::Status EventDecoder::Handle(const SseEvent& event, std::vector<ChatEvent>& events) {
  const auto row = std::find_if(kEvents.begin(), kEvents.end(),
                                [&](const EventRow& known) { return known.name == ToAbsl(event.name); });
  if (row == kEvents.end()) return absl::OkStatus();
  if (row->kind == Kind::kHeartbeat) {
    // All that comes of a long thought; how long that may go on is for the caller's deadline to say. Before the request
    // was taken it shows nothing.
    if (!point_.conversation.empty()) ++progress_;
    return absl::OkStatus();
  }
  if (row->kind == Kind::kStreamEnd) {
    if (blocks_.has_text()) Complete(events);
    return absl::OkStatus();
  }
  auto data = ParseJson(event.data);
  if (!data.ok() && !IsValidUtf8(event.data)) data = ParseJson(ReplaceInvalidUtf8(event.data));
  if (!data.ok() || !data->is_object())
    return MakeError(Reason::REASON_UPSTREAM_CHANGED, "doubao's answer was not understood: an event is not JSON",
                     {.cause = "protocol"});
  ++progress_;
  switch (row->kind) {
    case Kind::kAck:
      Acknowledge(*data);
      break;
    case Kind::kOpen:
      Open(*data, events);
      break;
    case Kind::kDelta:
      in_blocks_ = true;
      blocks_.Append(JsonText(FindMember(*data, {"text"})), events);
      break;
    case Kind::kPatch:
      Patch(*data, events);
      break;
    case Kind::kReplyEnd:
      ReplyEnd(*data, events);
      break;
    case Kind::kError:
      return StreamError(*data, has_content());
    case Kind::kGatewayError:
      return GatewayError(*data, has_content());
    default:
      break;
  }
  return absl::OkStatus();
}

void EventDecoder::NotePoint(const json::value& ids, const json::value* index) {
  if (std::string id = DecimalId(FindMember(ids, {"conversation_id"})); !id.empty()) point_.conversation = id;
  if (std::string id = DecimalId(FindMember(ids, {"section_id"})); !id.empty()) point_.section = id;
  if (const auto number = JsonWhole(index)) point_.last_index = std::max(point_.last_index, *number);
}

void EventDecoder::Acknowledge(const json::value& data) {
  const json::value* index = nullptr;
  const json::value* queries = FindMember(data, {"query_list"});
  if (queries != nullptr && queries->is_array() && !queries->get_array().empty())
    index = FindMember(queries->get_array().back(), {"message_index"});
  const json::value* ids = FindMember(data, {"ack_client_meta"});
  NotePoint(ids == nullptr ? json::value(nullptr) : *ids, index);
}

void EventDecoder::Open(const json::value& data, std::vector<ChatEvent>& events) {
  const json::value* meta = FindMember(data, {"meta"});
  if (meta != nullptr) NotePoint(*meta, FindMember(*meta, {"index_in_conv"}));
  if (meta != nullptr && JsonWhole(FindMember(*meta, {"user_type"})) == kUser) return;
  if (const json::value* content = FindMember(data, {"content"})) TakeBlocks(*content, events);
}

void EventDecoder::TakeBlocks(const json::value& holder, std::vector<ChatEvent>& events) {
  const json::value* blocks = FindMember(holder, {"content_block"});
  if (blocks == nullptr || !blocks->is_array()) return;
  for (const json::value& block : blocks->get_array()) blocks_.Take(block, events);
  in_blocks_ = in_blocks_ || blocks_.has_content();
}

void EventDecoder::Patch(const json::value& data, std::vector<ChatEvent>& events) {
  const json::value* patches = FindMember(data, {"patch_op"});
  if (patches == nullptr || !patches->is_array()) return;
  for (const json::value& patch : patches->get_array()) {
    const json::value* value = FindMember(patch, {"patch_value"});
    const auto object = JsonWhole(FindMember(patch, {"patch_object"}));
    if (value == nullptr || !object) continue;
    if (*object == kBlocks) TakeBlocks(*value, events);
    if (*object == kOldText && !in_blocks_) OldPatch(*value, events);
  }
}

// Its text is in an object, in the text of one, or bare.
void EventDecoder::OldPatch(const json::value& value, std::vector<ChatEvent>& events) {
  const json::value* content = FindMember(value, {"content"});
  if (content == nullptr) return;
  if (content->is_object()) {
    blocks_.TakeText(JsonText(FindMember(*content, {"text"})), events);
    return;
  }
  const absl::string_view bare = JsonText(content);
  const auto inner = ParseJson(bare);
  const bool wrapped = inner.ok() && inner->is_object();
  blocks_.TakeText(wrapped ? JsonText(FindMember(*inner, {"text"})) : bare, events);
}

void EventDecoder::ReplyEnd(const json::value& data, std::vector<ChatEvent>& events) {
  // 1: the message is finished, 2: the answer, 3: the stream. With the first of them nothing more of the answer comes.
  const auto type = JsonWhole(FindMember(data, {"end_type"}));
  if (!type || *type < 1 || *type > 3) return;
  // It may be shortened, so only where it is all there is.
  blocks_.TakeInstead(JsonText(FindMember(data, {"msg_finish_attr", "brief"})), events);
  Complete(events);
}

void EventDecoder::Complete(std::vector<ChatEvent>& events) {
  complete_ = true;
  blocks_.Finish(events);
}

}  // namespace switchyard::doubao
