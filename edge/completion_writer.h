// ChatEvents as OpenAI JSON: chunk by chunk, or folded into one answer. Pure.
//
//   ChunkWriter chunks({.id = "chatcmpl-…", .model = "deepseek-chat", .created = 1793000000, .include_usage = true});
//   chunks.Write(event, out);          // appends server-sent events
//   …
//   CompletionFolder folder(head);     // the same events, folded
//   folder.Take(event);
//   std::string body = folder.Body();
//
// Source: OpenAI API reference, "The chat completion object" and "The chat completion chunk object".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

struct CompletionHead {
  std::string id = {};
  std::string model = {};
  int64_t created = 0;  // Unix seconds
  bool include_usage = false;
};

/// Whether the caller is to see something of it: until then the HTTP status can still change.
bool IsContent(const chat::v1::ChatEvent& event);

class ChunkWriter {
 public:
  explicit ChunkWriter(CompletionHead head);

  /// Appends the server-sent events for `event`. What comes before the first content is kept until then.
  void Write(const chat::v1::ChatEvent& event, std::string& out);

  /// Whether the answer's end has been written, `[DONE]` included.
  bool ended() const { return ended_; }

 private:
  void Open(std::string& out);
  void Delta(absl::string_view key, absl::string_view text, std::string& out);
  void ToolCall(const chat::v1::ToolCallDelta& call, std::string& out);
  void End(chat::v1::FinishReason reason, std::string& out);

  CompletionHead head_;
  std::string prefix_;  // of every chunk: up to its choices
  std::string suffix_;  // of every chunk that is not the last of its kind
  std::string conversation_id_;
  std::string usage_;
  std::vector<chat::v1::Citation> citations_;
  std::vector<chat::v1::Notice> notices_;
  bool opened_ = false;
  bool ended_ = false;
};

class CompletionFolder {
 public:
  explicit CompletionFolder(CompletionHead head) : head_(std::move(head)) {}

  void Take(const chat::v1::ChatEvent& event);
  bool finished() const { return finish_reason_ != chat::v1::FINISH_REASON_UNSPECIFIED; }
  std::string Body() const;

 private:
  CompletionHead head_;
  std::string text_;
  bool has_text_ = false;
  std::string reasoning_;
  std::string refusal_;
  std::string conversation_id_;
  std::vector<chat::v1::ToolCall> calls_;
  std::vector<chat::v1::Citation> citations_;
  std::vector<chat::v1::Notice> notices_;
  chat::v1::Usage usage_;
  chat::v1::FinishReason finish_reason_ = chat::v1::FINISH_REASON_UNSPECIFIED;
};

}  // namespace switchyard
