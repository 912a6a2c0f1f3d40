#include "edge/messages_request.h"

#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "edge/messages_input.h"
#include "edge/request_body.h"
#include "edge/request_parts.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;
using chat::v1::ChatRequest;
using chat::v1::ResponseFormat;
using chat::v1::ToolChoice;

namespace {

constexpr size_t kMaxTools = 128;
constexpr size_t kMaxStops = 64;
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

constexpr std::array kToolModes = {
    Word<ToolChoice::Mode>{"auto", ToolChoice::MODE_AUTO},
    Word<ToolChoice::Mode>{"any", ToolChoice::MODE_REQUIRED},
    Word<ToolChoice::Mode>{"tool", ToolChoice::MODE_NAMED},
    Word<ToolChoice::Mode>{"none", ToolChoice::MODE_NONE},
};
enum class Thinking { kEnabled, kDisabled, kAdaptive };
constexpr std::array kThinkings = {
    Word<Thinking>{"enabled", Thinking::kEnabled},
    Word<Thinking>{"disabled", Thinking::kDisabled},
    Word<Thinking>{"adaptive", Thinking::kAdaptive},
    Word<Thinking>{"between_tools", Thinking::kAdaptive},
};
constexpr std::array kDisplays = {Word<bool>{"summarized", true}, Word<bool>{"omitted", false}};
constexpr std::array kOutputFormats = {Word<ResponseFormat::Kind>{"json_schema", ResponseFormat::KIND_JSON_SCHEMA}};
// Accepted and without effect here: how Anthropic bills, caches or places a request is of no meaning to a relay.
constexpr std::array<absl::string_view, 7> kNeutral = {
    "cache_control", "diagnostics", "inference_geo", "service_tier", "speed", "user_profile_id", "workspace_id"};

/// Effort by the tokens that a caller lets be thought.
ReasoningOptions::Effort EffortOf(int64_t budget_tokens) {
  constexpr int64_t kLow = 4096, kMedium = 16384;
  if (budget_tokens < kLow) return ReasoningOptions::EFFORT_LOW;
  return budget_tokens < kMedium ? ReasoningOptions::EFFORT_MEDIUM : ReasoningOptions::EFFORT_HIGH;
}

void ReadThinking(Fields& fields, ChatRequest& request, Reading& reading) {
  // Thinking is a block of its own, unless the caller wants it elsewhere.
  auto& reasoning = *request.mutable_reasoning();
  reasoning.set_format(chat::v1::REASONING_FORMAT_SEPARATE);
  const json::value* value = fields.Raw("thinking");
  if (value == nullptr) return;
  Fields thinking(JsonReader(*value, "thinking"), reading);
  thinking.Required("type");
  const auto type = thinking.OneOf("type", kThinkings);
  const auto budget = thinking.Int("budget_tokens", 1, kNoLimit);
  if (!thinking.OneOf("display", kDisplays).value_or(true)) reasoning.set_format(chat::v1::REASONING_FORMAT_HIDDEN);
  if (type == Thinking::kDisabled) reasoning.set_effort(ReasoningOptions::EFFORT_NONE);
  if (type != Thinking::kEnabled) return;
  if (!budget) return thinking.Fault("budget_tokens", "is missing");
  reasoning.set_effort(EffortOf(*budget));
}

void ReadOutput(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::value* value = fields.Raw("output_config");
  if (value == nullptr) return;
  Fields output(JsonReader(*value, "output_config"), reading);
  const auto effort = output.OneOf("effort", kReasoningEfforts);
  auto& reasoning = *request.mutable_reasoning();
  if (effort && reasoning.effort() != ReasoningOptions::EFFORT_NONE) reasoning.set_effort(*effort);
  const json::value* inner = output.Raw("format");
  if (inner == nullptr) return;
  Fields format(JsonReader(*inner, "output_config.format"), reading);
  format.Required("type");
  auto& out = *request.mutable_response_format();
  if (auto kind = format.OneOf("type", kOutputFormats)) out.set_kind(*kind);
  out.set_name("output");
  if (format.RequiredRaw("schema") != nullptr) out.set_schema(ReadObject(format, "schema"));
}

void ReadWebSearch(Fields& tool, ChatRequest& request, Reading& reading) {
  auto& search = *request.mutable_web_search();
  search.set_enabled(true);
  ReadUserLocation(tool, search, reading);
  for (const absl::string_view key : {"allowed_domains", "blocked_domains"}) {
    if (const json::value* domains = tool.Raw(key); domains != nullptr && !IsNeutral(*domains))
      AddUnsupported(request, tool.PathOf(key), "no platform lets its search be narrowed to sites");
  }
  for (const absl::string_view key : {"name", "max_uses", "strict", "defer_loading", "allowed_callers"}) tool.Raw(key);
}

void ReadTools(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::array* tools = fields.List("tools", "a list of tools", kMaxTools);
  for (size_t i = 0; tools != nullptr && i < tools->size() && fields.ok(); ++i) {
    Fields tool(JsonReader((*tools)[i], fields.PathOf("tools", i)), reading);
    const std::string type = tool.String("type").value_or("custom");
    tool.Raw("cache_control");
    if (!tool.ok()) return;
    if (absl::StartsWith(type, "web_search_")) {
      ReadWebSearch(tool, request, reading);
    } else if (type == "custom") {
      auto& out = *request.add_tools();
      out.set_name(tool.Required("name"));
      if (auto description = tool.String("description")) out.set_description(*std::move(description));
      if (auto strict = tool.Bool("strict")) out.set_strict(*strict);
      if (tool.RequiredRaw("input_schema") != nullptr) out.set_parameters(ReadObject(tool, "input_schema"));
    } else {
      AddUnsupported(
          request, tool.PathOf("type"),
          absl::StrCat("tools of the type ", type.substr(0, 64), " are not here: custom and web_search are"));
    }
  }
}

void ReadToolChoice(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::value* value = fields.Raw("tool_choice");
  if (value == nullptr) return;
  Fields choice(JsonReader(*value, "tool_choice"), reading);
  choice.Required("type");
  const auto mode = choice.OneOf("type", kToolModes);
  if (choice.Bool("disable_parallel_tool_use").value_or(false)) request.set_parallel_tool_calls(false);
  const std::string name = mode == ToolChoice::MODE_NAMED ? choice.Required("name") : "";
  if (!mode) return;
  if (request.web_search().enabled()) {
    // The web search is one of the tools; where it is the one that must be used, it is on, and that is all.
    if (*mode == ToolChoice::MODE_NONE) request.mutable_web_search()->set_enabled(false);
    if (name == "web_search" || (*mode == ToolChoice::MODE_REQUIRED && request.tools_size() == 0)) return;
  }
  request.mutable_tool_choice()->set_mode(*mode);
  request.mutable_tool_choice()->set_name(name);
}

void ReadStops(Fields& fields, ChatRequest& request) {
  const json::array* stops = fields.List("stop_sequences", "a list of strings", kMaxStops);
  for (size_t i = 0; stops != nullptr && i < stops->size(); ++i) {
    if (!(*stops)[i].is_string()) return fields.Wrong("stop_sequences", "a list of strings");
    request.add_stop(std::string(ToAbsl((*stops)[i].get_string())));
  }
}

void ReadCall(const json::value& body, MessagesCall& call, Reading& reading) {
  ChatRequest& request = call.request;
  Fields fields(JsonReader(body), reading);
  request.set_model(fields.Required("model"));
  const auto limit = fields.Int("max_tokens", 1, kNoLimit);
  if (limit) request.set_max_output_tokens(*limit);
  if (!limit && fields.ok()) fields.Fault("max_tokens", "is missing");
  ReadMessages(fields, request, call.names, reading);
  call.stream = fields.Bool("stream").value_or(false);
  auto& sampling = *request.mutable_sampling();
  if (auto value = fields.Double("temperature")) sampling.set_temperature(*value);
  if (auto value = fields.Double("top_p")) sampling.set_top_p(*value);
  if (auto value = fields.Int("top_k", 0, kNoLimit)) sampling.set_top_k(*value);
  ReadStops(fields, request);
  ReadTools(fields, request, reading);
  ReadToolChoice(fields, request, reading);
  ReadThinking(fields, request, reading);
  ReadOutput(fields, request, reading);
  if (const json::value* metadata = fields.Raw("metadata")) {
    Fields inner(JsonReader(*metadata, "metadata"), reading);
    if (auto user = inner.String("user_id")) request.set_end_user(*std::move(user));
  }
  for (const auto& [key, why] : {std::pair("container", "no code is run here"),
                                 std::pair("mcp_servers", "no tools are called on behalf of a caller here")}) {
    if (const json::value* value = fields.Raw(key); value != nullptr && !IsNeutral(*value))
      AddUnsupported(request, key, why);
  }
  ReadRelayFields(fields, request);
  for (const absl::string_view name : kNeutral) fields.Raw(name);
}

}  // namespace

absl::StatusOr<MessagesCall> ParseMessages(absl::string_view body) {
  auto value = ParseBody(body);
  if (!value.ok()) return value.status();
  MessagesCall call;
  call.names = {{"max_completion_tokens", "max_tokens"},
                {"stop", "stop_sequences"},
                {"reasoning_effort", "output_config.effort"},
                {"response_format", "output_config.format"},
                {"response_format.json_schema", "output_config.format"}};
  call.names.AddEnding(".file.file_id", ".source.file_id");
  call.names.AddEnding(".file.url", ".source.url");
  call.names.AddEnding(".image_url.url", ".source.url");
  Reading reading;
  ReadCall(*value, call, reading);
  if (!reading.fault.ok()) return reading.fault;
  for (const std::string& name : reading.ignored) call.request.add_ignored_fields(name);
  return call;
}

}  // namespace switchyard
