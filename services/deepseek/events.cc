#include "services/deepseek/events.h"

#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/log/log.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/common/text/views.h"
#include "services/deepseek/responses.h"
#include "services/deepseek/sources.h"

namespace switchyard::deepseek {

namespace json = boost::json;

namespace {

absl::Status Changed(absl::string_view what) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("deepseek's answer was not understood: ", what),
                   {.cause = "protocol"});
}

// What a status word of the answer means. An answer that failed after it had said something is taken for complete.
struct StatusRow {
  absl::string_view word;
  Ending ending;
  bool needs_text;
};
constexpr std::array kStatusWords = {
    StatusRow{"FINISHED", Ending::kStop, false},
    StatusRow{"INCOMPLETE", Ending::kIncomplete, false},
    StatusRow{"CONTENT_FILTER", Ending::kContentFilter, false},
    StatusRow{"CONTEXT_LENGTH_EXCEEDED", Ending::kLength, true},
    StatusRow{"CONTENT_TOO_LONG", Ending::kLength, true},
    StatusRow{"TIMEOUT", Ending::kStop, true},
    StatusRow{"CANCELLED", Ending::kStop, true},
    StatusRow{"CONTENT_EMPTY", Ending::kStop, true},
};

const json::value* Response(const PatchDocument& document) { return FindMember(document.root(), {"response"}); }

constexpr size_t kNoFragment = static_cast<size_t>(-1);

}  // namespace

EventDecoder::EventDecoder(Options options) : options_(options), markers_(options.keep_markers) {
  if (options.search) markers_.Activate();
}

absl::Status EventDecoder::Feed(absl::string_view bytes, std::vector<ChatEvent>& events) {
  std::vector<SseEvent> received;
  const absl::Status fed = sse_->Feed(bytes, received);
  for (const SseEvent& event : received) {
    if (complete()) return absl::OkStatus();  // nothing that follows changes an answer that has ended
    if (auto status = Handle(event, events); !status.ok()) return status;
  }
  return complete() ? absl::OkStatus() : fed;
}

absl::Status EventDecoder::End(std::vector<ChatEvent>&) {
  if (complete()) return absl::OkStatus();
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, "deepseek's answer ended before it was complete",
                   {.cause = closed_ ? "closed_unfinished" : "truncated"});
}

absl::Status EventDecoder::Handle(const SseEvent& event, std::vector<ChatEvent>& events) {
  if (event.name == "hint" || event.name == "toast") return HandleNotice(event);
  if (event.name == "close") {
    // The word before the last: good enough where the platform itself says that the stream is over.
    closed_ = true;
    const json::value* response = Response(document_);
    if (response != nullptr && JsonText(FindMember(*response, {"quasi_status"})) == "FINISHED") ending_ = Ending::kStop;
    return absl::OkStatus();
  }
  const bool nameless = event.name.empty() || event.name == "message" || event.name == "delta";
  if (!nameless && event.name != "ready") return absl::OkStatus();
  if (event.data.empty() || event.data == "[DONE]") return absl::OkStatus();

  auto value = ParseJson(event.data);
  if (!value.ok() && !IsValidUtf8(event.data)) value = ParseJson(ReplaceInvalidUtf8(event.data));
  if (!value.ok()) return Changed("it sent something that is not JSON");
  if (!value->is_object()) return Changed("it sent something that is no patch");
  ++progress_;
  if (!nameless) {
    NoteId(value->get_object());
    return absl::OkStatus();
  }
  return HandleObject(value->get_object(), events);
}

absl::Status EventDecoder::HandleObject(const json::object& object, std::vector<ChatEvent>& events) {
  if (object.contains("v")) {
    const bool resuming = continuing_;
    if (auto status = document_.Apply(object); !status.ok()) return status;
    if (auto status = Derive(events); !status.ok()) return status;
    // The first snapshot of a continuation may still say how the answer was cut.
    if (resuming && !continuing_) document_.ForgetEnd("INCOMPLETE");
    return CheckStatus();
  }
  NoteId(object);
  return InStreamError(object);
}

void EventDecoder::NoteId(const json::object& object) {
  if (const json::value* id = object.if_contains("response_message_id"); id != nullptr && id->is_int64())
    response_message_id_ = id->get_int64();
}

absl::Status EventDecoder::HandleNotice(const SseEvent& event) {
  auto value = ParseJson(event.data);
  if (!value.ok()) return event.name == "hint" ? Changed("it sent a hint that is not JSON") : absl::OkStatus();
  ++progress_;
  const absl::string_view type = JsonText(FindMember(*value, {"type"}));
  const bool ends = type == "error" || (event.name == "hint" && type == "warning");
  return ends ? HintError(*value, has_content()) : absl::OkStatus();
}

absl::Status EventDecoder::Parts(std::vector<Part>& parts) const {
  const json::value* response = Response(document_);
  if (response == nullptr) return absl::OkStatus();
  const auto add = [&](const json::value* text, Kind kind, size_t fragment) -> absl::Status {
    if (text == nullptr || text->is_null()) {
      parts.push_back({.kind = kind, .text = "", .fragment = fragment});
      return absl::OkStatus();
    }
    if (!text->is_string()) return kind == Kind::kOther ? absl::OkStatus() : Changed("its text is no text");
    parts.push_back({.kind = kind, .text = ToAbsl(text->get_string()), .fragment = fragment});
    return absl::OkStatus();
  };
  // The oldest dialect has no fragments.
  if (auto status = add(FindMember(*response, {"thinking_content"}), Kind::kReasoning, kNoFragment); !status.ok())
    return status;
  if (auto status = add(FindMember(*response, {"content"}), Kind::kAnswer, kNoFragment); !status.ok()) return status;
  const json::value* fragments = FindMember(*response, {"fragments"});
  if (fragments == nullptr || fragments->is_null()) return absl::OkStatus();
  if (!fragments->is_array()) return Changed("its fragments are no list");
  for (size_t i = 0; i < fragments->get_array().size(); ++i) {
    const json::value& fragment = fragments->get_array()[i];
    const absl::string_view type = JsonText(FindMember(fragment, {"type"}));
    Kind kind = Kind::kOther;
    if (type == "RESPONSE") kind = Kind::kAnswer;
    if (type == "THINK" || type == "THINKING" || type == "REASONING") kind = Kind::kReasoning;
    if (type == "TEMPLATE_RESPONSE") kind = Kind::kRefusal;
    if (auto status = add(kind == Kind::kOther ? nullptr : FindMember(fragment, {"content"}), kind, i); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

void EventDecoder::Add(const Part& part, absl::string_view text, std::vector<ChatEvent>& events) {
  if (text.empty()) return;
  if (part.kind == Kind::kAnswer) {
    answer_.append(text.data(), text.size());
    std::string shown = markers_.Feed(text, part.fragment);
    if (!shown.empty()) events.emplace_back().mutable_text()->set_text(std::move(shown));
  } else if (part.kind == Kind::kReasoning) {
    std::string shown(text);
    if (last_thought_ && *last_thought_ != part.fragment && !reasoning_.empty()) shown.insert(0, "\n");
    last_thought_ = part.fragment;
    reasoning_ += shown;
    events.emplace_back().mutable_reasoning()->set_text(std::move(shown));
  }
}

absl::Status EventDecoder::Derive(std::vector<ChatEvent>& events) {
  if (HasSources(document_.root())) markers_.Activate();
  std::vector<Part> parts;
  if (auto status = Parts(parts); !status.ok()) return status;
  if (document_.rewrote() || replaying_) {
    Resynchronise(parts, events);
  } else {
    for (size_t i = 0; i < parts.size(); ++i) {
      const size_t taken = i < taken_.size() ? taken_[i] : 0;
      if (parts[i].text.size() > taken) Add(parts[i], parts[i].text.substr(taken), events);
    }
  }
  taken_.clear();
  for (const Part& part : parts) taken_.push_back(part.text.size());
  return absl::OkStatus();
}

// Text was set, not added to. What is delivered cannot be taken back: only what goes on from it can be told.
void EventDecoder::Resynchronise(const std::vector<Part>& parts, std::vector<ChatEvent>& events) {
  const bool continued = std::exchange(continuing_, false);
  size_t answer_known = answer_.size(), reasoning_known = reasoning_.size();
  const std::string answer = answer_, reasoning = reasoning_;
  std::string answer_now, reasoning_now;
  std::optional<size_t> thought;
  for (const Part& part : parts) {
    if (part.kind == Kind::kAnswer) absl::StrAppend(&answer_now, part.text);
    if (part.kind != Kind::kReasoning || part.text.empty()) continue;
    if (thought && *thought != part.fragment) reasoning_now += "\n";
    thought = part.fragment;
    absl::StrAppend(&reasoning_now, part.text);
  }
  // A continuation that brings only what is new begins with other text, or with none.
  const bool fresh =
      continued &&
      ((!answer_now.empty() && !absl::StartsWith(answer_now, answer) && !absl::StartsWith(answer, answer_now)) ||
       (answer_now.empty() && reasoning_now.empty()));
  if (fresh) answer_known = reasoning_known = 0;
  const bool answer_fits = fresh || absl::StartsWith(answer_now, answer);
  const bool reasoning_fits = fresh || absl::StartsWith(reasoning_now, reasoning);
  const bool behind = absl::StartsWith(answer, answer_now) && absl::StartsWith(reasoning, reasoning_now);
  replaying_ = (continued || replaying_) && !fresh && behind && !(answer_fits && reasoning_fits);
  // The refusal that replaces a withdrawn answer is no change of its text.
  if (!behind && !(answer_fits && reasoning_fits)) LogWarning("answer_rewritten", {{"platform", "deepseek"}});

  size_t answer_at = 0, reasoning_at = 0;
  for (const Part& part : parts) {
    if (part.kind == Kind::kAnswer) {
      const size_t from = answer_known > answer_at ? answer_known - answer_at : 0;
      if (answer_fits && from < part.text.size()) Add(part, part.text.substr(from), events);
      answer_at += part.text.size();
    } else if (part.kind == Kind::kReasoning && !part.text.empty()) {
      if (reasoning_at > 0) ++reasoning_at;  // the line feed between two of them
      const size_t from = reasoning_known > reasoning_at ? reasoning_known - reasoning_at : 0;
      if (reasoning_fits && from < part.text.size()) {
        if (from > 0) last_thought_ = part.fragment;
        Add(part, part.text.substr(from), events);
      }
      reasoning_at += part.text.size();
    }
  }
}

absl::Status EventDecoder::CheckStatus() {
  const json::value* response = Response(document_);
  const absl::string_view word =
      response == nullptr ? absl::string_view() : JsonText(FindMember(*response, {"status"}));
  for (const StatusRow& row : kStatusWords) {
    if (row.word != word) continue;
    if (row.needs_text) {
      LogWarning("answer_status", {{"platform", "deepseek"}, {"status", row.word}});
      if (answer_.empty()) return StatusError(word);
    }
    ending_ = row.ending;
  }
  return absl::OkStatus();
}

void EventDecoder::BeginContinuation() {
  document_.BeginStream();
  document_.ForgetEnd("INCOMPLETE");
  sse_.emplace();
  ending_ = Ending::kOpen;
  continuing_ = true;
  replaying_ = false;
  closed_ = false;
}

absl::Status EventDecoder::FeedMessage(const json::value& message, std::vector<ChatEvent>& events) {
  json::object document;
  document["response"] = message;
  json::object patch;
  patch["v"] = std::move(document);
  return HandleObject(patch, events);
}

void EventDecoder::Finish(std::vector<ChatEvent>& events) {
  if (std::string rest = markers_.Flush(); !rest.empty())
    events.emplace_back().mutable_text()->set_text(std::move(rest));
  AppendCitations(document_.root(), markers_.marks(), events);
  std::vector<Part> parts;
  if (Parts(parts).ok()) {
    for (const Part& part : parts) {
      if (part.kind == Kind::kRefusal && !part.text.empty())
        events.emplace_back().mutable_refusal()->set_text(std::string(part.text));
    }
  }
  if (!options_.first_turn) return;
  const json::value* response = Response(document_);
  const json::value* count = response == nullptr ? nullptr : FindMember(*response, {"accumulated_token_usage"});
  if (count != nullptr && count->is_int64() && count->get_int64() > 0) {
    events.emplace_back().mutable_usage()->set_total_tokens(count->get_int64());
  }
}

}  // namespace switchyard::deepseek
