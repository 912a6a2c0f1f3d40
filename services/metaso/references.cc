#include "services/metaso/references.h"

#include <initializer_list>
#include <utility>

#include "absl/strings/match.h"
#include "services/common/text/json.h"

namespace switchyard::metaso {

namespace json = boost::json;

namespace {

std::string FirstText(const json::value& item, std::initializer_list<absl::string_view> names) {
  for (const absl::string_view name : names) {
    if (const absl::string_view text = JsonText(FindMember(item, {name})); !text.empty()) return std::string(text);
  }
  return "";
}

}  // namespace

void References::Put(const json::value& item, int64_t position) {
  if (!item.is_object()) return;
  const int64_t number = JsonWhole(FindMember(item, {"index"})).value_or(position);
  Reference reference;
  reference.url = FirstText(item, {"link", "url"});
  // Only what a browser may open.
  if (!absl::StartsWith(reference.url, "http://") && !absl::StartsWith(reference.url, "https://"))
    reference.url.clear();
  reference.title = FirstText(item, {"title"});
  reference.snippet = FirstText(item, {"snippet", "summary", "abstract"});
  by_number_[number] = std::move(reference);
}

void References::Set(const json::value* list) {
  if (list == nullptr || !list->is_array()) return;
  by_number_.clear();
  Merge(list);
}

void References::Merge(const json::value* list) {
  if (list == nullptr || !list->is_array()) return;
  int64_t position = 0;
  for (const json::value& item : list->get_array()) Put(item, ++position);
}

void References::Add(const json::value& item) { Put(item, by_number_.empty() ? 1 : by_number_.rbegin()->first + 1); }

void References::AppendCitations(const std::vector<AnswerText::Mark>& marks,
                                 std::vector<chat::v1::ChatEvent>& events) const {
  for (const AnswerText::Mark& mark : marks) {
    const auto found = by_number_.find(mark.number);
    if (found == by_number_.end() || found->second.url.empty()) continue;
    chat::v1::Citation& citation = *events.emplace_back().mutable_citation();
    citation.set_url(found->second.url);
    citation.set_title(found->second.title);
    citation.set_snippet(found->second.snippet);
    citation.set_start(mark.start);
    citation.set_end(mark.end);
  }
}

}  // namespace switchyard::metaso
