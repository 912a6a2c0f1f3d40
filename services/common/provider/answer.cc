#include "services/common/provider/answer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "services/common/status/reason.h"

namespace switchyard {

using chat::v1::ChatEvent;
using chat::v1::FinishReason;
using chat::v1::ReasoningFormat;
using chat::v1::Usage;

namespace {

struct Marks {
  absl::string_view open, close;
};
Marks MarksOf(ReasoningFormat format) {
  if (format == ReasoningFormat::REASONING_FORMAT_TAGS) return {"<think>", "</think>"};
  return {"<think:", ">"};
}

int64_t CodePoints(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

}  // namespace

AnswerFilter::AnswerFilter(Options options) : options_(std::move(options)) {
  if (options_.tools) calls_.emplace(options_.tools);
}

void AnswerFilter::Feed(ChatEvent event, Events& out) {
  if (over_ || !fault_.ok()) return;
  switch (event.event_case()) {
    case ChatEvent::kText:
      Text(std::move(*event.mutable_text()->mutable_text()), out);
      break;
    case ChatEvent::kReasoning:
      Reasoning(std::move(*event.mutable_reasoning()->mutable_text()), out);
      break;
    case ChatEvent::kUsage:
      measured_ = std::move(*event.mutable_usage());
      break;
    case ChatEvent::kCitation:
      // Reasoning inside the text moves what comes after it.
      event.mutable_citation()->set_start(event.citation().start() + injected_chars_);
      event.mutable_citation()->set_end(event.citation().end() + injected_chars_);
      out.push_back(std::move(event));
      break;
    case ChatEvent::kRefusal:
      // Told at the end: before any text it makes an error, after some it is the last word.
      refusal_ += event.refusal().text();
      break;
    default:
      out.push_back(std::move(event));
  }
}

void AnswerFilter::StartOver() {
  AnswerFilter fresh(std::move(options_));
  fresh.reasoning_tokens_ = reasoning_tokens_;
  fresh.started_over_ = true;
  *this = std::move(fresh);
}

void AnswerFilter::Text(std::string text, Events& out) {
  if (text.empty()) return;
  has_text_ = true;
  CloseReasoning(out);
  if (!calls_) return Content(text, out);
  ToolCallParser::Pieces pieces;
  calls_->Feed(text, pieces);
  TakePieces(pieces, out);
  if (!over_ && fault_.ok() && calls_->over()) over_ = FinishReason::FINISH_REASON_TOOL_CALLS;
}

void AnswerFilter::TakePieces(const ToolCallParser::Pieces& pieces, Events& out) {
  for (const auto& piece : pieces) {
    if (over_) return;
    switch (piece.kind) {
      case ToolCallParser::Piece::Kind::kText:
        Content(piece.text, out);
        break;
      case ToolCallParser::Piece::Kind::kBegin:
        BeginCall(piece.text, out);
        break;
      case ToolCallParser::Piece::Kind::kArguments:
        CallArguments(piece.text, out);
        break;
      case ToolCallParser::Piece::Kind::kEnd:
        break;
    }
  }
  if (!over_) fault_ = calls_->fault();
}

void AnswerFilter::BeginCall(const std::string& name, Events& out) {
  // A stop sequence does not reach from the text into a call.
  const std::string rest = std::exchange(held_, "");
  Emit(rest, out);
  if (over_ || WithinLimit(name).size() < name.size()) return;
  text_tokens_.Add(name);
  auto& call = *out.emplace_back().mutable_tool_call();
  call.set_index(++call_);
  call.set_id(options_.new_call_id());
  call.set_name(name);
}

void AnswerFilter::CallArguments(absl::string_view arguments, Events& out) {
  arguments = WithinLimit(arguments);
  if (arguments.empty()) return;
  text_tokens_.Add(arguments);
  if (!out.empty() && out.back().has_tool_call()) {
    out.back().mutable_tool_call()->mutable_arguments()->append(arguments.data(), arguments.size());
    return;
  }
  auto& call = *out.emplace_back().mutable_tool_call();
  call.set_index(call_);
  call.set_arguments(std::string(arguments));
}

void AnswerFilter::Content(absl::string_view text, Events& out) {
  held_.append(text.data(), text.size());
  // Of several, the one that is complete first; of those that end together, the longest. So chunks make no difference.
  size_t stop_at = std::string::npos;
  size_t stop_end = std::string::npos;
  const std::string* which = nullptr;
  for (const std::string& stop : options_.stop) {
    const size_t at = held_.find(stop);
    if (at == std::string::npos || at + stop.size() > stop_end) continue;
    if (at + stop.size() < stop_end || at < stop_at) which = &stop;
    stop_at = at + stop.size() < stop_end ? at : std::min(stop_at, at);
    stop_end = at + stop.size();
  }
  if (stop_at != std::string::npos) {
    const std::string before = held_.substr(0, stop_at);
    held_.clear();
    Emit(before, out);
    if (over_) return;  // by the limit
    over_ = FinishReason::FINISH_REASON_STOP;
    stopped_by_ = *which;
    return;
  }
  const size_t keep = HeldBack();
  const std::string ready = held_.substr(0, held_.size() - keep);
  held_.erase(0, ready.size());
  Emit(ready, out);
}

// The longest tail of the text that is the start of a stop sequence. It begins with that sequence's first byte, so it
// begins on a code-point border.
size_t AnswerFilter::HeldBack() const {
  size_t longest = 0;
  for (const std::string& stop : options_.stop) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > longest; --n) {
      if (absl::EndsWith(held_, absl::string_view(stop).substr(0, n))) longest = n;
    }
  }
  return longest;
}

// As much of the text as the limit lets through; the answer is over if that is not all.
absl::string_view AnswerFilter::WithinLimit(absl::string_view text) {
  if (!options_.max_output_tokens) return text;
  const size_t within = text_tokens_.BytesWithin(text, *options_.max_output_tokens);
  if (within < text.size()) over_ = FinishReason::FINISH_REASON_LENGTH;
  return text.substr(0, within);
}

void AnswerFilter::Emit(absl::string_view text, Events& out) {
  text = WithinLimit(text);
  if (text.empty()) return;
  text_tokens_.Add(text);
  out.emplace_back().mutable_text()->set_text(std::string(text));
}

void AnswerFilter::Reasoning(std::string text, Events& out) {
  if (text.empty()) return;
  reasoning_tokens_.Add(text);
  switch (options_.format) {
    case ReasoningFormat::REASONING_FORMAT_HIDDEN:
      return;
    case ReasoningFormat::REASONING_FORMAT_SEPARATE:
      out.emplace_back().mutable_reasoning()->set_text(std::move(text));
      return;
    default:
      // The block opens once. Thoughts that come after the answer began have no place in the text any more.
      if (block_ == Block::kClosed || has_text_) return;
      if (block_ == Block::kNotOpened) {
        block_ = Block::kOpen;
        Inject(MarksOf(options_.format).open, out);
      }
      Inject(text, out);
  }
}

void AnswerFilter::Inject(absl::string_view text, Events& out) {
  injected_chars_ += CodePoints(text);
  if (!out.empty() && out.back().has_text()) {
    out.back().mutable_text()->mutable_text()->append(text.data(), text.size());
  } else {
    out.emplace_back().mutable_text()->set_text(std::string(text));
  }
}

void AnswerFilter::CloseReasoning(Events& out) {
  if (block_ != Block::kOpen) return;
  block_ = Block::kClosed;
  Inject(MarksOf(options_.format).close, out);
}

// @return why the answer ends, as far as calls have a say in it
FinishReason AnswerFilter::FinishTools(FinishReason platform, Events& out) {
  const bool whole =
      platform != FinishReason::FINISH_REASON_LENGTH && platform != FinishReason::FINISH_REASON_CONTENT_FILTER;
  ToolCallParser::Pieces pieces;
  calls_->Finish(/*truncated=*/!whole, pieces);
  TakePieces(pieces, out);
  if (!whole || over_ || !fault_.ok() || !refusal_.empty()) return platform;
  if (call_ >= 0) return FinishReason::FINISH_REASON_TOOL_CALLS;
  if (options_.tools->required()) {
    fault_ = MakeError(Reason::REASON_UPSTREAM_CHANGED,
                       "the model answered without the tool call that `tool_choice` asks for",
                       {.cause = "tool_call_missing"});
  }
  return platform;
}

absl::Status AnswerFilter::Finish(FinishReason platform, int64_t prompt_tokens, Events& out) {
  if (calls_ && !over_ && fault_.ok()) platform = FinishTools(platform, out);
  if (!fault_.ok()) return fault_;
  if (!over_) {
    const std::string rest = std::exchange(held_, "");
    Emit(rest, out);
  }
  CloseReasoning(out);
  if (!over_ && !refusal_.empty()) {
    platform = FinishReason::FINISH_REASON_CONTENT_FILTER;
    out.emplace_back().mutable_refusal()->set_text(refusal_);
  }

  Usage& usage = *out.emplace_back().mutable_usage();
  const int64_t reasoning = reasoning_tokens_.tokens();
  const int64_t completion = std::max<int64_t>(text_tokens_.tokens() + reasoning, 1);
  // A platform's total is that of the whole answer, so it says nothing about one that was cut short here.
  if (measured_.total_tokens() > 0 && !over_ && !started_over_) {
    usage = measured_;
    if (usage.prompt_tokens() == 0 && usage.completion_tokens() == 0) {
      usage.set_prompt_tokens(std::min(prompt_tokens, usage.total_tokens() - 1));
      usage.set_completion_tokens(usage.total_tokens() - usage.prompt_tokens());
    }
    if (usage.reasoning_tokens() == 0) usage.set_reasoning_tokens(std::min(reasoning, usage.completion_tokens()));
    usage.set_source(Usage::SOURCE_MEASURED);
  } else {
    usage.set_prompt_tokens(prompt_tokens);
    usage.set_completion_tokens(completion);
    usage.set_total_tokens(prompt_tokens + completion);
    usage.set_reasoning_tokens(reasoning);
    usage.set_source(Usage::SOURCE_ESTIMATED);
  }
  auto& finished = *out.emplace_back().mutable_finished();
  finished.set_reason(over_.value_or(platform));
  finished.set_stop_sequence(stopped_by_);
  return absl::OkStatus();
}

}  // namespace switchyard
