// Answers as OpenAI's chat completions: chunk by chunk, or whole. Several answers are choices, told apart by `index`.
// Pure.
//
// Source: OpenAI API reference, "The chat completion object" and "The chat completion chunk object".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "edge/answer.h"
#include "edge/answer_writer.h"

namespace switchyard {

/// "stop", "length", …: OpenAI's word.
absl::string_view FinishWord(chat::v1::FinishReason reason);
/// OpenAI's usage object; `estimated` where no platform counted.
std::string UsageObject(const chat::v1::Usage& usage);
/// [{"type":"url_citation",…}]. @param shift code points that the caller sees before the answer's own text
std::string Annotations(const std::vector<chat::v1::Citation>& citations, int64_t shift = 0);

class CompletionWriter final : public AnswerWriter {
 public:
  struct Options {
    size_t choices = 1;
    bool include_usage = false;      // stream_options.include_usage
    bool calls_as_function = false;  // a call is answered as `function_call`, the older form
  };
  CompletionWriter(AnswerHead head, Options options);

  void Write(size_t index, const chat::v1::ChatEvent& event, std::string& out) override;
  void End(std::string& out) override;
  void Fail(const absl::Status& status, std::string& out) override;
  void Take(size_t index, const chat::v1::ChatEvent& event) override { choices_[index].answer.Take(event); }
  std::string Whole() override;

 private:
  struct Choice {
    Answer answer;  // streamed: what is told at its end, no text
    std::string prefix;
    bool opened = false;
  };

  void Open(Choice& choice, std::string& out);
  void Delta(Choice& choice, absl::string_view members, std::string& out);
  void ToolCall(Choice& choice, const chat::v1::ToolCallDelta& call, std::string& out);
  void Finish(Choice& choice, chat::v1::FinishReason reason, std::string& out);
  absl::string_view Word(chat::v1::FinishReason reason) const;
  std::string ChoiceObject(size_t index) const;
  std::string CallsMember(const std::vector<chat::v1::ToolCall>& calls) const;
  std::optional<chat::v1::Usage> Usage() const;

  AnswerHead head_;
  Options options_;
  std::string chunk_;   // of every chunk: up to its choices
  std::string suffix_;  // of every chunk but that of the usage
  std::vector<Choice> choices_;
  std::vector<chat::v1::Notice> told_;
};

}  // namespace switchyard
