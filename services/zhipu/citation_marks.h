// Turns the marks of citations in the answer's text, "【turn0search0】", into numbered links to what they name.
//
//   CitationMarks marks;
//   marks.AddSource("turn0search0", {"https://…", "Weather"});
//   std::string text = marks.Feed("Sunny【turn0sea");    // "Sunny"
//   text = marks.Feed("rch0】.");                         // " [1](https://…)."
//
// Pure. Source: protocol notes of Zhipu, sections 4.3 and 4.5.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace switchyard::zhipu {

struct Source {
  std::string url = {};
  std::string title = {};
  std::string snippet = {};
  int number = 0;  // in the order of use, from 1; 0 before
};

class CitationMarks {
 public:
  struct Link {
    Source source = {};
    int64_t start = 0, end = 0;  // code points of the text given out
  };

  void AddSource(const std::string& key, Source source) { sources_.emplace(key, std::move(source)); }

  /// Takes the next piece of the text. What may be the start of a mark is held back.
  std::string Feed(absl::string_view text);
  /// What was held back turned out to be text.
  std::string Flush();

  const std::vector<Link>& links() const { return links_; }

 private:
  void Give(absl::string_view text, std::string& out);
  void GiveMark(absl::string_view inside, std::string& out);

  std::map<std::string, Source> sources_;
  std::vector<Link> links_;
  std::string held_;
  int64_t given_ = 0;  // code points
  int used_ = 0;
};

}  // namespace switchyard::zhipu
