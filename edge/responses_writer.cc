#include "edge/responses_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "edge/answer.h"
#include "edge/error_body.h"
#include "edge/json_text.h"
#include "services/common/status/reason.h"
#include "services/common/text/utf8.h"

namespace switchyard {

using chat::v1::ChatEvent;
using chat::v1::FinishReason;

namespace {

// The object's codes are a closed list, and these are those of it that say what failed here.
absl::string_view ErrorCode(int http_status) {
  if (http_status == 429) return "rate_limit_exceeded";
  return http_status < 500 && http_status != 403 ? "invalid_prompt" : "server_error";
}

std::string UsageJson(const chat::v1::Usage& usage) {
  return absl::StrCat(R"({"input_tokens":)", usage.prompt_tokens(),
                      R"(,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":)",
                      usage.completion_tokens(), R"(,"output_tokens_details":{"reasoning_tokens":)",
                      usage.reasoning_tokens(), R"(},"total_tokens":)", usage.total_tokens(),
                      usage.source() == chat::v1::Usage::SOURCE_ESTIMATED ? R"(,"estimated":true})" : "}");
}

std::string TextPart(absl::string_view type, absl::string_view text) {
  std::string out = "{";
  Member(out, "type", type);
  out += ",";
  Member(out, "text", text);
  return out + "}";
}

}  // namespace

// ---- the objects

std::string ResponsesWriter::PartJson(const Part& part) {
  std::string out;
  if (part.kind == PartKind::kRefusal) {
    out = R"({"type":"refusal",)";
    Member(out, "refusal", part.text);
    return out + "}";
  }
  out = absl::StrCat(R"({"type":"output_text","annotations":[)", absl::StrJoin(part.annotations, ","),
                     R"(],"logprobs":[],)");
  Member(out, "text", part.text);
  return out + "}";
}

std::string ResponsesWriter::ItemJson(const Item& item) const {
  std::string out = "{";
  Member(out, "id", item.id);
  switch (item.kind) {
    case Kind::kMessage:
      absl::StrAppend(&out, R"(,"type":"message","status":")", item.status, R"(","role":"assistant","content":[)");
      for (size_t i = 0; i < item.parts.size(); ++i) absl::StrAppend(&out, i == 0 ? "" : ",", PartJson(item.parts[i]));
      return out + "]}";
    case Kind::kReasoning:
      out += R"(,"type":"reasoning","summary":[)";
      if (options_.summarise_reasoning) {
        if (!item.text.empty()) out += TextPart("summary_text", item.text);
        out += "]";
      } else {
        absl::StrAppend(&out, "],\"content\":[", item.text.empty() ? "" : TextPart("reasoning_text", item.text), "]");
      }
      return absl::StrCat(out, R"(,"status":")", item.status, "\"}");
    case Kind::kCall:
      absl::StrAppend(&out, R"(,"type":"function_call","status":")", item.status, "\",");
      Member(out, "arguments", item.text);
      out += ",";
      Member(out, "call_id", item.call_id);
      out += ",";
      Member(out, "name", item.name);
      return out + "}";
  }
  return out;
}

std::string ResponsesWriter::ResponseJson() const {
  std::string out = "{";
  Member(out, "id", head_.id);
  absl::StrAppend(&out, R"(,"object":"response","created_at":)", head_.created, R"(,"status":")", status_,
                  R"(","completed_at":)", status_ == "completed" ? absl::StrCat(completed_at_) : "null",
                  ",\"error\":", error_, ",\"incomplete_details\":", incomplete_, ",");
  Member(out, "model", head_.model);
  out += ",\"output\":[";
  for (size_t i = 0; i < items_.size(); ++i) absl::StrAppend(&out, i == 0 ? "" : ",", ItemJson(items_[i]));
  out += "]";
  if (usage_) absl::StrAppend(&out, ",\"usage\":", UsageJson(*usage_));
  if (!options_.repeated.empty()) absl::StrAppend(&out, ",", options_.repeated);
  if (!conversation_id_.empty()) {
    out += ",";
    Member(out, "conversation_id", conversation_id_);
  }
  if (!notices_.empty()) absl::StrAppend(&out, ",\"notices\":", NoticesJson(notices_));
  return out + "}";
}

// ---- the events

void ResponsesWriter::Event(absl::string_view type, absl::string_view members, std::string& out) {
  AppendSseEvent(out, type,
                 absl::StrCat("{\"type\":\"", type, "\",\"sequence_number\":", sequence_++, ",", members, "}"));
}

std::string ResponsesWriter::At(bool part) const {
  std::string out;
  Member(out, "item_id", items_.back().id);
  absl::StrAppend(&out, ",\"output_index\":", items_.size() - 1);
  if (!part) return out;
  switch (items_.back().kind) {
    case Kind::kMessage:
      return absl::StrCat(out, ",\"content_index\":", items_.back().parts.size() - 1);
    case Kind::kReasoning:
      return absl::StrCat(out, options_.summarise_reasoning ? ",\"summary_index\":0" : ",\"content_index\":0");
    case Kind::kCall:
      break;
  }
  return out;
}

void ResponsesWriter::Open(std::string& out) {
  if (std::exchange(opened_, true)) return;
  const std::string response = absl::StrCat("\"response\":", ResponseJson());
  Event("response.created", response, out);
  Event("response.in_progress", response, out);
}

ResponsesWriter::Item& ResponsesWriter::Need(Kind kind, std::string& out, int call_index) {
  Open(out);
  // The deltas of a call come together: another index is another call.
  if (item_open_ && items_.back().kind == kind && (kind != Kind::kCall || items_.back().call_index == call_index))
    return items_.back();
  CloseItem(out);
  constexpr absl::string_view kPrefixes[] = {"msg_", "rs_", "fc_"};
  Item& item = items_.emplace_back(Item{kind});
  const size_t unique = head_.id.find('_') + 1;
  item.id = absl::StrCat(kPrefixes[static_cast<int>(kind)], head_.id.substr(unique), "_", items_.size() - 1);
  item.call_index = call_index;
  item.text_start = text_length_;
  item_open_ = true;
  return item;
}

void ResponsesWriter::OpenItem(Item& item, std::string& out) {
  Event("response.output_item.added",
        absl::StrCat("\"output_index\":", items_.size() - 1, ",\"item\":", ItemJson(item)), out);
}

ResponsesWriter::Part& ResponsesWriter::NeedPart(PartKind kind, std::string& out) {
  const size_t items = items_.size();
  Item& item = Need(Kind::kMessage, out);
  if (items_.size() > items) OpenItem(item, out);
  if (part_open_ && item.parts.back().kind == kind) return item.parts.back();
  ClosePart(out);
  Part& part = item.parts.emplace_back(Part{kind});
  part_open_ = true;
  Event("response.content_part.added", absl::StrCat(At(true), ",\"part\":", PartJson(part)), out);
  return part;
}

void ResponsesWriter::ClosePart(std::string& out) {
  if (!std::exchange(part_open_, false)) return;
  const Part& part = items_.back().parts.back();
  std::string done = At(true);
  const bool refusal = part.kind == PartKind::kRefusal;
  done += refusal ? "," : ",\"logprobs\":[],";
  Member(done, refusal ? "refusal" : "text", part.text);
  Event(refusal ? "response.refusal.done" : "response.output_text.done", done, out);
  Event("response.content_part.done", absl::StrCat(At(true), ",\"part\":", PartJson(part)), out);
}

void ResponsesWriter::CloseItem(std::string& out, absl::string_view status) {
  if (!item_open_) return;
  ClosePart(out);
  Item& item = items_.back();
  std::string text = At(true) + ",";
  Member(text, item.kind == Kind::kCall ? "arguments" : "text", item.text);
  if (item.kind == Kind::kReasoning && options_.summarise_reasoning) {
    Event("response.reasoning_summary_text.done", text, out);
    Event("response.reasoning_summary_part.done",
          absl::StrCat(At(true), ",\"part\":", TextPart("summary_text", item.text)), out);
  } else if (item.kind == Kind::kReasoning) {
    Event("response.reasoning_text.done", text, out);
    Event("response.content_part.done", absl::StrCat(At(true), ",\"part\":", TextPart("reasoning_text", item.text)),
          out);
  } else if (item.kind == Kind::kCall) {
    text += ",";
    Member(text, "name", item.name);
    Event("response.function_call_arguments.done", text, out);
  }
  item.status = std::string(status);
  Event("response.output_item.done", absl::StrCat("\"output_index\":", items_.size() - 1, ",\"item\":", ItemJson(item)),
        out);
  item_open_ = false;
}

void ResponsesWriter::Text(absl::string_view text, std::string& out) {
  Part& part = NeedPart(PartKind::kText, out);
  std::string delta = absl::StrCat(At(true), ",\"logprobs\":[],");
  Member(delta, "delta", text);
  Event("response.output_text.delta", delta, out);
  part.text.append(text.data(), text.size());
  text_length_ += CountCodePoints(text);
  for (const chat::v1::Citation& citation : std::exchange(citations_, {})) Annotate(citation, out);
}

void ResponsesWriter::Reasoning(absl::string_view text, std::string& out) {
  const size_t items = items_.size();
  Item& item = Need(Kind::kReasoning, out);
  const bool summary = options_.summarise_reasoning;
  if (items_.size() > items) {
    OpenItem(item, out);
    Event(summary ? "response.reasoning_summary_part.added" : "response.content_part.added",
          absl::StrCat(At(true), ",\"part\":", TextPart(summary ? "summary_text" : "reasoning_text", "")), out);
  }
  std::string delta = At(true) + ",";
  Member(delta, "delta", text);
  Event(summary ? "response.reasoning_summary_text.delta" : "response.reasoning_text.delta", delta, out);
  item.text.append(text.data(), text.size());
}

void ResponsesWriter::Refusal(absl::string_view text, std::string& out) {
  Part& part = NeedPart(PartKind::kRefusal, out);
  std::string delta = At(true) + ",";
  Member(delta, "delta", text);
  Event("response.refusal.delta", delta, out);
  part.text.append(text.data(), text.size());
}

void ResponsesWriter::ToolCall(const chat::v1::ToolCallDelta& call, std::string& out) {
  const size_t items = items_.size();
  Item& item = Need(Kind::kCall, out, call.index());
  if (!call.id().empty()) item.call_id = call.id();
  if (!call.name().empty()) item.name = call.name();
  if (items_.size() > items) OpenItem(item, out);
  if (call.arguments().empty()) return;
  std::string delta = At(false) + ",";
  Member(delta, "delta", call.arguments());
  Event("response.function_call_arguments.delta", delta, out);
  item.text += call.arguments();
}

// A citation stands in one text; its place is counted from where that text begins.
void ResponsesWriter::Annotate(const chat::v1::Citation& citation, std::string& out) {
  if (!part_open_ || items_.back().parts.back().kind != PartKind::kText) {
    citations_.push_back(citation);
    return;
  }
  const int64_t start = items_.back().text_start;
  std::string annotation = R"({"type":"url_citation",)";
  Member(annotation, "url", citation.url());
  annotation += ",";
  Member(annotation, "title", citation.title());
  absl::StrAppend(&annotation, ",\"start_index\":", std::max<int64_t>(citation.start() - start, 0),
                  ",\"end_index\":", std::max<int64_t>(citation.end() - start, 0), "}");
  auto& annotations = items_.back().parts.back().annotations;
  Event("response.output_text.annotation.added",
        absl::StrCat(At(true), ",\"annotation_index\":", annotations.size(), ",\"annotation\":", annotation), out);
  annotations.push_back(std::move(annotation));
}

void ResponsesWriter::Finish(FinishReason reason, std::string& out) {
  Open(out);
  if (!citations_.empty()) {
    NeedPart(PartKind::kText, out);
    for (const chat::v1::Citation& citation : std::exchange(citations_, {})) Annotate(citation, out);
  }
  const bool limit = reason == FinishReason::FINISH_REASON_LENGTH;
  const bool filter = reason == FinishReason::FINISH_REASON_CONTENT_FILTER;
  status_ = limit || filter ? "incomplete" : "completed";
  if (limit) incomplete_ = R"({"reason":"max_output_tokens"})";
  if (filter) incomplete_ = R"({"reason":"content_filter"})";
  CloseItem(out, status_);
  completed_at_ = head_.now();
}

void ResponsesWriter::Write(size_t, const ChatEvent& event, std::string& out) {
  switch (event.event_case()) {
    case ChatEvent::kStarted:
      conversation_id_ = event.started().conversation_id();
      break;
    case ChatEvent::kText:
      return Text(event.text().text(), out);
    case ChatEvent::kReasoning:
      return Reasoning(event.reasoning().text(), out);
    case ChatEvent::kRefusal:
      return Refusal(event.refusal().text(), out);
    case ChatEvent::kToolCall:
      return ToolCall(event.tool_call(), out);
    case ChatEvent::kCitation:
      return Annotate(event.citation(), out);
    case ChatEvent::kNotice:
      notices_.push_back(event.notice());
      break;
    case ChatEvent::kUsage:
      usage_ = event.usage();
      break;
    case ChatEvent::kFinished:
      return Finish(event.finished().reason(), out);
    case ChatEvent::EVENT_NOT_SET:
      break;  // of a newer version of the contract
  }
}

void ResponsesWriter::End(std::string& out) {
  Event(absl::StrCat("response.", status_), absl::StrCat("\"response\":", ResponseJson()), out);
}

// `response.failed` is what the API has for it; the SDKs raise at `error` alone, so that comes too.
void ResponsesWriter::Fail(const absl::Status& status, std::string& out) {
  Open(out);
  const std::string body = ErrorObject(status);
  const ErrorDetail detail = DetailOf(status);
  const ReasonTraits& traits = TraitsOf(detail.reason());
  status_ = "failed";
  error_ = "{";
  Member(error_, "code", ErrorCode(traits.http_status));
  error_ += ",";
  Member(error_, "message", ErrorMessage(status));
  error_ += "}";
  if (item_open_) items_.back().status = "incomplete";
  Event("response.failed", absl::StrCat("\"response\":", ResponseJson()), out);
  std::string members;
  Member(members, "code", traits.code);
  members += ",";
  Member(members, "message", ErrorMessage(status));
  members += ",";
  StringOrNull(members, "param", detail.field(), !detail.field().empty());
  // {"error":{…}} without its outer braces
  Event("error", absl::StrCat(members, ",", body.substr(1, body.size() - 2)), out);
}

void ResponsesWriter::Take(size_t index, const ChatEvent& event) {
  std::string unused;
  Write(index, event, unused);
}

std::string ResponsesWriter::Whole() { return ResponseJson(); }

}  // namespace switchyard
