// The sources of an answer, collected from the stream's events in all their spellings.
//
// Pure. Source: protocol notes of Metaso, section 4.1.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "boost/json/value.hpp"
#include "services/metaso/answer_text.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard::metaso {

class References {
 public:
  /// A complete list: what was known before goes.
  void Set(const boost::json::value* list);
  /// Further references, or known ones anew.
  void Merge(const boost::json::value* list);
  /// One more.
  void Add(const boost::json::value& item);

  /// Appends a citation for every mark whose reference has an address.
  void AppendCitations(const std::vector<AnswerText::Mark>& marks, std::vector<chat::v1::ChatEvent>& events) const;

 private:
  struct Reference {
    std::string url = {};  // empty: it keeps its number and is not shown
    std::string title = {};
    std::string snippet = {};
  };
  void Put(const boost::json::value& item, int64_t position);

  std::map<int64_t, Reference> by_number_;
};

}  // namespace switchyard::metaso
