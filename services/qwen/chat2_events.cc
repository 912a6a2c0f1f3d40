#include "services/qwen/chat2_events.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/common/text/views.h"
#include "services/qwen/responses.h"

namespace switchyard::qwen {

namespace json = boost::json;

namespace {

absl::string_view Text(const json::value& value, std::initializer_list<absl::string_view> path) {
  return JsonText(FindMember(value, path));
}

const json::array* List(const json::value* value) { return value == nullptr ? nullptr : value->if_array(); }

/// The answer without the marks that stand where the thinking is shown.
std::string WithoutMarks(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t open = text.find("[(");
    absl::StrAppend(&out, text.substr(0, open));
    if (open == absl::string_view::npos) break;
    text.remove_prefix(open);
    const size_t close = text.find(")]");
    const bool mark = absl::StartsWith(text, "[(deep_think)]") || absl::StartsWith(text, "[(multimodal_chat_think_");
    if (mark && close != absl::string_view::npos) {
      text.remove_prefix(close + 2);
    } else {
      out += "[(";
      text.remove_prefix(2);
    }
  }
  return absl::StripAsciiWhitespace(out).empty() ? std::string() : out;
}

std::string Thought(const json::array& loads) {
  std::string steps, deep, other;
  for (const json::value& load : loads) {
    const absl::string_view type = Text(load, {"type"});
    absl::string_view content = Text(load, {"content", "think_content"});
    if (content.empty()) content = Text(load, {"content", "content"});
    if (type == "deep_think") absl::StrAppend(&deep, content);
    if (type == "multimodal_chat_think") absl::StrAppend(&other, content);
    if (type == "bar_thinking") absl::StrAppend(&steps, steps.empty() ? "" : "\n", Text(load, {"content", "body"}));
  }
  return !steps.empty() ? steps : !deep.empty() ? deep : other;
}

bool SaysEnd(const json::value* value) {
  return value != nullptr && (JsonText(value) == "1" || JsonWhole(value) == 1 || *value == json::value(true));
}

absl::Status Truncated() {
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, "qwen's answer ended before it was complete",
                   {.cause = "truncated"});
}

}  // namespace

absl::Status Chat2Decoder::Feed(absl::string_view bytes, std::vector<ChatEvent>& events) {
  std::vector<SseEvent> received;
  const absl::Status fed = sse_.Feed(bytes, received);
  for (const SseEvent& event : received) {
    if (complete()) return absl::OkStatus();
    if (auto status = Handle(event, events); !status.ok()) return status;
  }
  return complete() ? absl::OkStatus() : fed;
}

absl::Status Chat2Decoder::End(std::vector<ChatEvent>&) {
  if (!complete() && part_complete_) ending_ = Ending::kStop;
  return complete() ? absl::OkStatus() : Truncated();
}

absl::Status Chat2Decoder::Handle(const SseEvent& event, std::vector<ChatEvent>& events) {
  if (event.name == "complete") {
    ending_ = Ending::kStop;
    return absl::OkStatus();
  }
  if (event.data == "[DONE]") return End(events);
  if (event.data.empty() || (!event.name.empty() && event.name != "message")) return absl::OkStatus();
  auto value = ParseJson(event.data);
  if (!value.ok() && !IsValidUtf8(event.data)) value = ParseJson(ReplaceInvalidUtf8(event.data));
  if (!value.ok() || !value->is_object()) {
    return MakeError(Reason::REASON_UPSTREAM_CHANGED, "qwen's answer was not understood: it sent what is no frame",
                     {.cause = "protocol"});
  }
  ++progress_;
  return HandleFrame(*value, events);
}

absl::Status Chat2Decoder::HandleFrame(const json::value& frame, std::vector<ChatEvent>& events) {
  const json::value* talk = FindMember(frame, {"communication"});
  if (talk == nullptr) talk = FindMember(frame, {"data", "communication"});
  if (talk != nullptr) {
    if (const absl::string_view id = Text(*talk, {"sessionid"}); !id.empty()) session_ = std::string(id);
    if (const absl::string_view id = Text(*talk, {"reqid"}); !id.empty()) message_ = std::string(id);
    const auto number = JsonWhole(FindMember(*talk, {"resid"}));
    if (number && *number < frame_) return absl::OkStatus();  // overtaken by a newer state
    if (number) frame_ = *number;
  }
  const json::value* success = FindMember(frame, {"success"});
  const auto code = JsonWhole(FindMember(frame, {"error_code"})).value_or(0);
  if (code != 0 || (success != nullptr && success->is_bool() && !success->get_bool()))
    return CodeError(absl::StrCat(code), Text(frame, {"error_msg"}));

  std::string text, reasoning;
  if (const json::array* parts = List(FindMember(frame, {"data", "messages"}))) ReadParts(*parts, text, reasoning);
  const bool blocked = Text(frame, {"audit_info", "problem_code"}) == "blocked" ||
                       Text(frame, {"data", "audit_info", "problem_code"}) == "blocked";
  const bool last =
      blocked || SaysEnd(FindMember(frame, {"data", "sse_end"})) || Text(frame, {"data", "status"}) == "complete";
  if (const absl::string_view more = reasoning_.Take(reasoning, last); !more.empty() && !answering_) {
    has_content_ = true;
    events.emplace_back().mutable_reasoning()->set_text(std::string(more));
  }
  if (const absl::string_view more = text_.Take(text, last); !more.empty()) {
    answering_ = has_content_ = true;
    events.emplace_back().mutable_text()->set_text(std::string(more));
  }
  if (last) ending_ = blocked ? Ending::kContentFilter : Ending::kStop;
  return absl::OkStatus();
}

void Chat2Decoder::ReadParts(const json::array& parts, std::string& text, std::string& reasoning) {
  for (const json::value& part : parts) {
    const absl::string_view type = Text(part, {"mime_type"});
    const json::array* loads = List(FindMember(part, {"meta_data", "multi_load"}));
    if (loads != nullptr && (type == "bar/workflow" || type == "multi_load/iframe"))
      absl::StrAppend(&reasoning, Thought(*loads));
    if (type != "multi_load/iframe" && type != "text/plain") continue;
    absl::string_view content = Text(part, {"content"});
    if (content.empty() && loads != nullptr && !loads->empty()) content = Text((*loads)[0], {"content"});
    absl::StrAppend(&text, WithoutMarks(content));
    const absl::string_view status = Text(part, {"status"});
    part_complete_ = part_complete_ || status == "complete" || status == "finished";
  }
}

}  // namespace switchyard::qwen
