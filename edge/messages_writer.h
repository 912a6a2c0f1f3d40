// An answer as Anthropic's Messages API words it: a message of content blocks, and the events that build it. Pure.
//
//   message_start
//     for each block: content_block_start, content_block_delta …, content_block_stop
//   message_delta (why it stopped, usage), message_stop
//
// Reasoning is a thinking block; nobody signs it here, so its signature is empty. `ping` keeps a silent stream alive.
// The whole answer is what the events build.
//
// Source: Anthropic API reference, "Streaming Messages", and the types of the @anthropic-ai/sdk package 1.13.0.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "edge/answer_writer.h"

namespace switchyard {

class MessagesWriter final : public AnswerWriter {
 public:
  explicit MessagesWriter(AnswerHead head) : head_(std::move(head)) {}

  void Write(size_t index, const chat::v1::ChatEvent& event, std::string& out) override;
  void End(std::string& out) override;
  void Fail(const absl::Status& status, std::string& out) override;
  void KeepAlive(std::string& out) override;
  void Take(size_t index, const chat::v1::ChatEvent& event) override;
  std::string Whole() override;

 private:
  enum class Kind { kText, kThinking, kToolUse };
  struct Block {
    Kind kind;
    std::string text = {};  // or thinking, or the JSON text of a tool's input
    std::vector<std::string> citations = {};
    std::string id = {};
    std::string name = {};
    int call_index = 0;
  };

  void Event(absl::string_view type, absl::string_view members, std::string& out);
  void Open(std::string& out);
  /// The block at work, made if the one at work is another. @param call names the tool of a new block
  Block& Need(Kind kind, std::string& out, const chat::v1::ToolCallDelta& call = {});
  void CloseBlock(std::string& out);
  void Delta(absl::string_view type, absl::string_view key, absl::string_view text, std::string& out);
  void ToolCall(const chat::v1::ToolCallDelta& call, std::string& out);
  void Cite(const chat::v1::Citation& citation, std::string& out);

  std::string MessageJson(bool whole) const;
  static std::string BlockJson(const Block& block);
  std::string StopMembers() const;
  std::string UsageMembers() const;
  std::string OwnMembers() const;

  AnswerHead head_;
  bool opened_ = false;
  bool block_open_ = false;
  std::vector<Block> blocks_;
  std::vector<chat::v1::Citation> citations_;  // that came while there was no text to stand on
  std::string refusal_;
  std::string conversation_id_;
  std::vector<chat::v1::Notice> notices_;
  chat::v1::Usage usage_;
  chat::v1::Finished finished_;
};

}  // namespace switchyard
