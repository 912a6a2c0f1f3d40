#include "services/zhipu/events.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/zhipu/responses.h"

namespace switchyard::zhipu {

namespace json = boost::json;

namespace {

absl::Status Changed(absl::string_view what) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("zhipu's answer was not understood: ", what),
                   {.cause = "protocol"});
}

const json::array* List(const json::value* value) { return value == nullptr ? nullptr : value->if_array(); }
std::string Text(const json::value& value, absl::string_view name) {
  return std::string(JsonText(FindMember(value, {name})));
}
bool IsUrl(absl::string_view text) { return absl::StartsWith(text, "http://") || absl::StartsWith(text, "https://"); }
bool IsFilled(const json::value* value) {
  return value != nullptr && value->is_object() && !value->get_object().empty();
}

// Where among its like a picture belongs: said outright, or by the number before "_0.jpg" of its name.
int64_t PictureOrder(const json::value& picture, absl::string_view url) {
  if (const auto order = JsonWhole(FindMember(picture, {"order"}))) return *order;
  const size_t tail = url.rfind("_0");
  if (tail == absl::string_view::npos || tail == 0) return 0;
  const size_t before = url.rfind('_', tail - 1);
  int64_t order = 0;
  if (before == absl::string_view::npos || !absl::SimpleAtoi(url.substr(before + 1, tail - before - 1), &order))
    return 0;
  return order;
}

}  // namespace

absl::Status EventDecoder::Feed(absl::string_view bytes, std::vector<ChatEvent>& events) {
  any_bytes_ = any_bytes_ || !bytes.empty();
  std::vector<SseEvent> received;
  const absl::Status fed = sse_.Feed(bytes, received);
  for (const SseEvent& event : received) {
    if (ended_) return absl::OkStatus();
    if (auto status = Handle(event, events); !status.ok()) return status;
  }
  return ended_ ? absl::OkStatus() : fed;
}

absl::Status EventDecoder::End(std::vector<ChatEvent>& events) {
  // The last event may lack its empty line.
  if (!ended_ && any_bytes_ && sse_.HasPartial()) {
    if (auto status = Feed("\n\n", events); !status.ok() && !intervened_) return status;
  }
  if (complete()) return absl::OkStatus();
  if (!any_bytes_) return NothingStreamed(continued_);
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, "zhipu's answer ended before it was complete",
                   {.cause = "truncated"});
}

absl::Status EventDecoder::Handle(const SseEvent& event, std::vector<ChatEvent>& events) {
  if (event.data.empty() || event.data == "[DONE]") return absl::OkStatus();
  auto value = ParseJson(event.data);
  if (!value.ok() && !IsValidUtf8(event.data)) value = ParseJson(ReplaceInvalidUtf8(event.data));
  if (!value.ok()) return Changed("it sent something that is not JSON");
  if (!value->is_object()) return Changed("it sent something that is no frame");
  return HandleFrame(*value, events);
}

absl::Status EventDecoder::HandleFrame(const json::value& frame, std::vector<ChatEvent>& events) {
  const json::value* word = FindMember(frame, {"status"});
  const json::array* parts = List(FindMember(frame, {"parts"}));
  if (parts == nullptr && (word == nullptr || !word->is_string())) return EnvelopeInStream(frame);
  if (conversation_.empty()) conversation_ = Text(frame, "conversation_id");
  const absl::string_view status = JsonText(word);
  const bool empty = parts == nullptr || parts->empty();
  // A pure sign of life holds no turn open.
  if (!empty || status != "init" || progress_ == 0) ++progress_;
  if (!empty) {
    for (size_t i = 0; i < parts->size(); ++i) HandlePart((*parts)[i], i, events);
  }
  const json::value* last_error = FindMember(frame, {"last_error"});
  if (status == "finish") {
    ended_ = true;
  } else if (status == "intervene") {
    intervened_ = true;
    if (intervention_.empty() && last_error != nullptr) intervention_ = Text(*last_error, "intervene_text");
  } else if (status == "error") {
    const json::value* error = FindMember(frame, {"error"});
    return FrameError(IsFilled(error) ? *error : last_error != nullptr ? *last_error : json::value());
  } else if (empty && IsFilled(last_error)) {
    return FrameError(*last_error);
  }
  return absl::OkStatus();
}

void EventDecoder::HandlePart(const json::value& part, size_t position, std::vector<ChatEvent>& events) {
  if (!part.is_object()) return;
  TakeSources(part);
  const std::string id = Text(part, "id"), role = Text(part, "role");
  if (part_.empty()) part_ = id;
  const json::array* content = List(FindMember(part, {"content"}));
  if (content == nullptr || (!role.empty() && role != "assistant")) return;
  std::string paragraph = Text(part, "logic_id");
  if (paragraph.empty()) paragraph = id;
  if (paragraph.empty()) paragraph = absl::StrCat("#", position);
  const bool finished = Text(part, "status") == "finish";
  std::map<std::string, int> ordinals;
  for (const json::value& block : *content) {
    const std::string type = Text(block, "type");
    HandleBlock(block, paragraph, absl::StrCat(paragraph, "/", type, "/", ordinals[type]++), finished, events);
  }
  if (!finished) return;
  if (code_part_ == paragraph) CloseCode(events);
  GivePictures(events);
}

void EventDecoder::HandleBlock(const json::value& block, const std::string& paragraph, const std::string& key,
                               bool finished, std::vector<ChatEvent>& events) {
  const std::string type = Text(block, "type");
  if (type == "text") {
    Add(Channel::kAnswer, paragraph, paragraphs_.Take(key, JsonText(FindMember(block, {"text"})), finished), events);
  } else if (type == "think") {
    Add(Channel::kReasoning, paragraph, paragraphs_.Take(key, JsonText(FindMember(block, {"think"})), finished),
        events);
  } else if (type == "text_thinking") {
    Add(Channel::kReasoning, paragraph, paragraphs_.Take(key, JsonText(FindMember(block, {"text"})), finished), events);
  } else if (type == "code") {
    std::string code = paragraphs_.Take(key, JsonText(FindMember(block, {"code"})), finished);
    if (code.empty()) return;
    if (code_part_ != paragraph) {
      CloseCode(events);
      code.insert(0, "```python\n");
    }
    Add(Channel::kAnswer, paragraph, code, events);
    code_part_ = paragraph;
  } else if (type == "execution_output") {
    const std::string output = Text(block, "content");
    if (output.empty() || !outputs_.insert(output).second) return;
    CloseCode(events);
    Add(Channel::kAnswer, key, output, events);
  } else if (type == "image") {
    Collect(block);
  }
}

void EventDecoder::TakeSources(const json::value& part) {
  const json::array* results = List(FindMember(part, {"meta_data", "tool_result_extra", "search_results"}));
  if (results == nullptr) return;
  for (const json::value& result : *results) {
    const std::string key = Text(result, "match_key"), url = Text(result, "url");
    if (!key.empty() && IsUrl(url)) marks_.AddSource(key, {url, Text(result, "title"), Text(result, "snippet")});
  }
}

void EventDecoder::Collect(const json::value& block) {
  const json::array* pictures = List(FindMember(block, {"image"}));
  if (pictures == nullptr) return;
  for (const json::value& picture : *pictures) {
    const std::string url = Text(picture, "image_url");
    if (IsUrl(url) && pictures_told_.insert(url).second) pictures_.emplace_back(PictureOrder(picture, url), url);
  }
}

// They come as they are ready, in any order.
void EventDecoder::GivePictures(std::vector<ChatEvent>& events) {
  std::stable_sort(pictures_.begin(), pictures_.end(),
                   [](const auto& one, const auto& other) { return one.first < other.first; });
  for (const auto& [order, url] : std::exchange(pictures_, {}))
    Add(Channel::kAnswer, url, absl::StrCat("![image](", url, ")"), events);
}

void EventDecoder::CloseCode(std::vector<ChatEvent>& events) {
  if (code_part_.empty()) return;
  Add(Channel::kAnswer, std::exchange(code_part_, ""), "\n```", events);
}

void EventDecoder::Add(Channel channel, const std::string& paragraph, absl::string_view text,
                       std::vector<ChatEvent>& events) {
  if (text.empty()) return;
  std::string& last = channel == Channel::kAnswer ? last_answer_ : last_thought_;
  std::string given;
  if (channel == Channel::kAnswer) {
    if (!last.empty() && last != paragraph) given = marks_.Flush() + marks_.Feed("\n");
    given += marks_.Feed(text);
    if (!given.empty()) events.emplace_back().mutable_text()->set_text(given);
  } else {
    given = last.empty() || last == paragraph ? std::string(text) : absl::StrCat("\n", text);
    events.emplace_back().mutable_reasoning()->set_text(given);
  }
  has_content_ = has_content_ || !given.empty();
  last = paragraph;
}

void EventDecoder::Finish(std::vector<ChatEvent>& events) {
  CloseCode(events);
  GivePictures(events);
  if (const std::string rest = marks_.Flush(); !rest.empty()) events.emplace_back().mutable_text()->set_text(rest);
  for (const CitationMarks::Link& link : marks_.links()) {
    chat::v1::Citation& citation = *events.emplace_back().mutable_citation();
    citation.set_url(link.source.url);
    citation.set_title(link.source.title);
    citation.set_snippet(link.source.snippet);
    citation.set_start(link.start);
    citation.set_end(link.end);
  }
  if (intervened_ && !intervention_.empty()) events.emplace_back().mutable_refusal()->set_text(intervention_);
}

}  // namespace switchyard::zhipu
