// An answer as OpenAI's Responses API words it: an object of output items, and the events that build it. Pure.
//
//   response.created, response.in_progress
//     for each item: output_item.added, its parts and deltas, output_item.done
//   response.completed, response.incomplete (limit, or withdrawn), or response.failed and error
//
// Reasoning is an item of its own: as a summary where the request asked for one, else as reasoning text, since it is
// the platform's own and nobody summarised it. The whole answer is what the events build.
//
// Source: OpenAI API reference, "Responses streaming", and the types of the openai package 6.49.0.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "edge/answer_writer.h"

namespace switchyard {

class ResponsesWriter final : public AnswerWriter {
 public:
  struct Options {
    std::string repeated = {};  // members of the response object that repeat the request
    bool summarise_reasoning = false;
  };
  ResponsesWriter(AnswerHead head, Options options) : head_(std::move(head)), options_(std::move(options)) {}

  void Write(size_t index, const chat::v1::ChatEvent& event, std::string& out) override;
  void End(std::string& out) override;
  void Fail(const absl::Status& status, std::string& out) override;
  void Take(size_t index, const chat::v1::ChatEvent& event) override;
  std::string Whole() override;

 private:
  enum class Kind { kMessage, kReasoning, kCall };
  enum class PartKind { kText, kRefusal };
  struct Part {
    PartKind kind;
    std::string text = {};
    std::vector<std::string> annotations = {};
  };
  struct Item {
    Kind kind;
    std::string id = {};
    std::string status = "in_progress";
    std::vector<Part> parts = {};  // of a message
    std::string text = {};         // of reasoning; arguments of a call
    std::string call_id = {};
    std::string name = {};
    int call_index = 0;
    int64_t text_start = 0;  // code points of the answer before this message
  };

  void Event(absl::string_view type, absl::string_view members, std::string& out);
  void Open(std::string& out);
  /// The item at work, made if the one at work is another.
  Item& Need(Kind kind, std::string& out, int call_index = 0);
  Part& NeedPart(PartKind kind, std::string& out);
  void OpenItem(Item& item, std::string& out);
  void CloseItem(std::string& out, absl::string_view status = "completed");
  void ClosePart(std::string& out);

  void Text(absl::string_view text, std::string& out);
  void Reasoning(absl::string_view text, std::string& out);
  void Refusal(absl::string_view text, std::string& out);
  void ToolCall(const chat::v1::ToolCallDelta& delta, std::string& out);
  void Annotate(const chat::v1::Citation& citation, std::string& out);
  void Finish(chat::v1::FinishReason reason, std::string& out);

  std::string At(bool part) const;  // members that say where the item at work, or its part, stands
  std::string ItemJson(const Item& item) const;
  static std::string PartJson(const Part& part);
  std::string ResponseJson() const;

  AnswerHead head_;
  Options options_;
  int64_t sequence_ = 0;
  bool opened_ = false;
  bool item_open_ = false;
  bool part_open_ = false;
  std::vector<Item> items_;
  int64_t text_length_ = 0;                    // code points of the answer so far
  std::vector<chat::v1::Citation> citations_;  // that came while there was no text to stand on
  std::string conversation_id_;
  std::vector<chat::v1::Notice> notices_;
  std::optional<chat::v1::Usage> usage_;
  std::string status_ = "in_progress";
  std::string incomplete_ = "null";
  std::string error_ = "null";
  int64_t completed_at_ = 0;
};

}  // namespace switchyard
