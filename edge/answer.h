// One answer as a whole: its events, folded. Pure.
//
//   Answer answer;
//   for (const ChatEvent& event : events) answer.Take(event);
//   if (answer.finished()) … answer.text …
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

struct Answer {
  std::string text;
  bool has_text = false;
  std::string reasoning;
  std::string refusal;
  std::string conversation_id;  // if the conversation is kept
  std::vector<chat::v1::ToolCall> calls;
  std::vector<chat::v1::Citation> citations;
  std::vector<chat::v1::Notice> notices;
  std::optional<chat::v1::Usage> usage;
  chat::v1::FinishReason finish_reason = chat::v1::FINISH_REASON_UNSPECIFIED;

  void Take(const chat::v1::ChatEvent& event);
  bool finished() const { return finish_reason != chat::v1::FINISH_REASON_UNSPECIFIED; }
};

/// Whether the caller is to see something of it: until then the HTTP status can still change.
bool IsContent(const chat::v1::ChatEvent& event);

/// What a request with several answers used. Each `n` answers in a row share a prompt, and it counts once: that is how
/// OpenAI counts. An estimate among them makes the sum one. Unset if no answer said anything.
std::optional<chat::v1::Usage> SumUsage(const std::vector<std::optional<chat::v1::Usage>>& usages, size_t n);

/// Appends the notices that are not yet there: the answers of one request are told the same things.
void MergeNotices(const std::vector<chat::v1::Notice>& from, std::vector<chat::v1::Notice>& into);

/// The relay's own member of every API's answers: [{"code","message"}].
std::string NoticesJson(const std::vector<chat::v1::Notice>& notices);

}  // namespace switchyard
