#include "edge/answer.h"

#include <algorithm>

#include "edge/json_text.h"

namespace switchyard {

using chat::v1::ChatEvent;
using chat::v1::Notice;
using chat::v1::Usage;

namespace {

// An index beyond it is no answer of a model, and would only ask for memory.
constexpr int kMaxCalls = 1024;

void TakeCall(const chat::v1::ToolCallDelta& delta, std::vector<chat::v1::ToolCall>& calls) {
  if (delta.index() < 0 || delta.index() >= kMaxCalls) return;
  const auto index = static_cast<size_t>(delta.index());
  if (calls.size() <= index) calls.resize(index + 1);
  if (!delta.id().empty()) calls[index].set_id(delta.id());
  if (!delta.name().empty()) calls[index].set_name(delta.name());
  calls[index].mutable_arguments()->append(delta.arguments());
}

}  // namespace

void Answer::Take(const ChatEvent& event) {
  switch (event.event_case()) {
    case ChatEvent::kStarted:
      conversation_id = event.started().conversation_id();
      break;
    case ChatEvent::kText:
      has_text = true;
      text += event.text().text();
      break;
    case ChatEvent::kReasoning:
      reasoning += event.reasoning().text();
      break;
    case ChatEvent::kRefusal:
      refusal += event.refusal().text();
      break;
    case ChatEvent::kToolCall:
      TakeCall(event.tool_call(), calls);
      break;
    case ChatEvent::kCitation:
      citations.push_back(event.citation());
      break;
    case ChatEvent::kNotice:
      notices.push_back(event.notice());
      break;
    case ChatEvent::kUsage:
      usage = event.usage();
      break;
    case ChatEvent::kFinished:
      finish_reason = event.finished().reason();
      break;
    case ChatEvent::EVENT_NOT_SET:
      break;  // of a newer version of the contract
  }
}

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

std::optional<Usage> SumUsage(const std::vector<std::optional<Usage>>& usages, size_t n) {
  std::optional<Usage> sum;
  for (size_t i = 0; i < usages.size(); ++i) {
    if (!usages[i]) continue;
    const Usage& one = *usages[i];
    if (!sum) sum.emplace().set_source(Usage::SOURCE_MEASURED);
    if (i % n == 0) sum->set_prompt_tokens(sum->prompt_tokens() + one.prompt_tokens());
    sum->set_completion_tokens(sum->completion_tokens() + one.completion_tokens());
    sum->set_reasoning_tokens(sum->reasoning_tokens() + one.reasoning_tokens());
    if (one.source() == Usage::SOURCE_ESTIMATED) sum->set_source(Usage::SOURCE_ESTIMATED);
  }
  if (usages.size() == 1) return usages.front();  // a platform's total is its own
  if (sum) sum->set_total_tokens(sum->prompt_tokens() + sum->completion_tokens());
  return sum;
}

void MergeNotices(const std::vector<Notice>& from, std::vector<Notice>& into) {
  for (const Notice& notice : from) {
    const bool known = std::any_of(into.begin(), into.end(), [&](const Notice& other) {
      return other.code() == notice.code() && other.message() == notice.message();
    });
    if (!known) into.push_back(notice);
  }
}

std::string NoticesJson(const std::vector<Notice>& notices) {
  std::string out = "[";
  for (const Notice& notice : notices) {
    out += out.size() > 1 ? ",{" : "{";
    Member(out, "code", notice.code());
    out += ",";
    Member(out, "message", notice.message());
    out += "}";
  }
  return out + "]";
}

}  // namespace switchyard
