#include "services/deepseek/sources.h"

#include <set>
#include <string>
#include <tuple>

#include "absl/strings/match.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard::deepseek {

namespace json = boost::json;
using chat::v1::ChatEvent;
using chat::v1::Citation;

namespace {

const json::array* List(const json::value* value) { return value == nullptr ? nullptr : value->if_array(); }

std::string Text(const json::value& object, absl::string_view name) {
  return std::string(JsonText(FindMember(object, {name})));
}

/// One result of a search, once at one place.
class Citations {
 public:
  Citations(std::vector<ChatEvent>& events) : events_(events) {}

  void Add(const json::value& result, const CitationMarkers::Mark& mark) {
    const std::string url = Text(result, "url");
    if (!absl::StartsWith(url, "http://") && !absl::StartsWith(url, "https://")) return;
    if (!told_.emplace(url, mark.start, mark.end).second) return;
    Citation& citation = *events_.emplace_back().mutable_citation();
    citation.set_url(url);
    citation.set_title(Text(result, "title"));
    citation.set_snippet(Text(result, "snippet"));
    citation.set_start(mark.start);
    citation.set_end(mark.end);
  }

 private:
  std::vector<ChatEvent>& events_;
  std::set<std::tuple<std::string, int64_t, int64_t>> told_;
};

/// "[reference:N]": N counts the references of the fragment; each names the fragment that holds the source.
void AddReference(const json::array& fragments, const CitationMarkers::Mark& mark, Citations& citations) {
  if (mark.fragment >= fragments.size()) return;
  const json::array* references = List(FindMember(fragments[mark.fragment], {"references"}));
  if (references == nullptr || mark.number < 0 || static_cast<size_t>(mark.number) >= references->size()) return;
  const json::value* id = FindMember((*references)[static_cast<size_t>(mark.number)], {"id"});
  if (id == nullptr) return;
  for (const json::value& fragment : fragments) {
    const json::value* own = FindMember(fragment, {"id"});
    if (own == nullptr || *own != *id) continue;
    if (const json::value* result = FindMember(fragment, {"result"})) citations.Add(*result, mark);
    if (const json::array* results = List(FindMember(fragment, {"results"}))) {
      for (const json::value& result : *results) citations.Add(result, mark);
    }
  }
}

/// "[citation:N]" of the older dialects: N is a result's own number.
void AddNumbered(const json::array& results, const CitationMarkers::Mark& mark, Citations& citations) {
  for (const json::value& result : results) {
    const json::value* index = FindMember(result, {"cite_index"});
    if (index != nullptr && index->is_int64() && index->get_int64() == mark.number) citations.Add(result, mark);
  }
}

}  // namespace

bool HasSources(const json::value& document) {
  if (const json::array* results = List(FindMember(document, {"response", "search_results"}));
      results != nullptr && !results->empty())
    return true;
  const json::array* fragments = List(FindMember(document, {"response", "fragments"}));
  if (fragments == nullptr) return false;
  for (const json::value& fragment : *fragments) {
    if (FindMember(fragment, {"results"}) != nullptr || FindMember(fragment, {"result"}) != nullptr) return true;
  }
  return false;
}

void AppendCitations(const json::value& document, const std::vector<CitationMarkers::Mark>& marks,
                     std::vector<ChatEvent>& events) {
  Citations citations(events);
  const json::array* fragments = List(FindMember(document, {"response", "fragments"}));
  const json::array* results = List(FindMember(document, {"response", "search_results"}));
  for (const CitationMarkers::Mark& mark : marks) {
    if (!mark.by_index && fragments != nullptr) AddReference(*fragments, mark, citations);
    if (!mark.by_index) continue;
    if (results != nullptr) AddNumbered(*results, mark, citations);
    if (fragments == nullptr) continue;
    for (const json::value& fragment : *fragments) {
      if (const json::array* found = List(FindMember(fragment, {"results"}))) AddNumbered(*found, mark, citations);
    }
  }
}

}  // namespace switchyard::deepseek
