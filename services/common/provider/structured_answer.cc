#include "services/common/provider/structured_answer.h"

#include <algorithm>
#include <utility>

#include "services/common/text/utf8.h"

namespace switchyard {

using chat::v1::ChatEvent;
using chat::v1::FinishReason;

namespace {

constexpr size_t kMaxBytes = 4 * 1024 * 1024;
constexpr size_t kMaxDelta = 32 * 1024;

/// Text deltas of a size that any message limit lets through; whole code points.
void AppendText(absl::string_view text, std::vector<ChatEvent>& out) {
  while (!text.empty()) {
    size_t length = std::min(text.size(), kMaxDelta);
    while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
    out.emplace_back().mutable_text()->set_text(std::string(text.substr(0, length)));
    text.remove_prefix(length);
  }
}

}  // namespace

bool StructuredAnswer::too_long() const { return text_.size() > kMaxBytes; }

bool StructuredAnswer::Withhold(Events& events) {
  Events rest;
  for (ChatEvent& event : events) {
    if (event.has_text()) {
      text_ += event.text().text();
    } else if (event.has_citation()) {
      citations_.push_back(std::move(event));
    } else {
      called_tools_ |= event.has_tool_call();
      rest.push_back(std::move(event));
    }
  }
  events = std::move(rest);
  return !too_long();
}

absl::Status StructuredAnswer::Release(bool cut, Events& events) {
  Withhold(events);
  FinishReason end = FinishReason::FINISH_REASON_STOP;
  for (const ChatEvent& event : events) {
    if (event.has_finished()) end = event.finished().reason();
  }
  std::string text;
  if (called_tools_) {
    text = text_;
  } else if (end != FinishReason::FINISH_REASON_CONTENT_FILTER) {
    auto json = output_.Read(text_);
    cut |= end == FinishReason::FINISH_REASON_LENGTH;
    if (!json.ok() && !cut) return json.status();
    text = json.ok() ? *std::move(json) : std::string(StructuredOutput::WithoutOpeningFence(text_));
  }
  const int64_t length = CountCodePoints(text);
  Events all;
  AppendText(text, all);
  for (ChatEvent& citation : citations_) {
    citation.mutable_citation()->set_start(length);
    citation.mutable_citation()->set_end(length);
    all.push_back(std::move(citation));
  }
  citations_.clear();
  std::move(events.begin(), events.end(), std::back_inserter(all));
  events = std::move(all);
  return absl::OkStatus();
}

}  // namespace switchyard
