// Answers as OpenAI's older text completions: piece by piece, or whole. Pure.
//
// Source: OpenAI API reference, "The completion object (legacy)". What that object has no place for is put beside the
// text as in chat completions: `reasoning_content`, `refusal`, `annotations`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "edge/answer.h"
#include "edge/answer_writer.h"

namespace switchyard {

class TextCompletionWriter final : public AnswerWriter {
 public:
  struct Options {
    size_t prompts = 1;
    size_t n = 1;  // answers of each prompt
    bool include_usage = false;
    std::vector<std::string> echo = {};  // empty, or what the answers to each prompt begin with
  };
  TextCompletionWriter(AnswerHead head, Options options);

  void Write(size_t index, const chat::v1::ChatEvent& event, std::string& out) override;
  void End(std::string& out) override;
  void Fail(const absl::Status& status, std::string& out) override;
  void Take(size_t index, const chat::v1::ChatEvent& event) override { answers_[index].Take(event); }
  std::string Whole() override;

 private:
  std::string Head() const;
  void Open(size_t index, std::string& out);
  void Piece(size_t index, absl::string_view text, absl::string_view more, absl::string_view finish, std::string& out);
  absl::string_view Echo(size_t index) const;
  int64_t EchoShift(size_t index) const;
  std::optional<chat::v1::Usage> Usage() const;
  std::string OwnMembers();

  AnswerHead head_;
  Options options_;
  std::vector<Answer> answers_;  // streamed: what is told at an answer's end, no text
  std::vector<bool> opened_;
  std::vector<chat::v1::Notice> told_;
};

}  // namespace switchyard
