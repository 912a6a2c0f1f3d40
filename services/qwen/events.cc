#include "services/qwen/events.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/log/log.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/common/text/views.h"
#include "services/qwen/responses.h"

namespace switchyard::qwen {

namespace json = boost::json;

namespace {

constexpr size_t kLongestId = 64;
// What stands in an answer's place until there is one.
constexpr absl::string_view kPlaceholder = "Thinking";

absl::Status Truncated() {
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, "qwen's answer ended before it was complete",
                   {.cause = "truncated"});
}

absl::string_view Text(const json::object& object, absl::string_view name) {
  return JsonText(object.if_contains(ToStd(name)));
}

void NoteId(const json::object& frame, absl::string_view name, std::string& id) {
  const absl::string_view said = Text(frame, name);
  if (!said.empty() && said.size() <= kLongestId && said != id) id = std::string(said);
}

bool IsFalse(const json::value* value) { return value != nullptr && value->is_bool() && !value->get_bool(); }
bool IsTrue(const json::value* value) { return value != nullptr && value->is_bool() && value->get_bool(); }

}  // namespace

absl::Status EventDecoder::Feed(absl::string_view bytes, std::vector<ChatEvent>& events) {
  std::vector<SseEvent> received;
  const absl::Status fed = sse_.Feed(bytes, received);
  for (const SseEvent& event : received) {
    if (complete()) return absl::OkStatus();  // nothing that follows changes an answer that has ended
    if (auto status = Handle(event, events); !status.ok()) return status;
  }
  return complete() ? absl::OkStatus() : fed;
}

absl::Status EventDecoder::End(std::vector<ChatEvent>& events) {
  if (complete()) return absl::OkStatus();
  const absl::Status released = Release(events);
  return released.ok() ? Truncated() : released;
}

absl::Status EventDecoder::Handle(const SseEvent& event, std::vector<ChatEvent>& events) {
  if (event.data.empty()) return absl::OkStatus();
  if (event.data == "[heartbeat]") {
    ++progress_;
    return absl::OkStatus();
  }
  if (event.data == "[DONE]") return End(events);
  auto value = ParseJson(event.data);
  if (!value.ok() && !IsValidUtf8(event.data)) value = ParseJson(ReplaceInvalidUtf8(event.data));
  if (!value.ok() || !value->is_object()) {
    if (!std::exchange(malformed_, true)) return absl::OkStatus();
    const absl::Status released = Release(events);
    if (!released.ok()) return released;
    return MakeError(Reason::REASON_UPSTREAM_CHANGED, "qwen's answer was not understood: it sent what is no frame",
                     {.cause = "protocol"});
  }
  malformed_ = false;
  ++progress_;
  return HandleFrame(value->get_object(), events);
}

absl::Status EventDecoder::HandleFrame(const json::object& frame, std::vector<ChatEvent>& events) {
  NoteId(frame, "sessionId", session_);
  NoteId(frame, "msgId", message_);
  if (const absl::string_view code = Text(frame, "errorCode"); !code.empty()) {
    const absl::Status released = Release(events);
    return released.ok() ? CodeError(code, Text(frame, "errorMsg")) : released;
  }
  const absl::string_view word = Text(frame, "msgStatus");
  const bool last = word == "finished" || word == "finish";
  const absl::string_view type = Text(frame, "contentType");
  if (last || type.empty() || type == "text") {
    std::string text, reasoning;
    Snapshot(frame, !last, text, reasoning);
    if (IsTrue(frame.if_contains("incremental"))) {
      text.insert(0, text_.known());
      reasoning.insert(0, reasoning_.known());
    }
    Advance(text, reasoning, last, events);
  }
  if (!last) return absl::OkStatus();
  if (auto released = Release(events); !released.ok()) return released;
  ending_ = IsFalse(frame.if_contains("canShare")) ? Ending::kContentFilter : Ending::kStop;
  return absl::OkStatus();
}

void EventDecoder::Snapshot(const json::object& frame, bool running, std::string& text, std::string& reasoning) const {
  const json::value* contents = frame.if_contains("contents");
  if (contents == nullptr || !contents->is_array()) return;
  for (const json::value& item : contents->get_array()) {
    if (!item.is_object()) continue;
    const absl::string_view type = Text(item.get_object(), "contentType");
    const absl::string_view content = Text(item.get_object(), "content");
    const absl::string_view role = Text(item.get_object(), "role");
    if (!role.empty() && role != "assistant") continue;
    if (type == "text") {
      if (!running || content != kPlaceholder) absl::StrAppend(&text, content);
    } else if (type == "text2image") {
      absl::StrAppend(&text, PictureText(content));
    } else if (type == "think") {
      absl::StrAppend(&reasoning, content);
    }
  }
}

void EventDecoder::Advance(const std::string& text, const std::string& reasoning, bool last,
                           std::vector<ChatEvent>& events) {
  const absl::string_view thought = reasoning_.Take(reasoning, last);
  if (!thought.empty() && !answering_) {
    has_content_ = true;
    events.emplace_back().mutable_reasoning()->set_text(std::string(thought));
  }
  Show(text_.Take(text, last), events);
  if ((text_.rewritten() || reasoning_.rewritten()) && !std::exchange(warned_, true))
    LogWarning("answer_rewritten", {{"platform", "qwen"}});
}

void EventDecoder::Show(absl::string_view text, std::vector<ChatEvent>& events) {
  if (text.empty()) return;
  answering_ = true;
  if (!may_retire_) {
    has_content_ = true;
    events.emplace_back().mutable_text()->set_text(std::string(text));
    return;
  }
  absl::StrAppend(&held_, text);
  if (absl::StartsWith(kRetiredSentence, held_)) return;
  may_retire_ = false;
  has_content_ = true;
  events.emplace_back().mutable_text()->set_text(std::exchange(held_, {}));
}

// Nothing more follows: what was held back is the call to upgrade, or text.
absl::Status EventDecoder::Release(std::vector<ChatEvent>& events) {
  if (held_ == kRetiredSentence) return RetiredError();
  if (held_.empty()) return absl::OkStatus();
  has_content_ = true;
  may_retire_ = false;
  events.emplace_back().mutable_text()->set_text(std::exchange(held_, {}));
  return absl::OkStatus();
}

}  // namespace switchyard::qwen
