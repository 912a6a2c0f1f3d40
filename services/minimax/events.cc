#include "services/minimax/events.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/utf8.h"
#include "services/minimax/responses.h"

namespace switchyard::minimax {

namespace json = boost::json;

namespace {

constexpr int64_t kGenerating = 1;
constexpr int64_t kFromAgent = 2;
constexpr int64_t kAlsoFromAgent = 10;
constexpr int kPollsToBelieve = 3;
constexpr char kReplacement[] = "\xEF\xBF\xBD";

absl::Status Changed(absl::string_view what) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("minimax's answer was not understood: ", what),
                   {.cause = "detail"});
}

const json::value& Holder(const json::value& detail) {
  const json::value* inner = FindMember(detail, {"data"});
  return FindMember(detail, {"messages"}) == nullptr && inner != nullptr && inner->is_object() ? *inner : detail;
}

/// The text behind the first `code_points`; empty if there are no more.
absl::string_view Behind(absl::string_view text, int64_t code_points) {
  while (code_points > 0 && !text.empty()) {
    text.remove_prefix(std::max<size_t>(1, Utf8SequenceLength(text)));
    --code_points;
  }
  return text;
}

int64_t Number(absl::string_view digits) {
  int64_t number = 0;
  return absl::SimpleAtoi(digits, &number) ? number : 0;
}

}  // namespace

struct PollDecoder::Received {
  int64_t type = 0;
  std::string id = {};
  int64_t timestamp = 0;
  absl::string_view text = {}, reasoning = {};
};

std::set<std::string> MessageIds(const json::value& detail) {
  std::set<std::string> ids;
  const json::value* messages = FindMember(Holder(detail), {"messages"});
  if (messages == nullptr || !messages->is_array()) return ids;
  for (const json::value& message : messages->get_array()) {
    if (auto id = IdOf(FindMember(message, {"msg_id"}))) ids.insert(id->digits);
  }
  return ids;
}

absl::Status PollDecoder::Collect(const json::value& detail, std::vector<Received>& received) const {
  const json::value* messages = FindMember(Holder(detail), {"messages"});
  if (messages == nullptr || messages->is_null()) return absl::OkStatus();  // nothing has been said yet
  if (!messages->is_array()) return Changed("its messages are no list");
  for (const json::value& message : messages->get_array()) {
    Received one;
    one.type = JsonWhole(FindMember(message, {"msg_type"})).value_or(0);
    if (auto id = IdOf(FindMember(message, {"msg_id"}))) one.id = id->digits;
    one.timestamp = JsonWhole(FindMember(message, {"timestamp"})).value_or(0);
    if (!IsAnswer(one)) continue;
    const json::value* text = FindMember(message, {"msg_content"});
    if (text != nullptr && !text->is_null() && !text->is_string()) return Changed("its text is no text");
    one.text = JsonText(text);
    one.reasoning = JsonText(FindMember(message, {"extra_info", "thinking_content"}));
    received.push_back(std::move(one));
  }
  // The order of the list differs from client to client.
  std::stable_sort(received.begin(), received.end(), [](const Received& a, const Received& b) {
    return std::tuple(a.timestamp, Number(a.id)) < std::tuple(b.timestamp, Number(b.id));
  });
  return absl::OkStatus();
}

bool PollDecoder::IsAnswer(const Received& received) const {
  if (received.type != kFromAgent && received.type != kAlsoFromAgent) return false;
  if (received.id.empty()) return true;
  if (received.id == options_.message.digits || options_.before.count(received.id) != 0) return false;
  return Number(received.id) >= Number(options_.message.digits);
}

std::string PollDecoder::Gain(absl::string_view text, Known& known) {
  // A character that the poll cut comes whole with a later one.
  while (absl::ConsumeSuffix(&text, kReplacement)) {
  }
  // Where the text was put differently, what is out stands, and the rest follows it.
  const absl::string_view gained = absl::StartsWith(text, known.text) && CountCodePoints(known.text) == known.given
                                       ? text.substr(known.text.size())
                                       : Behind(text, known.given);
  if (known.text != text) ++progress_;
  known.text = std::string(text);
  known.given += CountCodePoints(gained);
  return std::string(gained);
}

absl::Status PollDecoder::Feed(const json::value& detail, std::vector<ChatEvent>& events) {
  if (complete_) return absl::OkStatus();
  std::vector<Received> received;
  if (auto status = Collect(detail, received); !status.ok()) return status;
  const int64_t before = progress_;
  for (const Received& one : received) {
    Message& message = messages_[one.id];
    if (std::string gained = Gain(one.reasoning, message.reasoning); !gained.empty()) {
      if (has_reasoning_ && last_reasoning_ != one.id) gained.insert(0, "\n\n");
      last_reasoning_ = one.id;
      has_reasoning_ = true;
      events.emplace_back().mutable_reasoning()->set_text(std::move(gained));
    }
    if (std::string gained = Gain(one.text, message.text); !gained.empty()) {
      if (has_text_ && last_text_ != one.id) gained.insert(0, "\n\n");
      last_text_ = one.id;
      has_text_ = true;
      events.emplace_back().mutable_text()->set_text(std::move(gained));
    }
  }
  const int64_t status = JsonWhole(FindMember(Holder(detail), {"chat", "chat_status"})).value_or(0);
  return CheckEnd(status, progress_ != before);
}

absl::Status PollDecoder::CheckEnd(int64_t chat_status, bool changed) {
  if (chat_status == kGenerating) {
    still_ = empty_ = 0;
    return absl::OkStatus();
  }
  const bool says_nothing = chat_status == 0;
  if (has_text_) {
    still_ = changed ? 0 : still_ + 1;
    complete_ = !says_nothing || still_ >= kPollsToBelieve;
    return absl::OkStatus();
  }
  if (says_nothing || ++empty_ < kPollsToBelieve) return absl::OkStatus();
  return MakeError(Reason::REASON_UPSTREAM_EMPTY, "minimax ended its answer without having said anything",
                   {.cause = "status"});
}

}  // namespace switchyard::minimax
