#include "services/metaso/events.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/metaso/responses.h"

namespace switchyard::metaso {

namespace json = boost::json;

namespace {

constexpr absl::string_view kDone = "[DONE]";

absl::Status NotUnderstood(absl::string_view what) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("metaso's answer was not understood: ", what),
                   {.cause = "protocol"});
}

/// "TOO_MANY_REQUESTS" of "[TOO_MANY_REQUESTS]"; "" for anything else.
absl::string_view WordInBrackets(absl::string_view payload) {
  if (!absl::ConsumePrefix(&payload, "[") || !absl::ConsumeSuffix(&payload, "]")) return {};
  const bool is_word = std::all_of(payload.begin(), payload.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == ' ';
  });
  const bool has_letter =
      std::any_of(payload.begin(), payload.end(), [](unsigned char c) { return absl::ascii_isalpha(c); });
  return is_word && has_letter ? payload : absl::string_view();
}

/// A code as text, whether it is sent as a number or as a word; "" if there is none.
std::string CodeOf(const json::value* code) {
  if (const auto whole = JsonWhole(code)) return absl::StrCat(*whole);
  return std::string(JsonText(code));
}

std::string IdOf(const json::value& object) {
  const json::value* member = FindMember(object, {"data", "id"});
  const absl::string_view text = JsonText(member);
  const std::string id = text.empty() ? CodeOf(member) : std::string(text);
  return id.size() <= 64 ? id : std::string();
}

}  // namespace

EventDecoder::EventDecoder(Options options)
    : text_(options.label_citations),
      continued_(!options.conversation.empty()),
      conversation_id_(std::move(options.conversation)) {}

absl::Status EventDecoder::Feed(absl::string_view bytes, std::vector<ChatEvent>& events) {
  std::vector<SseEvent> received;
  const absl::Status fed = sse_.Feed(bytes, received);
  for (const SseEvent& event : received) {
    if (complete_) return absl::OkStatus();
    if (!event.has_data) continue;
    if (auto status = Handle(event.data, events); !status.ok()) {
      GiveHeld(events);
      return status;
    }
  }
  if (!complete_ && !fed.ok()) GiveHeld(events);
  return complete_ ? absl::OkStatus() : fed;
}

absl::Status EventDecoder::End(std::vector<ChatEvent>& events) {
  if (complete_) return absl::OkStatus();
  // The last line may lack the empty one behind it.
  std::vector<SseEvent> rest;
  if (sse_.Feed("\n\n", rest).ok()) {
    for (const SseEvent& event : rest) complete_ = complete_ || absl::StripAsciiWhitespace(event.data) == kDone;
  }
  GiveHeld(events);
  if (complete_) return absl::OkStatus();
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, "metaso's answer ended before it was complete",
                   {.cause = "truncated"});
}

absl::Status EventDecoder::Handle(const std::string& payload, std::vector<ChatEvent>& events) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(payload);
  if (trimmed.empty()) return absl::OkStatus();
  if (trimmed == kDone) {
    ++progress_;
    complete_ = true;
    GiveHeld(events);
    return absl::OkStatus();
  }
  if (const absl::string_view word = WordInBrackets(trimmed); !word.empty()) return CodeError(word, "", has_content_);
  auto value = ParseJson(trimmed);
  if (!value.ok() && !IsValidUtf8(trimmed)) value = ParseJson(ReplaceInvalidUtf8(trimmed));
  if (!value.ok()) return NotUnderstood("it sent something that is not JSON");
  if (!value->is_object()) return NotUnderstood("it sent something that is no event");
  ++progress_;
  return HandleObject(*value, events);
}

absl::Status EventDecoder::HandleObject(const json::value& object, std::vector<ChatEvent>& events) {
  const absl::string_view type = JsonText(FindMember(object, {"type"}));
  if (auto status = ErrorIn(object, type); !status.ok()) return status;
  if (type.empty()) return HandleDelta(object, events);
  if (type == "append-text") {
    const json::value* text = FindMember(object, {"text"});
    if (text != nullptr && !text->is_null() && !text->is_string()) return NotUnderstood("its text is no text");
    AddText(JsonText(text), events);
  } else if (type == "set-reference") {
    references_.Set(FindMember(object, {"list"}));
  } else if (type == "update-reference") {
    references_.Merge(FindMember(object, {"list"}));
  } else if (type == "source") {
    references_.Add(object);
  } else if (type == "conversation_init") {
    if (!continued_) conversation_id_ = IdOf(object);
  } else if (type == "response_message_init") {
    message_id_ = IdOf(object);
  }
  return absl::OkStatus();
}

absl::Status EventDecoder::HandleDelta(const json::value& object, std::vector<ChatEvent>& events) {
  const json::value* choices = FindMember(object, {"choices"});
  if (choices == nullptr || !choices->is_array()) return absl::OkStatus();
  for (const json::value& choice : choices->get_array()) {
    const json::value* delta = FindMember(choice, {"delta"});
    if (delta == nullptr) continue;
    if (const absl::string_view thought = JsonText(FindMember(*delta, {"reasoning_content"})); !thought.empty()) {
      has_content_ = true;
      events.emplace_back().mutable_reasoning()->set_text(std::string(thought));
    }
    references_.Merge(FindMember(*delta, {"citations"}));
    AddText(JsonText(FindMember(*delta, {"content"})), events);
  }
  return absl::OkStatus();
}

absl::Status EventDecoder::ErrorIn(const json::value& object, absl::string_view type) const {
  const json::value* code = FindMember(object, {"code"});
  if (type == "error") return CodeError(CodeOf(code), JsonText(FindMember(object, {"msg"})), has_content_);
  if (const auto envelope = JsonWhole(FindMember(object, {"errCode"})); envelope && *envelope != 0)
    return CodeError(absl::StrCat(*envelope), JsonText(FindMember(object, {"errMsg"})), has_content_);
  const bool numeric = code != nullptr && code->is_number();
  const auto number = JsonWhole(code);
  const bool fine = number && (*number == 0 || *number == 200);
  if (numeric && !fine && FindMember(object, {"choices"}) == nullptr)
    return CodeError(CodeOf(code), JsonText(FindMember(object, {"msg"})), has_content_);
  return absl::OkStatus();
}

void EventDecoder::AddText(absl::string_view text, std::vector<ChatEvent>& events) {
  if (text.empty()) return;
  has_content_ = true;
  if (std::string shown = text_.Feed(text); !shown.empty())
    events.emplace_back().mutable_text()->set_text(std::move(shown));
}

void EventDecoder::GiveHeld(std::vector<ChatEvent>& events) {
  if (std::string rest = text_.Flush(); !rest.empty()) events.emplace_back().mutable_text()->set_text(std::move(rest));
}

void EventDecoder::Finish(std::vector<ChatEvent>& events) const { references_.AppendCitations(text_.marks(), events); }

}  // namespace switchyard::metaso
