#include "services/minimax/agent_events.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/minimax/responses.h"

namespace switchyard::minimax {

namespace json = boost::json;

namespace {

constexpr int64_t kMessage = 2;
constexpr int64_t kChunk = 6;
constexpr int64_t kQuoteLength = 200;

absl::Status Broken(absl::string_view what, absl::string_view cause) {
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, absl::StrCat("minimax's answer broke off: ", what),
                   {.cause = std::string(cause)});
}

absl::string_view Thinking(const json::value& holder) {
  const absl::string_view text = JsonText(FindMember(holder, {"thinking_content"}));
  return text.empty() ? JsonText(FindMember(holder, {"reasoning_content"})) : text;
}

// "error" as an event's name or type, with words and no code.
absl::Status WordsError(const json::value& object) {
  absl::string_view said = JsonText(FindMember(object, {"message"}));
  if (said.empty()) said = JsonText(FindMember(object, {"msg"}));
  json::object base;
  base["status_code"] = -1;
  base["status_msg"] = json::string_view(said.data(), said.size());
  json::object wrapped;
  wrapped["base_resp"] = std::move(base);
  return InnerError(wrapped);
}

}  // namespace

absl::Status AgentDecoder::Feed(absl::string_view bytes, std::vector<ChatEvent>& events) {
  std::vector<SseEvent> received;
  const absl::Status fed = sse_.Feed(bytes, received);
  for (const SseEvent& event : received) {
    if (complete_) return absl::OkStatus();
    if (auto status = Handle(event, events); !status.ok()) return status;
  }
  return complete_ ? absl::OkStatus() : fed;
}

absl::Status AgentDecoder::End(std::vector<ChatEvent>&) {
  complete_ = complete_ || finished_;
  return complete_ ? absl::OkStatus() : Broken("it ended before it was complete", "truncated");
}

absl::Status AgentDecoder::Fail(absl::Status why) const {
  const bool trouble = ReasonOf(why) == Reason::REASON_UPSTREAM_UNAVAILABLE;
  return trouble && has_content() ? Broken("the platform reported trouble", "in_stream_error") : why;
}

absl::Status AgentDecoder::Handle(const SseEvent& event, std::vector<ChatEvent>& events) {
  if (event.data == "[DONE]") {
    complete_ = finished_;
    return absl::OkStatus();
  }
  if (event.data.empty()) return absl::OkStatus();
  auto object = ParseJson(event.data);
  if (!object.ok() && !IsValidUtf8(event.data)) object = ParseJson(ReplaceInvalidUtf8(event.data));
  if (!object.ok() || !object->is_object())
    return MakeError(Reason::REASON_UPSTREAM_CHANGED, "minimax's answer was not understood: an event is not JSON",
                     {.cause = "protocol"});
  if (auto status = InnerError(*object); !status.ok()) return Fail(status);
  if (event.name == "error" || JsonText(FindMember(*object, {"type"})) == "error") return Fail(WordsError(*object));
  const int64_t type = JsonWhole(FindMember(*object, {"type"})).value_or(0);
  const json::value* chunk = FindMember(*object, {"agent_message_chunk"});
  const json::value* message = FindMember(*object, {"agent_message"});
  if (type == kChunk && chunk != nullptr) TakeChunk(*chunk, events);
  if (type == kMessage && message != nullptr) TakeMessage(*message, events);
  return absl::OkStatus();
}

std::string AgentDecoder::Piece(Growing& text, absl::string_view piece) {
  if (piece.empty()) return "";
  if (!text.increments && absl::StartsWith(piece, text.held) && piece.size() > text.held.size()) {
    text.grew = text.grew || !text.held.empty();
    const std::string gained(piece.substr(text.held.size()));
    text.held = std::string(piece);
    return gained;
  }
  // All so far, and nothing new in it.
  if (!text.increments && text.grew && piece == text.held) return "";
  text.increments = true;
  absl::StrAppend(&text.held, piece);
  return std::string(piece);
}

std::string AgentDecoder::Rest(Growing& text, absl::string_view whole) {
  // Where the whole differs from what is out, what is out stands.
  if (!absl::StartsWith(whole, text.held)) return "";
  const std::string rest(whole.substr(text.held.size()));
  text.held = std::string(whole);
  return rest;
}

void AgentDecoder::BeginMessage(absl::string_view id) {
  if (id.empty() || id == message_) return;
  if (!message_.empty()) {
    text_ = reasoning_ = Growing();
    fresh_ = true;
  }
  message_ = std::string(id);
}

void AgentDecoder::Give(std::string reasoning, std::string text, std::vector<ChatEvent>& events) {
  if (!reasoning.empty()) {
    ++progress_;
    has_reasoning_ = true;
    events.emplace_back().mutable_reasoning()->set_text(std::move(reasoning));
  }
  if (text.empty()) return;
  ++progress_;
  if (std::exchange(fresh_, false) && has_text_) text.insert(0, "\n\n");
  has_text_ = true;
  events.emplace_back().mutable_text()->set_text(std::move(text));
}

void AgentDecoder::TakeChunk(const json::value& chunk, std::vector<ChatEvent>& events) {
  BeginMessage(JsonText(FindMember(chunk, {"msg_id"})));
  std::string reasoning = Piece(reasoning_, Thinking(chunk));
  std::string text = Piece(text_, JsonText(FindMember(chunk, {"msg_content"})));
  Give(std::move(reasoning), std::move(text), events);
  const json::value* finish = FindMember(chunk, {"finish"});
  finished_ = finished_ || (finish != nullptr && finish->is_bool() && finish->get_bool());
}

void AgentDecoder::TakeMessage(const json::value& message, std::vector<ChatEvent>& events) {
  BeginMessage(JsonText(FindMember(message, {"msg_id"})));
  std::string reasoning = Rest(reasoning_, Thinking(message));
  std::string text = Rest(text_, JsonText(FindMember(message, {"msg_content"})));
  Give(std::move(reasoning), std::move(text), events);
  const absl::string_view reason = JsonText(FindMember(message, {"finish_reason"}));
  if (reason.empty()) return;
  complete_ = true;
  cut_ = reason == "length";
  const auto input = JsonWhole(FindMember(message, {"usage", "input_tokens"}));
  const auto output = JsonWhole(FindMember(message, {"usage", "output_tokens"}));
  if (!input || !output || *input < 0 || *output <= 0) return;
  auto& usage = *events.emplace_back().mutable_usage();
  usage.set_prompt_tokens(*input);
  usage.set_completion_tokens(*output);
  usage.set_total_tokens(JsonWhole(FindMember(message, {"usage", "total_tokens"})).value_or(*input + *output));
  usage.set_source(chat::v1::Usage::SOURCE_MEASURED);
}

}  // namespace switchyard::minimax
