#include "edge/completion_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/common/sse/sse_encoder.h"
#include "services/common/text/json.h"

namespace switchyard {

using chat::v1::ChatEvent;
using chat::v1::Citation;
using chat::v1::FinishReason;
using chat::v1::Notice;
using chat::v1::ToolCall;
using chat::v1::Usage;

namespace {

absl::string_view FinishWord(FinishReason reason) {
  switch (reason) {
    case FinishReason::FINISH_REASON_LENGTH:
      return "length";
    case FinishReason::FINISH_REASON_TOOL_CALLS:
      return "tool_calls";
    case FinishReason::FINISH_REASON_CONTENT_FILTER:
      return "content_filter";
    default:
      return "stop";
  }
}

void Member(std::string& out, absl::string_view key, absl::string_view text) {
  absl::StrAppend(&out, "\"", key, "\":");
  AppendJsonString(out, text);
}

void StringOrNull(std::string& out, absl::string_view key, absl::string_view text, bool present) {
  if (present) return Member(out, key, text);
  absl::StrAppend(&out, "\"", key, "\":null");
}

std::string UsageObject(const Usage& usage) {
  std::string out = absl::StrCat(R"({"prompt_tokens":)", usage.prompt_tokens(), R"(,"completion_tokens":)",
                                 usage.completion_tokens(), R"(,"total_tokens":)", usage.total_tokens(),
                                 R"(,"completion_tokens_details":{"reasoning_tokens":)", usage.reasoning_tokens(), "}");
  if (usage.source() == Usage::SOURCE_ESTIMATED) out += R"(,"estimated":true)";
  return out + "}";
}

std::string Annotations(const std::vector<Citation>& citations) {
  std::string out = "[";
  for (const Citation& citation : citations) {
    if (out.size() > 1) out += ",";
    out += R"({"type":"url_citation","url_citation":{)";
    absl::StrAppend(&out, "\"start_index\":", citation.start(), ",\"end_index\":", citation.end(), ",");
    Member(out, "url", citation.url());
    out += ",";
    Member(out, "title", citation.title());
    out += "}}";
  }
  return out + "]";
}

std::string Notices(const std::vector<Notice>& notices) {
  std::string out = "[";
  for (const Notice& notice : notices) {
    if (out.size() > 1) out += ",";
    out += "{";
    Member(out, "code", notice.code());
    out += ",";
    Member(out, "message", notice.message());
    out += "}";
  }
  return out + "]";
}

}  // namespace

bool IsContent(const ChatEvent& event) {
  switch (event.event_case()) {
    case ChatEvent::kText:
    case ChatEvent::kReasoning:
    case ChatEvent::kToolCall:
    case ChatEvent::kRefusal:
    case ChatEvent::kFinished:
      return true;
    default:
      return false;
  }
}

ChunkWriter::ChunkWriter(CompletionHead head) : head_(std::move(head)) {
  prefix_ = "data: {";
  Member(prefix_, "id", head_.id);
  absl::StrAppend(&prefix_, ",\"object\":\"chat.completion.chunk\",\"created\":", head_.created, ",");
  Member(prefix_, "model", head_.model);
  suffix_ = absl::StrCat(head_.include_usage ? ",\"usage\":null" : "", "}\n\n");
}

void ChunkWriter::Open(std::string& out) {
  if (std::exchange(opened_, true)) return;
  absl::StrAppend(&out, prefix_,
                  R"(,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}])");
  if (!conversation_id_.empty()) {
    out += ",";
    Member(out, "conversation_id", conversation_id_);
  }
  if (!notices_.empty()) absl::StrAppend(&out, ",\"notices\":", Notices(notices_));
  out += suffix_;
}

void ChunkWriter::Delta(absl::string_view key, absl::string_view text, std::string& out) {
  Open(out);
  absl::StrAppend(&out, prefix_, R"(,"choices":[{"index":0,"delta":{)");
  Member(out, key, text);
  absl::StrAppend(&out, R"(},"finish_reason":null}])", suffix_);
}

void ChunkWriter::ToolCall(const chat::v1::ToolCallDelta& call, std::string& out) {
  Open(out);
  absl::StrAppend(&out, prefix_, R"(,"choices":[{"index":0,"delta":{"tool_calls":[{"index":)", call.index());
  if (!call.id().empty()) {
    out += ",";
    Member(out, "id", call.id());
    out += R"(,"type":"function")";
  }
  out += R"(,"function":{)";
  if (!call.name().empty()) {
    Member(out, "name", call.name());
    out += ",";
  }
  Member(out, "arguments", call.arguments());
  absl::StrAppend(&out, R"(}}]},"finish_reason":null}])", suffix_);
}

void ChunkWriter::End(FinishReason reason, std::string& out) {
  Open(out);
  if (!citations_.empty()) {
    absl::StrAppend(&out, prefix_, R"(,"choices":[{"index":0,"delta":{"annotations":)", Annotations(citations_),
                    R"(},"finish_reason":null}])", suffix_);
  }
  absl::StrAppend(&out, prefix_, R"(,"choices":[{"index":0,"delta":{},"finish_reason":")", FinishWord(reason), "\"}]",
                  suffix_);
  if (head_.include_usage && !usage_.empty())
    absl::StrAppend(&out, prefix_, R"(,"choices":[],"usage":)", usage_, "}\n\n");
  AppendSseEvent(out, "[DONE]");
  ended_ = true;
}

void ChunkWriter::Write(const ChatEvent& event, std::string& out) {
  if (ended_) return;
  switch (event.event_case()) {
    case ChatEvent::kStarted:
      conversation_id_ = event.started().conversation_id();
      break;
    case ChatEvent::kText:
      Delta("content", event.text().text(), out);
      break;
    case ChatEvent::kReasoning:
      Delta("reasoning_content", event.reasoning().text(), out);
      break;
    case ChatEvent::kRefusal:
      Delta("refusal", event.refusal().text(), out);
      break;
    case ChatEvent::kToolCall:
      ToolCall(event.tool_call(), out);
      break;
    case ChatEvent::kCitation:
      citations_.push_back(event.citation());
      break;
    case ChatEvent::kNotice:
      notices_.push_back(event.notice());
      break;
    case ChatEvent::kUsage:
      usage_ = UsageObject(event.usage());
      break;
    case ChatEvent::kFinished:
      End(event.finished().reason(), out);
      break;
    case ChatEvent::EVENT_NOT_SET:
      break;  // of a newer version of the contract
  }
}

void CompletionFolder::Take(const ChatEvent& event) {
  switch (event.event_case()) {
    case ChatEvent::kStarted:
      conversation_id_ = event.started().conversation_id();
      break;
    case ChatEvent::kText:
      has_text_ = true;
      text_ += event.text().text();
      break;
    case ChatEvent::kReasoning:
      reasoning_ += event.reasoning().text();
      break;
    case ChatEvent::kRefusal:
      refusal_ += event.refusal().text();
      break;
    case ChatEvent::kToolCall: {
      const size_t index = static_cast<size_t>(event.tool_call().index());
      if (calls_.size() <= index) calls_.resize(index + 1);
      if (!event.tool_call().id().empty()) calls_[index].set_id(event.tool_call().id());
      if (!event.tool_call().name().empty()) calls_[index].set_name(event.tool_call().name());
      calls_[index].mutable_arguments()->append(event.tool_call().arguments());
      break;
    }
    case ChatEvent::kCitation:
      citations_.push_back(event.citation());
      break;
    case ChatEvent::kNotice:
      notices_.push_back(event.notice());
      break;
    case ChatEvent::kUsage:
      usage_ = event.usage();
      break;
    case ChatEvent::kFinished:
      finish_reason_ = event.finished().reason();
      break;
    case ChatEvent::EVENT_NOT_SET:
      break;
  }
}

std::string CompletionFolder::Body() const {
  std::string out = "{";
  Member(out, "id", head_.id);
  absl::StrAppend(&out, ",\"object\":\"chat.completion\",\"created\":", head_.created, ",");
  Member(out, "model", head_.model);
  out += R"(,"choices":[{"index":0,"message":{"role":"assistant",)";
  StringOrNull(out, "content", text_, has_text_);
  out += ",";
  StringOrNull(out, "refusal", refusal_, !refusal_.empty());
  if (!reasoning_.empty()) {
    out += ",";
    Member(out, "reasoning_content", reasoning_);
  }
  if (!calls_.empty()) {
    out += ",\"tool_calls\":[";
    for (size_t i = 0; i < calls_.size(); ++i) {
      out += i == 0 ? "{" : ",{";
      Member(out, "id", calls_[i].id());
      out += R"(,"type":"function","function":{)";
      Member(out, "name", calls_[i].name());
      out += ",";
      Member(out, "arguments", calls_[i].arguments());
      out += "}}";
    }
    out += "]";
  }
  if (!citations_.empty()) absl::StrAppend(&out, ",\"annotations\":", Annotations(citations_));
  absl::StrAppend(&out, R"(},"logprobs":null,"finish_reason":")", FinishWord(finish_reason_), R"("}],"usage":)",
                  UsageObject(usage_));
  if (!conversation_id_.empty()) {
    out += ",";
    Member(out, "conversation_id", conversation_id_);
  }
  if (!notices_.empty()) absl::StrAppend(&out, ",\"notices\":", Notices(notices_));
  return out + "}";
}

}  // namespace switchyard
