#include "services/kimi/events.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/kimi/responses.h"

namespace switchyard::kimi {

namespace json = boost::json;

namespace {

absl::Status Changed(absl::string_view what) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("kimi's answer was not understood: ", what),
                   {.cause = "protocol"});
}

std::string TextOf(const json::value& value, absl::string_view name) {
  return std::string(JsonText(FindMember(value, {name})));
}

}  // namespace

absl::Status EventDecoder::Feed(absl::string_view bytes, std::vector<ChatEvent>& events) {
  frames_.Append(bytes);
  while (!ended_) {
    auto frame = frames_.Next();
    if (!frame.ok()) return frame.status();
    if (!*frame) break;
    ++progress_;
    if (auto status = Handle(**frame, events); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status EventDecoder::End(std::vector<ChatEvent>&) {
  if (finished() && !frames_.in_frame()) return absl::OkStatus();
  return MakeError(Reason::REASON_UPSTREAM_BROKEN, "kimi's answer ended early", {.cause = "no_end"});
}

absl::Status EventDecoder::Handle(const Frame& frame, std::vector<ChatEvent>& events) {
  if (frame.payload.empty() && !frame.end) return absl::OkStatus();
  auto root = ParseJson(frame.payload);
  if (!root.ok() || !root->is_object()) return Changed("a frame holds no JSON object");
  if (const json::value* error = FindMember(*root, {"error"}); error != nullptr && error->is_object()) {
    refused_ = !has_content_;
    return ConnectError(*error, has_content_);
  }
  if (frame.end) {
    ended_ = true;
    return absl::OkStatus();
  }
  if (const json::value* chat = FindMember(*root, {"chat"}); chat != nullptr && chat_id_.empty())
    chat_id_ = TextOf(*chat, "id");
  if (const json::value* message = FindMember(*root, {"message"})) HandleMessage(*message, events);
  if (const json::value* block = FindMember(*root, {"block"})) {
    const bool append = JsonText(FindMember(*root, {"op"})) == "append";
    if (auto status = HandleBlock(*block, append, events); !status.ok()) return status;
  }
  if (const json::value* source = FindMember(*root, {"ref", "search"})) {
    const json::value* base = FindMember(*source, {"base"});
    Cite(base == nullptr ? source : base, events);
  }
  if (const json::value* content = FindMember(*root, {"delta", "content"})) {
    bool thinking = false;
    for (const auto& [id, block] : blocks_) thinking = thinking || block.stage;
    Emit(JsonText(content), thinking, events);
  }
  if (FindMember(*root, {"done"}) != nullptr) done_ = true;
  return absl::OkStatus();
}

void EventDecoder::HandleMessage(const json::value& message, std::vector<ChatEvent>& events) {
  const std::string id = TextOf(message, "id");
  const absl::string_view role = JsonText(FindMember(message, {"role"}));
  const json::value* parts = FindMember(message, {"blocks"});
  const bool listed = parts != nullptr && parts->is_array();
  if (role == "user") {
    user_messages_.insert(id);
    for (const json::value& part : listed ? parts->get_array() : json::array()) {
      if (const std::string block = TextOf(part, "id"); !block.empty()) blocks_[block].echo = true;
    }
    return;
  }
  if (role == "assistant") {
    message_id_ = id;
    for (const json::value& part : listed ? parts->get_array() : json::array()) {
      blocks_[TextOf(part, "id")].echo = false;
      HandleBlock(part, false, events).IgnoreError();
    }
  }
  if (JsonText(FindMember(message, {"status"})) == "MESSAGE_STATUS_COMPLETED" && !id.empty() && id == message_id_)
    completed_ = true;
  CiteAll(FindMember(message, {"refs", "searchChunks"}), "base", events);
  const json::value* references = FindMember(message, {"references"});
  if (references == nullptr || !references->is_array()) return;
  for (const json::value& reference : references->get_array())
    CiteAll(FindMember(reference, {"items"}), "search", events);
}

absl::Status EventDecoder::HandleBlock(const json::value& object, bool append, std::vector<ChatEvent>& events) {
  Block& block = blocks_[TextOf(object, "id")];
  if (const std::string message = TextOf(object, "messageId"); !message.empty())
    block.echo = user_messages_.count(message) != 0;
  if (block.echo) return absl::OkStatus();
  if (const std::string parent = TextOf(object, "parentId"); !parent.empty()) block.parent = parent;
  if (const json::value* stages = FindMember(object, {"multiStage", "stages"})) HandleStages(*stages, block);
  if (const json::value* think = FindMember(object, {"think"})) {
    saw_think_ = true;
    Update(block.thought, JsonText(FindMember(*think, {"content"})), append, true, events);
  }
  if (const json::value* text = FindMember(object, {"text"})) HandleText(*text, block, append, events);
  CiteAll(FindMember(object, {"search", "webPages"}), "", events);
  if (const json::value* contents = FindMember(object, {"tool", "contents"}); contents && contents->is_array()) {
    for (const json::value& content : contents->get_array())
      Cite(FindMember(content, {"searchResult", "base"}), events);
  }
  const json::value* exception = FindMember(object, {"exception"});
  return exception == nullptr ? absl::OkStatus() : HandleException(*exception, events);
}

void EventDecoder::HandleStages(const json::value& stages, Block& block) {
  if (!stages.is_array()) return;
  for (const json::value& stage : stages.get_array()) {
    if (JsonText(FindMember(stage, {"name"})) == "STAGE_NAME_THINKING")
      block.stage = JsonText(FindMember(stage, {"status"})) == "STAGE_STATUS_START";
  }
}

absl::Status EventDecoder::HandleException(const json::value& exception, std::vector<ChatEvent>& events) {
  const absl::Status error = ExceptionError(exception, has_content_);
  if (ReasonOf(error) != Reason::REASON_CONTENT_REFUSED || !has_content_) {
    refused_ = !has_content_;
    return error;
  }
  // What was said stands until here; the platform's words for withdrawing it follow.
  const json::value* said = FindMember(exception, {"error"});
  std::string words = said == nullptr ? std::string() : LocalizedMessage(*said);
  if (words.empty()) words = "Kimi withdrew the answer.";
  events.emplace_back().mutable_refusal()->set_text(std::move(words));
  filtered_ = done_ = true;
  return absl::OkStatus();
}

void EventDecoder::HandleText(const json::value& text, Block& block, bool append, std::vector<ChatEvent>& events) {
  const json::value* flags = FindMember(text, {"flags"});
  if (flags != nullptr && flags->is_array() && !flags->get_array().empty()) flags = &flags->get_array().front();
  if (const absl::string_view word = JsonText(flags); !word.empty()) block.flags = std::string(word);
  const json::value* content = FindMember(text, {"content"});
  if (content == nullptr) return;
  const bool reasoning = block.flags.empty() ? !saw_think_ && InThinkingStage(block) : block.flags == "thinking";
  Update(block.text, JsonText(content), append, reasoning, events);
}

bool EventDecoder::InThinkingStage(const Block& block) const {
  const Block* at = &block;
  for (int depth = 0; depth < 4; ++depth) {
    if (at->stage) return true;
    const auto parent = blocks_.find(at->parent);
    if (at->parent.empty() || parent == blocks_.end()) return false;
    at = &parent->second;
  }
  return false;
}

void EventDecoder::Update(std::string& known, absl::string_view content, bool append, bool reasoning,
                          std::vector<ChatEvent>& events) {
  // A snapshot that does not extend what was passed on cannot take it back.
  if (!append && !absl::ConsumePrefix(&content, absl::string_view(known))) return;
  known.append(content.data(), content.size());
  Emit(content, reasoning, events);
}

void EventDecoder::Emit(absl::string_view text, bool reasoning, std::vector<ChatEvent>& events) {
  if (text.empty() || filtered_) return;
  has_content_ = true;
  if (reasoning) {
    events.emplace_back().mutable_reasoning()->set_text(std::string(text));
  } else {
    events.emplace_back().mutable_text()->set_text(std::string(text));
  }
}

void EventDecoder::CiteAll(const json::value* list, absl::string_view member, std::vector<ChatEvent>& events) {
  if (list == nullptr || !list->is_array()) return;
  for (const json::value& item : list->get_array()) Cite(member.empty() ? &item : FindMember(item, {member}), events);
}

// Where a source belongs in the text is not documented, so it has no position.
void EventDecoder::Cite(const json::value* source, std::vector<ChatEvent>& events) {
  if (source == nullptr) return;
  if (const json::value* base = FindMember(*source, {"base"})) source = base;
  const std::string url = TextOf(*source, "url");
  if (url.empty() || !cited_.insert(url).second) return;
  auto& citation = *events.emplace_back().mutable_citation();
  citation.set_url(url);
  citation.set_title(TextOf(*source, "title"));
  std::string snippet = TextOf(*source, "snippet");
  citation.set_snippet(snippet.empty() ? TextOf(*source, "summary") : std::move(snippet));
}

}  // namespace switchyard::kimi
