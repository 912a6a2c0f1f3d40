#include "edge/text_completion_request.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "edge/request_body.h"
#include "edge/request_parts.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;
using chat::v1::ChatRequest;

namespace {

// As many answers as an account's queue is deep.
constexpr int64_t kMaxAnswers = 8;

std::vector<std::string> ReadPrompts(Fields& fields) {
  constexpr absl::string_view kExpected = "a string or a list of strings";
  constexpr absl::string_view kTokens = "tokens cannot be read here: send the prompt as text";
  std::vector<std::string> prompts;
  const json::value* prompt = fields.RequiredRaw("prompt");
  if (prompt == nullptr) return prompts;
  if (prompt->is_string()) return {std::string(ToAbsl(prompt->get_string()))};
  if (!prompt->is_array()) {
    fields.Wrong("prompt", kExpected);
    return prompts;
  }
  const json::array& list = prompt->get_array();
  if (list.empty()) fields.Fault("prompt", "must hold at least one prompt");
  for (const json::value& one : list) {
    if (one.is_number() || one.is_array()) fields.Fault("prompt", kTokens);
    if (!one.is_string()) fields.Wrong("prompt", kExpected);
    if (!fields.ok()) return prompts;
    prompts.emplace_back(ToAbsl(one.get_string()));
  }
  return prompts;
}

void ReadUnsupported(Fields& fields, ChatRequest& request, int64_t n) {
  if (!fields.String("suffix").value_or("").empty())
    AddUnsupported(request, "suffix", "no platform fills in a gap before given text");
  if (fields.Int("logprobs", 0, 5))
    AddUnsupported(request, "logprobs", "no platform gives the probabilities of its tokens");
  // As many as are wanted is no choice among them.
  if (const auto best = fields.Int("best_of"); best && *best != 1 && *best != n)
    AddUnsupported(request, "best_of", "no platform says which of several answers is the best");
  if (const json::value* bias = fields.Raw("logit_bias"); bias != nullptr && !IsNeutral(*bias))
    AddUnsupported(request, "logit_bias", "no platform lets its tokens be weighted");
}

void ReadCall(const json::value& body, TextCompletionCall& call, Reading& reading) {
  constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
  Fields fields(JsonReader(body), reading);
  ChatRequest common;
  common.set_model(fields.Required("model"));
  std::vector<std::string> prompts = ReadPrompts(fields);
  const int64_t n = fields.Int("n", 1, kMaxAnswers).value_or(1);
  if (static_cast<int64_t>(prompts.size()) * n > kMaxAnswers) {
    fields.Fault(n > 1 ? "n" : "prompt",
                 absl::StrCat("a request may ask for at most ", kMaxAnswers, " answers, all prompts together"));
  }
  call.n = static_cast<int>(n);
  call.stream = fields.Bool("stream").value_or(false);
  if (const json::value* options = fields.Raw("stream_options")) {
    Fields inner(JsonReader(*options, "stream_options"), reading);
    call.include_usage = inner.Bool("include_usage").value_or(false);
    inner.Raw("include_obfuscation");
    if (!call.stream) fields.Fault("stream_options", "is allowed only with stream: true");
  }
  ReadSampling(fields, common);
  ReadStop(fields, common);
  if (auto limit = fields.Int("max_tokens", 1, kNoLimit)) common.set_max_output_tokens(*limit);
  if (auto user = fields.String("user")) common.set_end_user(*std::move(user));
  ReadUnsupported(fields, common, n);
  ReadRelayFields(fields, common);
  const bool conversation = common.keep_conversation() || !common.conversation_id().empty();
  if (conversation && static_cast<int64_t>(prompts.size()) * n > 1) {
    fields.Fault(n > 1 ? "n" : "prompt",
                 "a conversation has one answer a turn: leave out keep_conversation and conversation_id");
  }
  const bool echo = fields.Bool("echo").value_or(false);
  for (std::string& prompt : prompts) {
    ChatRequest& request = call.requests.emplace_back(common);
    auto& message = *request.add_messages();
    message.set_role(chat::v1::ROLE_USER);
    message.add_parts()->set_text(prompt);
    if (echo) call.echo.push_back(std::move(prompt));
  }
}

}  // namespace

absl::StatusOr<TextCompletionCall> ParseTextCompletion(absl::string_view body) {
  auto value = ParseBody(body);
  if (!value.ok()) return value.status();
  TextCompletionCall call;
  call.names = {{"messages", "prompt"},
                {"messages[0]", "prompt"},
                {"messages[0].content", "prompt"},
                {"messages[0].content[0]", "prompt"},
                {"max_completion_tokens", "max_tokens"}};
  Reading reading;
  ReadCall(*value, call, reading);
  if (!reading.fault.ok()) return reading.fault;
  for (ChatRequest& request : call.requests) {
    for (const std::string& name : reading.ignored) request.add_ignored_fields(name);
  }
  return call;
}

}  // namespace switchyard
