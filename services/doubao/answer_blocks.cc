#include "services/doubao/answer_blocks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/common/log/log.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/common/text/views.h"

namespace switchyard::doubao {

namespace json = boost::json;

namespace {

enum BlockType : int64_t { kText = 10000, kSearch = 10025, kThinking = 10040, kCreation = 2074 };
enum PatchType : int64_t { kAppend = 1, kReplace = 2, kRemove = 3 };

const json::array* List(const json::value* value) { return value == nullptr ? nullptr : value->if_array(); }

std::string IdOf(const json::value* value) {
  if (value != nullptr && value->is_int64()) return absl::StrCat(value->get_int64());
  if (value != nullptr && value->is_uint64()) return absl::StrCat(value->get_uint64());
  return std::string(JsonText(value));
}

void Fill(std::string& member, absl::string_view value) {
  if (member.empty()) member = std::string(value);
}

}  // namespace

void AnswerBlocks::Take(const json::value& block, Events& events) {
  const int64_t type = JsonWhole(FindMember(block, {"block_type"})).value_or(0);
  const std::string id = IdOf(FindMember(block, {"block_id"}));
  if (type == kText) {
    TakeTextBlock(block, id, events);
  } else if (type == kThinking) {
    thinking_.insert(id);
    last_ = id;
    last_thought_ = true;
  } else if (type == kSearch) {
    if (const auto* results = List(FindMember(block, {"content", "search_query_result_block", "results"}))) {
      for (const json::value& result : *results) TakeSource(result);
    }
  } else if (type == kCreation) {
    if (const auto* creations = List(FindMember(block, {"content", "creation_block", "creations"}))) {
      for (const json::value& creation : *creations) TakePicture(creation);
    }
  }
}

void AnswerBlocks::TakeTextBlock(const json::value& item, const std::string& id, Events& events) {
  const std::string parent = IdOf(FindMember(item, {"parent_id"}));
  last_ = id;
  last_thought_ = !parent.empty() && thinking_.count(parent) > 0;
  TextBlock& block = texts_[id];
  block.thought = last_thought_;
  const absl::string_view text = JsonText(FindMember(item, {"content", "text_block", "text"}));
  const json::value* finish = FindMember(item, {"is_finish"});
  // Closes the block, whatever it says to do with its text.
  if (text.empty() && finish != nullptr && finish->is_bool() && finish->get_bool()) return;
  const int64_t patch = JsonWhole(FindMember(item, {"patch_type"})).value_or(kAppend);
  if (patch == kReplace || patch == kRemove) {
    block.text = patch == kReplace ? std::string(text) : std::string();
    Update(block, "", events);
  } else {
    absl::StrAppend(&block.text, text);
    Update(block, text, events);
  }
}

void AnswerBlocks::Append(absl::string_view text, Events& events) {
  TextBlock& block = texts_[last_];
  block.thought = last_thought_;
  absl::StrAppend(&block.text, text);
  Update(block, text, events);
}

// What was passed on cannot be taken back: only what goes on from it can be told.
void AnswerBlocks::Update(TextBlock& block, absl::string_view added, Events& events) {
  if (absl::StartsWith(block.text, block.shown)) {
    const std::string rest = block.text.substr(block.shown.size());
    block.shown = block.text;
    Show(block.thought, rest, events);
    return;
  }
  if (absl::StartsWith(block.shown, block.text)) return;  // shortened; it may grow back
  if (added.empty()) {
    LogWarning("answer_rewritten", {{"platform", "doubao"}});
    return;
  }
  Show(block.thought, added, events);
}

void AnswerBlocks::Show(bool thought, absl::string_view text, Events& events) {
  if (text.empty()) return;
  if (thought) {
    has_thought_ = true;
    events.emplace_back().mutable_reasoning()->set_text(std::string(text));
  } else {
    has_text_ = true;
    text_length_ += CountCodePoints(text);
    events.emplace_back().mutable_text()->set_text(std::string(text));
  }
}

void AnswerBlocks::TakeInstead(absl::string_view text, Events& events) {
  if (!has_text_) Show(false, text, events);
}

void AnswerBlocks::TakeSource(const json::value& result) {
  const json::value* card = &result;
  for (const absl::string_view name : {"text_card", "video_card", "card"}) {
    const json::value* inner = FindMember(result, {name});
    if (inner == nullptr || !inner->is_object()) continue;
    card = inner;
    break;
  }
  const absl::string_view url = JsonText(FindMember(*card, {"url"}));
  if (url.empty()) return;
  auto source =
      std::find_if(sources_.begin(), sources_.end(), [&](const Source& known) { return ToAbsl(known.url) == url; });
  if (source == sources_.end()) {
    sources_.push_back({std::string(url), "", ""});
    source = sources_.end() - 1;
  }
  Fill(source->title, JsonText(FindMember(*card, {"title"})));
  Fill(source->snippet, JsonText(FindMember(*card, {"summary"})));
}

void AnswerBlocks::TakePicture(const json::value& creation) {
  const json::value* image = FindMember(creation, {"image"});
  if (image == nullptr) return;
  std::string url;
  for (const absl::string_view name : {"image_ori_raw", "image_ori", "image_preview", "image_thumb"})
    Fill(url, JsonText(FindMember(*image, {name, "url"})));
  if (url.empty()) return;
  std::string key(JsonText(FindMember(*image, {"key"})));
  if (key.empty()) key = url;
  for (const auto& [known, address] : pictures_) {
    if (known == key) return;
  }
  pictures_.emplace_back(std::move(key), std::move(url));
}

void AnswerBlocks::Finish(Events& events) {
  for (const auto& [key, url] : pictures_)
    Show(false, absl::StrCat(has_text_ ? "\n\n" : "", "![image](", url, ")"), events);
  for (const Source& source : sources_) {
    auto* citation = events.emplace_back().mutable_citation();
    citation->set_url(source.url);
    citation->set_title(source.title);
    citation->set_snippet(source.snippet);
    citation->set_start(text_length_);
    citation->set_end(text_length_);
  }
}

}  // namespace switchyard::doubao
