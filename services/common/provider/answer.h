// What happens to an answer between the platform and the caller, whichever platform it is: reasoning formats, tool
// calls, stop sequences, token limits, usage. Pure: events in, events out.
//
//   AnswerFilter filter({.format = format, .stop = {"\n\n"}, .max_output_tokens = 100});
//   filter.Feed(std::move(event), out);
//   if (filter.over()) … tell the platform to stop …
//   absl::Status status = filter.Finish(reason, prompt_tokens, out);
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/common/provider/tokens.h"
#include "services/common/tools/tool_call_parser.h"
#include "services/common/tools/tool_set.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

class AnswerFilter {
 public:
  struct Options {
    chat::v1::ReasoningFormat format = chat::v1::REASONING_FORMAT_THINK;
    std::vector<std::string> stop = {};             // none is empty
    std::optional<int64_t> max_output_tokens = {};  // at least 1
    std::shared_ptr<ToolSet> tools = {};            // none: nothing is taken for a call
    std::function<std::string()> new_call_id = {};  // with tools
  };
  using Events = std::vector<chat::v1::ChatEvent>;

  explicit AnswerFilter(Options options);

  /// Takes one event of the platform and appends what the caller gets of it. No effect once over(), or after a fault.
  void Feed(chat::v1::ChatEvent event, Events& out);

  /// Begins with another answer in place of the one so far. What was thought for that one still counts, and usage is
  /// estimated from now on.
  void StartOver();

  /// Why the answer is over before the platform says so; unset while it is not.
  std::optional<chat::v1::FinishReason> over() const { return over_; }

  /// Why there is no answer after all, though some of it may have gone out: a call that went wrong (UPSTREAM_CHANGED,
  /// cause `tool_call_invalid`), or none where one is due (UPSTREAM_CHANGED, cause `tool_call_missing`).
  const absl::Status& fault() const { return fault_; }

  /// Ends the answer: what was held back, the closing mark, usage and `finished`. over() beats `platform`.
  /// @return fault(), then without usage and `finished`
  absl::Status Finish(chat::v1::FinishReason platform, int64_t prompt_tokens, Events& out);

  /// Whether the platform gave anything that counts as an answer; a stop sequence at its very start does, a refusal
  /// not.
  bool has_answer() const { return has_text_ || over_; }
  /// The platform's own words for refusing; empty if there were none.
  const std::string& refusal() const { return refusal_; }

 private:
  void Text(std::string text, Events& out);
  void TakePieces(const ToolCallParser::Pieces& pieces, Events& out);
  void BeginCall(const std::string& name, Events& out);
  void CallArguments(absl::string_view arguments, Events& out);
  void Content(absl::string_view text, Events& out);
  chat::v1::FinishReason FinishTools(chat::v1::FinishReason platform, Events& out);
  void Reasoning(std::string text, Events& out);
  void Emit(absl::string_view text, Events& out);
  absl::string_view WithinLimit(absl::string_view text);
  void Inject(absl::string_view text, Events& out);
  void CloseReasoning(Events& out);
  size_t HeldBack() const;

  Options options_;
  std::optional<chat::v1::FinishReason> over_;
  absl::Status fault_;
  std::optional<ToolCallParser> calls_;
  int call_ = -1;           // the index of the newest
  std::string stopped_by_;  // the stop sequence that made it over
  std::string held_;        // the tail of the text that may be the start of a stop sequence
  enum class Block { kNotOpened, kOpen, kClosed };
  Block block_ = Block::kNotOpened;  // reasoning inside the text
  int64_t injected_chars_ = 0;       // code points that the platform's own text does not have
  bool has_text_ = false;
  std::string refusal_;
  TokenEstimate text_tokens_;
  TokenEstimate reasoning_tokens_;
  chat::v1::Usage measured_;
  bool started_over_ = false;
};

}  // namespace switchyard
