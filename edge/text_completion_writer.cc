#include "edge/text_completion_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "edge/completion_writer.h"
#include "edge/error_body.h"
#include "edge/json_text.h"
#include "services/common/text/utf8.h"

namespace switchyard {

using chat::v1::ChatEvent;

TextCompletionWriter::TextCompletionWriter(AnswerHead head, Options options)
    : head_(std::move(head)),
      options_(std::move(options)),
      answers_(options_.prompts * options_.n),
      opened_(answers_.size(), false) {}

std::string TextCompletionWriter::Head() const {
  std::string out = "{";
  Member(out, "id", head_.id);
  absl::StrAppend(&out, ",\"object\":\"text_completion\",\"created\":", head_.created, ",");
  Member(out, "model", head_.model);
  return out;
}

absl::string_view TextCompletionWriter::Echo(size_t index) const {
  return options_.echo.empty() ? absl::string_view() : options_.echo[index / options_.n];
}

int64_t TextCompletionWriter::EchoShift(size_t index) const { return CountCodePoints(Echo(index)); }

// The relay's own members: what is told of a conversation, and notices that have not been told yet.
std::string TextCompletionWriter::OwnMembers() {
  std::string out;
  if (const std::string& id = answers_.front().conversation_id; !id.empty()) {
    out += ",";
    Member(out, "conversation_id", id);
  }
  const size_t told = told_.size();
  for (const Answer& answer : answers_) MergeNotices(answer.notices, told_);
  if (told_.size() > told) absl::StrAppend(&out, ",\"notices\":", NoticesJson({told_.begin() + told, told_.end()}));
  return out;
}

void TextCompletionWriter::Piece(size_t index, absl::string_view text, absl::string_view more, absl::string_view finish,
                                 std::string& out) {
  absl::StrAppend(&out, "data: ", Head(), ",\"choices\":[{");
  Member(out, "text", text);
  absl::StrAppend(&out, ",\"index\":", index, ",\"logprobs\":null,\"finish_reason\":");
  if (finish.empty()) {
    out += "null";
  } else {
    AppendJsonString(out, finish);
  }
  absl::StrAppend(&out, more, "}]", options_.include_usage ? ",\"usage\":null" : "");
  if (!opened_[index]) {
    opened_[index] = true;
    out += OwnMembers();
  }
  out += "}\n\n";
}

void TextCompletionWriter::Open(size_t index, std::string& out) {
  if (!opened_[index] && !Echo(index).empty()) Piece(index, Echo(index), "", "", out);
}

void TextCompletionWriter::Write(size_t index, const ChatEvent& event, std::string& out) {
  if (IsContent(event)) Open(index, out);
  std::string more = ",";
  switch (event.event_case()) {
    case ChatEvent::kText:
      return Piece(index, event.text().text(), "", "", out);
    case ChatEvent::kReasoning:
      Member(more, "reasoning_content", event.reasoning().text());
      return Piece(index, "", more, "", out);
    case ChatEvent::kRefusal:
      Member(more, "refusal", event.refusal().text());
      return Piece(index, "", more, "", out);
    case ChatEvent::kFinished: {
      const auto& citations = answers_[index].citations;
      absl::StrAppend(&more, "\"annotations\":", Annotations(citations, EchoShift(index)));
      return Piece(index, "", citations.empty() ? "" : more, FinishWord(event.finished().reason()), out);
    }
    default:
      answers_[index].Take(event);
  }
}

std::optional<chat::v1::Usage> TextCompletionWriter::Usage() const {
  std::vector<std::optional<chat::v1::Usage>> usages;
  for (const Answer& answer : answers_) usages.push_back(answer.usage);
  return SumUsage(usages, options_.n);
}

void TextCompletionWriter::End(std::string& out) {
  const auto usage = Usage();
  if (options_.include_usage && usage)
    absl::StrAppend(&out, "data: ", Head(), ",\"choices\":[],\"usage\":", UsageObject(*usage), "}\n\n");
  AppendSseEvent(out, "[DONE]");
}

void TextCompletionWriter::Fail(const absl::Status& status, std::string& out) {
  AppendSseEvent(out, ErrorObject(status));
}

std::string TextCompletionWriter::Whole() {
  std::string out = absl::StrCat(Head(), ",\"choices\":[");
  for (size_t i = 0; i < answers_.size(); ++i) {
    const Answer& answer = answers_[i];
    out += i == 0 ? "{" : ",{";
    Member(out, "text", absl::StrCat(Echo(i), answer.text));
    absl::StrAppend(&out, ",\"index\":", i, ",\"logprobs\":null,");
    Member(out, "finish_reason", FinishWord(answer.finish_reason));
    for (const auto& [key, text] : {std::pair("reasoning_content", &answer.reasoning), {"refusal", &answer.refusal}}) {
      if (text->empty()) continue;
      out += ",";
      Member(out, key, *text);
    }
    if (!answer.citations.empty())
      absl::StrAppend(&out, ",\"annotations\":", Annotations(answer.citations, EchoShift(i)));
    out += "}";
  }
  absl::StrAppend(&out, "],\"usage\":", UsageObject(Usage().value_or(chat::v1::Usage())), OwnMembers());
  return out + "}";
}

}  // namespace switchyard
