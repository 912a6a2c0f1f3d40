// A polled chat as events of the chat contract: each poll holds all of the answer so far, and what it gained comes out.
//
//   PollDecoder decoder({.message = sent.message});
//   auto status = decoder.Feed(detail, events);   // once a poll
//   if (decoder.complete()) …
//
// Pure. Source: protocol notes of MiniMax, section 4.1.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "boost/json/value.hpp"
#include "services/common/provider/provider.h"
#include "services/minimax/requests.h"

namespace switchyard::minimax {

/// The ids of all messages in a chat's detail.
std::set<std::string> MessageIds(const boost::json::value& detail);

class PollDecoder {
 public:
  struct Options {
    ChatId message = {};                // of the user's own message in this turn; what is older is not the answer
    std::set<std::string> before = {};  // messages of earlier turns
  };
  explicit PollDecoder(Options options) : options_(std::move(options)) {}

  /// Takes what get_chat_detail said. Errors: UPSTREAM_CHANGED if it has no messages or text that is none;
  /// UPSTREAM_EMPTY if the platform has finished and said nothing.
  absl::Status Feed(const boost::json::value& detail, std::vector<ChatEvent>& events);

  /// The answer has ended: nothing that follows belongs to it.
  bool complete() const { return complete_; }
  /// Whether the answer's text has begun.
  bool has_text() const { return has_text_; }
  /// Whether any text or reasoning came out.
  bool has_content() const { return has_text_ || has_reasoning_; }
  /// Grows with every poll that brought something new.
  int64_t progress() const { return progress_; }

 private:
  // What is known of one cumulative text.
  struct Known {
    std::string text = {};
    int64_t given = 0;  // code points
  };
  struct Message {
    Known text, reasoning;
  };
  struct Received;

  bool IsAnswer(const Received& received) const;
  absl::Status Collect(const boost::json::value& detail, std::vector<Received>& received) const;
  std::string Gain(absl::string_view text, Known& known);
  absl::Status CheckEnd(int64_t chat_status, bool changed);

  const Options options_;
  std::map<std::string, Message> messages_;
  std::string last_text_, last_reasoning_;  // the messages that spoke last
  bool has_text_ = false, has_reasoning_ = false;
  bool complete_ = false;
  int still_ = 0;  // polls in a row without a change, where the platform does not say whether it has finished
  int empty_ = 0;  // polls in a row that say finished and have no text
  int64_t progress_ = 0;
};

}  // namespace switchyard::minimax
