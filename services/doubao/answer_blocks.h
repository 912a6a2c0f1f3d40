// The blocks of an answer: its text, its thinking, what was found and what was drawn.
//
// Pure. Source: protocol notes of Doubao, section 4.1 ("Algorithm").
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "boost/json/value.hpp"
#include "services/common/provider/provider.h"

namespace switchyard::doubao {

class AnswerBlocks {
 public:
  using Events = std::vector<ChatEvent>;

  /// One item of a `content_block` list; what it adds goes to `events`.
  void Take(const boost::json::value& block, Events& events);
  /// A piece without a block: it goes on with the text that came last.
  void Append(absl::string_view text, Events& events);
  /// The text of a summary, for an answer of which nothing else came.
  void TakeInstead(absl::string_view text, Events& events);
  /// What belongs behind the text: pictures, then sources. Call it once.
  void Finish(Events& events);

  void TakeThought(absl::string_view text, Events& events) { Show(true, text, events); }
  void TakeText(absl::string_view text, Events& events) { Show(false, text, events); }
  void TakeSource(const boost::json::value& card);
  void TakePicture(const boost::json::value& creation);

  bool has_text() const { return has_text_; }
  bool has_content() const { return has_text_ || has_thought_; }

 private:
  struct TextBlock {
    bool thought = false;
    std::string text;   // as the platform has it
    std::string shown;  // as it was passed on
  };
  struct Source {
    std::string url, title, snippet;
  };

  void TakeTextBlock(const boost::json::value& block, const std::string& id, Events& events);
  void Update(TextBlock& block, absl::string_view added, Events& events);
  void Show(bool thought, absl::string_view text, Events& events);

  std::map<std::string, TextBlock> texts_;
  std::set<std::string> thinking_;  // ids of the blocks that hold thoughts
  std::string last_;                // id of the block that a piece without one goes on with
  bool last_thought_ = false;
  std::vector<Source> sources_;                                // by their first mention
  std::vector<std::pair<std::string, std::string>> pictures_;  // key and address
  int64_t text_length_ = 0;                                    // code points
  bool has_text_ = false;
  bool has_thought_ = false;
};

}  // namespace switchyard::doubao
