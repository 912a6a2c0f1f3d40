#include "edge/completion_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "edge/error_body.h"
#include "edge/json_text.h"

namespace switchyard {

using chat::v1::ChatEvent;
using chat::v1::Citation;
using chat::v1::FinishReason;

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

std::string UsageObject(const chat::v1::Usage& usage) {
  std::string out = absl::StrCat(R"({"prompt_tokens":)", usage.prompt_tokens(), R"(,"completion_tokens":)",
                                 usage.completion_tokens(), R"(,"total_tokens":)", usage.total_tokens(),
                                 R"(,"completion_tokens_details":{"reasoning_tokens":)", usage.reasoning_tokens(), "}");
  if (usage.source() == chat::v1::Usage::SOURCE_ESTIMATED) out += R"(,"estimated":true)";
  return out + "}";
}

std::string Annotations(const std::vector<Citation>& citations, int64_t shift) {
  std::string out = "[";
  for (const Citation& citation : citations) {
    if (out.size() > 1) out += ",";
    absl::StrAppend(&out, R"({"type":"url_citation","url_citation":{"start_index":)", citation.start() + shift,
                    R"(,"end_index":)", citation.end() + shift, ",");
    Member(out, "url", citation.url());
    out += ",";
    Member(out, "title", citation.title());
    out += "}}";
  }
  return out + "]";
}

CompletionWriter::CompletionWriter(AnswerHead head, Options options) : head_(std::move(head)), options_(options) {
  chunk_ = "data: {";
  Member(chunk_, "id", head_.id);
  absl::StrAppend(&chunk_, ",\"object\":\"chat.completion.chunk\",\"created\":", head_.created, ",");
  Member(chunk_, "model", head_.model);
  suffix_ = absl::StrCat(options_.include_usage ? ",\"usage\":null" : "", "}\n\n");
  choices_.resize(options_.choices);
  for (size_t i = 0; i < choices_.size(); ++i)
    choices_[i].prefix = absl::StrCat(chunk_, R"(,"choices":[{"index":)", i, R"(,"delta":{)");
}

absl::string_view CompletionWriter::Word(FinishReason reason) const {
  const bool function = options_.calls_as_function && reason == FinishReason::FINISH_REASON_TOOL_CALLS;
  return function ? "function_call" : FinishWord(reason);
}

void CompletionWriter::Open(Choice& choice, std::string& out) {
  if (std::exchange(choice.opened, true)) return;
  absl::StrAppend(&out, choice.prefix, R"("role":"assistant","content":""},"finish_reason":null}])");
  if (!choice.answer.conversation_id.empty()) {
    out += ",";
    Member(out, "conversation_id", choice.answer.conversation_id);
  }
  const size_t told = told_.size();
  MergeNotices(choice.answer.notices, told_);
  if (told_.size() > told) absl::StrAppend(&out, ",\"notices\":", NoticesJson({told_.begin() + told, told_.end()}));
  out += suffix_;
}

void CompletionWriter::Delta(Choice& choice, absl::string_view members, std::string& out) {
  Open(choice, out);
  absl::StrAppend(&out, choice.prefix, members, R"(},"finish_reason":null}])", suffix_);
}

void CompletionWriter::ToolCall(Choice& choice, const chat::v1::ToolCallDelta& call, std::string& out) {
  std::string function = "{";
  if (!call.name().empty()) {
    Member(function, "name", call.name());
    function += ",";
  }
  Member(function, "arguments", call.arguments());
  function += "}";
  if (options_.calls_as_function) return Delta(choice, absl::StrCat("\"function_call\":", function), out);
  std::string members = absl::StrCat(R"("tool_calls":[{"index":)", call.index());
  if (!call.id().empty()) {
    members += ",";
    Member(members, "id", call.id());
    members += R"(,"type":"function")";
  }
  Delta(choice, absl::StrCat(members, R"(,"function":)", function, "}]"), out);
}

void CompletionWriter::Finish(Choice& choice, FinishReason reason, std::string& out) {
  Open(choice, out);
  if (!choice.answer.citations.empty())
    Delta(choice, absl::StrCat("\"annotations\":", Annotations(choice.answer.citations)), out);
  absl::StrAppend(&out, choice.prefix, R"(},"finish_reason":")", Word(reason), "\"}]", suffix_);
}

void CompletionWriter::Write(size_t index, const ChatEvent& event, std::string& out) {
  Choice& choice = choices_[index];
  const auto text = [&](absl::string_view key, absl::string_view value) {
    std::string member;
    Member(member, key, value);
    Delta(choice, member, out);
  };
  switch (event.event_case()) {
    case ChatEvent::kText:
      return text("content", event.text().text());
    case ChatEvent::kReasoning:
      return text("reasoning_content", event.reasoning().text());
    case ChatEvent::kRefusal:
      return text("refusal", event.refusal().text());
    case ChatEvent::kToolCall:
      return ToolCall(choice, event.tool_call(), out);
    case ChatEvent::kFinished:
      return Finish(choice, event.finished().reason(), out);
    default:
      choice.answer.Take(event);  // told with the first content, or at the end
  }
}

void CompletionWriter::End(std::string& out) {
  const auto usage = Usage();
  if (options_.include_usage && usage)
    absl::StrAppend(&out, chunk_, R"(,"choices":[],"usage":)", UsageObject(*usage), "}\n\n");
  AppendSseEvent(out, "[DONE]");
}

void CompletionWriter::Fail(const absl::Status& status, std::string& out) { AppendSseEvent(out, ErrorObject(status)); }

std::optional<chat::v1::Usage> CompletionWriter::Usage() const {
  std::vector<std::optional<chat::v1::Usage>> usages;
  for (const Choice& choice : choices_) usages.push_back(choice.answer.usage);
  return SumUsage(usages, choices_.size());
}

std::string CompletionWriter::CallsMember(const std::vector<chat::v1::ToolCall>& calls) const {
  std::string out = options_.calls_as_function ? ",\"function_call\":" : ",\"tool_calls\":[";
  for (size_t i = 0; i < calls.size(); ++i) {
    std::string function = "{";
    Member(function, "name", calls[i].name());
    function += ",";
    Member(function, "arguments", calls[i].arguments());
    function += "}";
    if (options_.calls_as_function) return out + function;  // the older form has room for one
    out += i == 0 ? "{" : ",{";
    Member(out, "id", calls[i].id());
    absl::StrAppend(&out, R"(,"type":"function","function":)", function, "}");
  }
  return out + "]";
}

std::string CompletionWriter::ChoiceObject(size_t index) const {
  const Answer& answer = choices_[index].answer;
  std::string out = absl::StrCat(R"({"index":)", index, R"(,"message":{"role":"assistant",)");
  StringOrNull(out, "content", answer.text, answer.has_text);
  out += ",";
  StringOrNull(out, "refusal", answer.refusal, !answer.refusal.empty());
  if (!answer.reasoning.empty()) {
    out += ",";
    Member(out, "reasoning_content", answer.reasoning);
  }
  if (!answer.calls.empty()) out += CallsMember(answer.calls);
  if (!answer.citations.empty()) absl::StrAppend(&out, ",\"annotations\":", Annotations(answer.citations));
  absl::StrAppend(&out, R"(},"logprobs":null,"finish_reason":")", Word(answer.finish_reason), "\"}");
  return out;
}

std::string CompletionWriter::Whole() {
  std::string out = "{";
  Member(out, "id", head_.id);
  absl::StrAppend(&out, ",\"object\":\"chat.completion\",\"created\":", head_.created, ",");
  Member(out, "model", head_.model);
  out += ",\"choices\":[";
  for (size_t i = 0; i < choices_.size(); ++i) {
    absl::StrAppend(&out, i == 0 ? "" : ",", ChoiceObject(i));
    MergeNotices(choices_[i].answer.notices, told_);
  }
  absl::StrAppend(&out, "],\"usage\":", UsageObject(Usage().value_or(chat::v1::Usage())));
  if (const std::string& id = choices_.front().answer.conversation_id; !id.empty()) {
    out += ",";
    Member(out, "conversation_id", id);
  }
  if (!told_.empty()) absl::StrAppend(&out, ",\"notices\":", NoticesJson(told_));
  return out + "}";
}

}  // namespace switchyard
