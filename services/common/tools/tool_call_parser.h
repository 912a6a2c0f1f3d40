// Finds the tool calls in what a model writes: a push tokenizer, the same for any chunking. Pure.
//
//   ToolCallParser parser(ToolSet::Of(request, "qwen"));
//   parser.Feed(text, pieces);
//   if (parser.over()) … nothing that follows is of interest …
//   parser.Finish(/*truncated=*/false, pieces);
//   if (!parser.fault().ok()) … a call that had begun to go out went wrong …
//
// Text goes out up to the first character that could open a call. A call begins to go out with the first of its
// arguments that cannot be wrong any more; what goes wrong before is text, what goes wrong after is a fault.
//
// Not a call, whatever it looks like: what stands in a code fence, in `code`, behind a '>' at the start of a line, in
// quotation marks, or after the model began to write other parties' turns. A name that is none of the tools', arguments
// that do not fit, and a block with anything else in it are text, and so is all that follows: what looks like a second
// call there may be the first one's content. What is said after a call ends the answer: a model can only have made it
// up.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/common/tools/lenient_json.h"
#include "services/common/tools/tool_set.h"

namespace switchyard {

class ToolCallParser {
 public:
  struct Piece {
    enum class Kind { kText, kBegin, kArguments, kEnd };
    Kind kind;
    std::string text;  // for kBegin the tool's name; for kEnd empty
  };
  using Pieces = std::vector<Piece>;

  explicit ToolCallParser(std::shared_ptr<ToolSet> tools);
  ToolCallParser(ToolCallParser&&) noexcept;
  ToolCallParser& operator=(ToolCallParser&&) noexcept;
  ~ToolCallParser();

  void Feed(absl::string_view text, Pieces& out);
  /// @param truncated the platform cut the answer short
  void Finish(bool truncated, Pieces& out);

  /// After a fault, after text behind a call, and after the one call that may come.
  bool over() const { return state_ == State::kOver; }
  /// UPSTREAM_CHANGED, cause `tool_call_invalid`, naming the tool.
  const absl::Status& fault() const { return fault_; }
  /// Calls that went out whole.
  int calls() const { return calls_; }
  /// Whether a call began to go out and was cut off.
  bool cut() const { return cut_; }

 private:
  enum class State {
    kText,       // outside
    kLead,       // at the answer's start: perhaps a fence around nothing but calls
    kWhole,      // very likely such a fence
    kStart,      // behind what opens a call
    kBodyFence,  // the rest of the line of a fence inside
    kTag,        // <…> inside
    kName,       // a name that stands for itself
    kJson,       // a call as an object, or the arguments as one
    kMembers,    // between the tags of the arguments
    kKey,        // the text of <arg_key>
    kValue,      // an argument's text
    kAfter,      // behind a call
    kBotched,    // what is left of something that was none
    kOver,
  };
  enum class Tag { kOpen, kClose, kCall, kMember, kKey, kValue, kSeparator, kUnknown };
  class Call;

  void Step(absl::string_view c, Pieces& out);
  // Outside.
  void InText(absl::string_view c, Pieces& out);
  void TextOut(absl::string_view c, Pieces& out);
  void EndRun();
  bool quoted() const;
  void ReleaseCandidate(Pieces& out);
  void OpenBlock();
  void InLead(absl::string_view c, Pieces& out);
  void InWhole(absl::string_view c, Pieces& out);
  void ReleaseWhole(Pieces& out);
  void FinishWhole(bool truncated, Pieces& out);
  // Inside.
  void AtStart(absl::string_view c, Pieces& out);
  void InBodyFence(absl::string_view c, Pieces& out);
  void BeginTag(State from);
  void InTag(absl::string_view c, Pieces& out);
  void EndTag(Pieces& out);
  Tag Classify(std::string& word) const;
  void TagAtStart(Tag tag, const std::string& word, Pieces& out);
  void TagAfterName(Tag tag, const std::string& word, Pieces& out);
  void TagInMembers(Tag tag, const std::string& word, Pieces& out);
  void TagAfter(Tag tag, const std::string& word, Pieces& out);
  void InName(absl::string_view c, Pieces& out);
  bool Resolve(absl::string_view written, Pieces& out);
  void InMembers(absl::string_view c, Pieces& out);
  void BeginMember(const std::string& key, bool pair, Pieces& out);
  void InTagText(absl::string_view c, Pieces& out);
  void TagText(absl::string_view c, Pieces& out);
  void BeginObject(Pieces& out);
  void PushJson(absl::string_view c, Pieces& out);
  void EndJson(Pieces& out);
  void After(absl::string_view c, Pieces& out);
  // The fate of a call.
  bool Check(Pieces& out);
  bool Confirm(Pieces& out);
  void Botch(absl::string_view why, Pieces& out);
  void EndInside(bool truncated, Pieces& out);
  void Over(bool talked);

  std::shared_ptr<ToolSet> tools_;
  State state_ = State::kText;
  absl::Status fault_;
  int calls_ = 0;
  bool cut_ = false;
  bool inner_ = false;   // reads the inside of a fence
  bool talked_ = false;  // something was said after a call
  std::string partial_;  // of a code point

  // The text outside, as far as it says what is quoted.
  std::string candidate_;  // the start of what may open a call
  std::string space_;      // in front of everything
  bool begun_ = false;     // there was more than space
  std::string line_;       // the start of this line
  bool line_blank_ = true;
  bool block_quote_ = false;
  std::string last_;
  char run_ = 0;  // a run of backticks or tildes
  size_t run_length_ = 0;
  bool run_leads_ = false;  // it is the first of its line
  char fence_ = 0;
  size_t fence_length_ = 0;
  bool fence_opening_ = false;  // on its first line
  bool fence_closing_ = false;  // perhaps on its last
  size_t ticks_ = 0;            // around `code`
  bool others_speak_ = false;
  bool whole_closed_ = false;
  bool no_lead_ = false;

  // Inside a block.
  std::string raw_;    // all of it since it, or its last call, began, while it may yet be text
  bool early_ = true;  // nothing of a call has been seen
  bool open_ = false;  // no closing tag since the opening one
  bool list_ = false;  // calls in [ ]
  int nested_ = 0;     // opening tags in a row
  bool fence_inside_ = false;
  State after_fence_ = State::kStart;
  State tag_from_ = State::kStart;
  std::string tag_;
  std::string name_;
  bool name_over_ = false;
  std::string text_end_;  // what may be the closing tag of a text
  std::string key_;
  bool pair_ = false;  // the value is an <arg_value>
  std::unique_ptr<Call> call_;
  bool pending_ = false;  // a call is whole, if what follows lets it be
  int extra_braces_ = 0;
};

}  // namespace switchyard
