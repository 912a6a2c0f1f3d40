#include "edge/messages_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "edge/answer.h"
#include "edge/error_body.h"
#include "edge/json_text.h"

namespace switchyard {

using chat::v1::ChatEvent;
using chat::v1::FinishReason;

namespace {

absl::string_view StopReason(const chat::v1::Finished& finished) {
  switch (finished.reason()) {
    case FinishReason::FINISH_REASON_LENGTH:
      return "max_tokens";
    case FinishReason::FINISH_REASON_TOOL_CALLS:
      return "tool_use";
    case FinishReason::FINISH_REASON_CONTENT_FILTER:
      return "refusal";
    default:
      return finished.stop_sequence().empty() ? "end_turn" : "stop_sequence";
  }
}

/// A tool's input as an object. What a model wrote that is none is kept as it came.
std::string InputJson(const std::string& arguments) {
  if (arguments.empty()) return "{}";
  if (const auto value = ParseJson(arguments); value.ok() && value->is_object()) return arguments;
  return absl::StrCat("{\"arguments\":", Quoted(arguments), "}");
}

}  // namespace

// ---- the objects

std::string MessagesWriter::BlockJson(const Block& block) {
  std::string out;
  switch (block.kind) {
    case Kind::kText:
      out = R"({"type":"text",)";
      Member(out, "text", block.text);
      if (block.citations.empty()) return out + ",\"citations\":null}";
      return absl::StrCat(out, ",\"citations\":[", absl::StrJoin(block.citations, ","), "]}");
    case Kind::kThinking:
      out = R"({"type":"thinking",)";
      Member(out, "thinking", block.text);
      return out + ",\"signature\":\"\"}";
    case Kind::kToolUse:
      out = R"({"type":"tool_use",)";
      Member(out, "id", block.id);
      out += ",";
      Member(out, "name", block.name);
      return absl::StrCat(out, ",\"input\":", InputJson(block.text), R"(,"caller":{"type":"direct"}})");
  }
  return out;
}

std::string MessagesWriter::StopMembers() const {
  std::string out;
  Member(out, "stop_reason", StopReason(finished_));
  out += ",";
  StringOrNull(out, "stop_sequence", finished_.stop_sequence(), !finished_.stop_sequence().empty());
  if (finished_.reason() != FinishReason::FINISH_REASON_CONTENT_FILTER) return out + ",\"stop_details\":null";
  out += R"(,"stop_details":{"type":"refusal","category":null,)";
  StringOrNull(out, "explanation", refusal_, !refusal_.empty());
  return out + "}";
}

std::string MessagesWriter::UsageMembers() const {
  return absl::StrCat(R"("input_tokens":)", usage_.prompt_tokens(),
                      R"(,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":)",
                      usage_.completion_tokens(), R"(,"output_tokens_details":{"thinking_tokens":)",
                      usage_.reasoning_tokens(), R"(},"server_tool_use":null)",
                      usage_.source() == chat::v1::Usage::SOURCE_ESTIMATED ? R"(,"estimated":true)" : "");
}

std::string MessagesWriter::OwnMembers() const {
  std::string out;
  if (!conversation_id_.empty()) {
    out += ",";
    Member(out, "conversation_id", conversation_id_);
  }
  if (!notices_.empty()) absl::StrAppend(&out, ",\"notices\":", NoticesJson(notices_));
  return out;
}

std::string MessagesWriter::MessageJson(bool whole) const {
  std::string out = "{";
  Member(out, "id", head_.id);
  out += R"(,"type":"message","role":"assistant",)";
  Member(out, "model", head_.model);
  out += ",\"content\":[";
  for (size_t i = 0; whole && i < blocks_.size(); ++i) absl::StrAppend(&out, i == 0 ? "" : ",", BlockJson(blocks_[i]));
  absl::StrAppend(&out, "],", whole ? StopMembers() : R"("stop_reason":null,"stop_sequence":null,"stop_details":null)",
                  R"(,"container":null,"diagnostics":null,"usage":{)", UsageMembers(),
                  R"(,"cache_creation":null,"inference_geo":null,"service_tier":null,"speed":null})", OwnMembers());
  return out + "}";
}

// ---- the events

void MessagesWriter::Event(absl::string_view type, absl::string_view members, std::string& out) {
  AppendSseEvent(out, type, absl::StrCat("{\"type\":\"", type, "\"", members.empty() ? "" : ",", members, "}"));
}

void MessagesWriter::Open(std::string& out) {
  if (std::exchange(opened_, true)) return;
  Event("message_start", absl::StrCat("\"message\":", MessageJson(false)), out);
}

MessagesWriter::Block& MessagesWriter::Need(Kind kind, std::string& out, const chat::v1::ToolCallDelta& call) {
  Open(out);
  // The deltas of a call come together: another index is another call.
  if (block_open_ && blocks_.back().kind == kind && blocks_.back().call_index == call.index()) return blocks_.back();
  CloseBlock(out);
  Block& block = blocks_.emplace_back(Block{kind});
  block.id = call.id();
  block.name = call.name();
  block.call_index = call.index();
  block_open_ = true;
  Event("content_block_start", absl::StrCat("\"index\":", blocks_.size() - 1, ",\"content_block\":", BlockJson(block)),
        out);
  return block;
}

void MessagesWriter::CloseBlock(std::string& out) {
  if (!std::exchange(block_open_, false)) return;
  Event("content_block_stop", absl::StrCat("\"index\":", blocks_.size() - 1), out);
}

void MessagesWriter::Delta(absl::string_view type, absl::string_view key, absl::string_view text, std::string& out) {
  std::string members = absl::StrCat("\"index\":", blocks_.size() - 1, ",\"delta\":{\"type\":\"", type, "\",");
  Member(members, key, text);
  Event("content_block_delta", members + "}", out);
  blocks_.back().text.append(text.data(), text.size());
}

void MessagesWriter::ToolCall(const chat::v1::ToolCallDelta& call, std::string& out) {
  Need(Kind::kToolUse, out, call);
  if (!call.arguments().empty()) Delta("input_json_delta", "partial_json", call.arguments(), out);
}

void MessagesWriter::Cite(const chat::v1::Citation& citation, std::string& out) {
  if (!block_open_ || blocks_.back().kind != Kind::kText) {
    citations_.push_back(citation);
    return;
  }
  std::string cited = R"({"type":"web_search_result_location",)";
  Member(cited, "url", citation.url());
  cited += ",";
  StringOrNull(cited, "title", citation.title(), !citation.title().empty());
  cited += ",\"encrypted_index\":\"\",";
  Member(cited, "cited_text", citation.snippet());
  cited += "}";
  Event("content_block_delta",
        absl::StrCat("\"index\":", blocks_.size() - 1, R"(,"delta":{"type":"citations_delta","citation":)", cited, "}"),
        out);
  blocks_.back().citations.push_back(std::move(cited));
}

void MessagesWriter::Write(size_t, const ChatEvent& event, std::string& out) {
  switch (event.event_case()) {
    case ChatEvent::kStarted:
      conversation_id_ = event.started().conversation_id();
      break;
    case ChatEvent::kText:
      Need(Kind::kText, out);
      Delta("text_delta", "text", event.text().text(), out);
      for (const chat::v1::Citation& citation : std::exchange(citations_, {})) Cite(citation, out);
      break;
    case ChatEvent::kReasoning:
      Need(Kind::kThinking, out);
      Delta("thinking_delta", "thinking", event.reasoning().text(), out);
      break;
    case ChatEvent::kToolCall:
      ToolCall(event.tool_call(), out);
      break;
    case ChatEvent::kCitation:
      Cite(event.citation(), out);
      break;
    case ChatEvent::kRefusal:
      Open(out);
      refusal_ += event.refusal().text();
      break;
    case ChatEvent::kNotice:
      notices_.push_back(event.notice());
      break;
    case ChatEvent::kUsage:
      usage_ = event.usage();
      break;
    case ChatEvent::kFinished:
      Open(out);
      if (!citations_.empty()) Need(Kind::kText, out);
      for (const chat::v1::Citation& citation : std::exchange(citations_, {})) Cite(citation, out);
      CloseBlock(out);
      finished_ = event.finished();
      break;
    case ChatEvent::EVENT_NOT_SET:
      break;  // of a newer version of the contract
  }
}

void MessagesWriter::End(std::string& out) {
  Event("message_delta",
        absl::StrCat("\"delta\":{", StopMembers(), ",\"container\":null},\"usage\":{", UsageMembers(), "}"), out);
  Event("message_stop", "", out);
}

void MessagesWriter::Fail(const absl::Status& status, std::string& out) {
  AppendSseEvent(out, "error", ErrorObject(status, ErrorForm::kAnthropic, head_.request_id));
}

void MessagesWriter::KeepAlive(std::string& out) { Event("ping", "", out); }

void MessagesWriter::Take(size_t index, const ChatEvent& event) {
  std::string unused;
  Write(index, event, unused);
}

std::string MessagesWriter::Whole() { return MessageJson(true); }

}  // namespace switchyard
