#include "edge/responses_request.h"

#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/serialize.hpp"
#include "edge/json_text.h"
#include "edge/request_body.h"
#include "edge/request_parts.h"
#include "edge/responses_input.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;
using chat::v1::ChatRequest;
using chat::v1::ResponseFormat;
using chat::v1::ToolChoice;

namespace {

constexpr size_t kMaxTools = 128;
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

constexpr std::array kToolModes = {
    Word<ToolChoice::Mode>{"none", ToolChoice::MODE_NONE},
    Word<ToolChoice::Mode>{"auto", ToolChoice::MODE_AUTO},
    Word<ToolChoice::Mode>{"required", ToolChoice::MODE_REQUIRED},
};
constexpr std::array kFormats = {
    Word<ResponseFormat::Kind>{"text", ResponseFormat::KIND_TEXT},
    Word<ResponseFormat::Kind>{"json_object", ResponseFormat::KIND_JSON_OBJECT},
    Word<ResponseFormat::Kind>{"json_schema", ResponseFormat::KIND_JSON_SCHEMA},
};
constexpr std::array kSummaries = {Word<bool>{"auto", true}, Word<bool>{"concise", true}, Word<bool>{"detailed", true}};
constexpr std::array kContextSizes = {Word<int>{"low", 0}, Word<int>{"medium", 0}, Word<int>{"high", 0}};
constexpr std::array kTruncations = {Word<int>{"auto", 0}, Word<int>{"disabled", 0}};
// What else may be included is of tools that are not here, so there is nothing to leave out.
constexpr std::array kIncludables = {
    Word<bool>{"file_search_call.results", true},
    Word<bool>{"web_search_call.results", true},
    Word<bool>{"web_search_call.action.sources", true},
    Word<bool>{"message.input_image.image_url", true},
    Word<bool>{"computer_call_output.output.image_url", true},
    Word<bool>{"code_interpreter_call.outputs", true},
    Word<bool>{"reasoning.encrypted_content", true},
    Word<bool>{"message.output_text.logprobs", false},
};
// Accepted and without effect here: how OpenAI bills, stores, caches or pads is of no meaning to a relay.
constexpr std::array<absl::string_view, 6> kNeutral = {
    "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "service_tier", "max_tool_calls", "store"};

bool IsWebSearch(absl::string_view type) {
  return absl::StartsWith(type, "web_search") && !absl::StartsWith(type, "web_search_call");
}

void ReadWebSearch(Fields& tool, ChatRequest& request, Reading& reading) {
  auto& search = *request.mutable_web_search();
  search.set_enabled(true);
  tool.OneOf("search_context_size", kContextSizes);
  if (auto size = tool.String("search_context_size")) search.set_context_size(*std::move(size));
  ReadUserLocation(tool, search, reading);
  if (const json::value* filters = tool.Raw("filters"); filters != nullptr && !IsNeutral(*filters))
    AddUnsupported(request, tool.PathOf("filters"), "no platform lets its search be narrowed to sites");
  tool.Raw("search_content_types");
}

/// @return the tool as the response repeats it
std::string ReadFunction(Fields& tool, ChatRequest& request) {
  auto& out = *request.add_tools();
  out.set_name(tool.Required("name"));
  const auto description = tool.String("description");
  const auto strict = tool.Bool("strict");
  if (description) out.set_description(*description);
  if (strict) out.set_strict(*strict);
  out.set_parameters(ReadObject(tool, "parameters"));
  std::string repeated = R"({"type":"function",)";
  Member(repeated, "name", out.name());
  repeated += ",";
  StringOrNull(repeated, "description", out.description(), description.has_value());
  absl::StrAppend(&repeated, ",\"parameters\":", out.parameters().empty() ? "null" : out.parameters(),
                  ",\"strict\":", strict ? (*strict ? "true" : "false") : "null", "}");
  return repeated;
}

/// @return the tools as the response repeats them
std::string ReadTools(Fields& fields, ChatRequest& request, Reading& reading) {
  std::string repeated = "[";
  const json::array* tools = fields.List("tools", "a list of tools", kMaxTools);
  for (size_t i = 0; tools != nullptr && i < tools->size() && fields.ok(); ++i) {
    if (i > 0) repeated += ",";
    Fields tool(JsonReader((*tools)[i], fields.PathOf("tools", i)), reading);
    const std::string type = tool.Required("type");
    if (!fields.ok()) break;
    if (type == "function") {
      repeated += ReadFunction(tool, request);
      continue;
    }
    repeated += json::serialize((*tools)[i]);
    if (IsWebSearch(type)) {
      ReadWebSearch(tool, request, reading);
    } else {
      AddUnsupported(
          request, tool.PathOf("type"),
          absl::StrCat("tools of the type ", type.substr(0, 64), " are not here: function and web_search are"));
    }
  }
  return repeated + "]";
}

void ReadAllowed(Fields& choice, ChatRequest& request, Reading& reading) {
  if (auto mode = choice.OneOf("mode", kToolModes)) request.mutable_tool_choice()->set_mode(*mode);
  const json::array* tools = choice.List("tools", "a list of tools", kMaxTools);
  if (tools == nullptr) return choice.Fault("tools", "is missing");
  for (size_t i = 0; i < tools->size() && choice.ok(); ++i) {
    Fields tool(JsonReader((*tools)[i], choice.PathOf("tools", i)), reading);
    const std::string type = tool.Required("type");
    if (type == "function") {
      request.mutable_tool_choice()->add_allowed(tool.Required("name"));
    } else if (!IsWebSearch(type)) {
      AddUnsupported(request, tool.PathOf("type"), "only functions and web_search can be allowed");
    }
  }
}

void ReadToolChoice(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::value* value = fields.Raw("tool_choice");
  if (value == nullptr) return;
  if (value->is_string()) {
    const auto mode = fields.OneOf("tool_choice", kToolModes);
    if (!mode) return;
    request.mutable_tool_choice()->set_mode(*mode);
    if (!request.has_web_search()) return;
    // The web search is one of the tools; where it is the only one, requiring a tool requires it, and it is on.
    if (*mode == ToolChoice::MODE_NONE) request.mutable_web_search()->set_enabled(false);
    if (*mode == ToolChoice::MODE_REQUIRED && request.tools_size() == 0) request.clear_tool_choice();
    return;
  }
  Fields choice(JsonReader(*value, "tool_choice"), reading);
  const std::string type = choice.Required("type");
  if (type == "function") {
    request.mutable_tool_choice()->set_mode(ToolChoice::MODE_NAMED);
    request.mutable_tool_choice()->set_name(choice.Required("name"));
  } else if (type == "allowed_tools") {
    ReadAllowed(choice, request, reading);
  } else if (IsWebSearch(type)) {
    request.mutable_web_search()->set_enabled(true);
  } else if (choice.ok()) {
    AddUnsupported(request, "tool_choice.type", "only a function, web_search or allowed_tools can be chosen");
  }
}

/// @return whether a summary was asked for
bool ReadReasoning(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::value* value = fields.Raw("reasoning");
  if (value == nullptr) return false;
  Fields object(JsonReader(*value, "reasoning"), reading);
  if (auto effort = object.OneOf("effort", kReasoningEfforts)) request.mutable_reasoning()->set_effort(*effort);
  const bool older = object.OneOf("generate_summary", kSummaries).value_or(false);
  return object.OneOf("summary", kSummaries).value_or(older);
}

void ReadFormat(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::value* value = fields.Raw("text");
  if (value == nullptr) return;
  Fields text(JsonReader(*value, "text"), reading);
  text.String("verbosity");
  const json::value* inner = text.Raw("format");
  if (inner == nullptr) return;
  Fields format(JsonReader(*inner, "text.format"), reading);
  format.Required("type");
  auto& out = *request.mutable_response_format();
  if (auto kind = format.OneOf("type", kFormats)) out.set_kind(*kind);
  if (out.kind() != ResponseFormat::KIND_JSON_SCHEMA) return;
  out.set_name(format.Required("name"));
  if (auto description = format.String("description")) out.set_description(*std::move(description));
  if (auto strict = format.Bool("strict")) out.set_strict(*strict);
  if (format.RequiredRaw("schema") != nullptr) out.set_schema(ReadObject(format, "schema"));
}

void ReadInclude(Fields& fields, ChatRequest& request) {
  const json::array* include = fields.List("include", "a list of strings", 64);
  for (size_t i = 0; include != nullptr && i < include->size(); ++i) {
    const json::value& one = (*include)[i];
    const std::string at = absl::StrCat("include[", i, "]");
    const auto known = std::find_if(kIncludables.begin(), kIncludables.end(), [&](const Word<bool>& word) {
      return one.is_string() && ToAbsl(one.get_string()) == word.word;
    });
    if (known == kIncludables.end()) return fields.Fault(absl::StrCat("include[", i, "]"), "is not known");
    if (!known->value) AddUnsupported(request, at, "no platform gives the probabilities of its tokens");
  }
}

void ReadUnsupported(Fields& fields, ChatRequest& request) {
  constexpr absl::string_view kStateless = "nothing is stored here: send the whole conversation as `input`";
  struct Row {
    absl::string_view field, why;
  };
  for (const Row& row : {
           Row{"previous_response_id", kStateless},
           Row{"conversation", kStateless},
           Row{"background", "nothing is stored here: an answer is had by waiting for it"},
           Row{"prompt", "there are no prompt templates here"},
           Row{"context_management", "a context is never rewritten here"},
           Row{"moderation", "no platform moderates as asked"},
       }) {
    if (const json::value* value = fields.Raw(row.field); value != nullptr && !IsNeutral(*value))
      AddUnsupported(request, std::string(row.field), row.why);
  }
  if (fields.Int("top_logprobs", 0, 20).value_or(0) > 0)
    AddUnsupported(request, "top_logprobs", "no platform gives the probabilities of its tokens");
}

/// What the response object repeats of the request, as sent, or as OpenAI fills it in.
std::string Repeat(const json::value& body, const ChatRequest& request, absl::string_view tools) {
  const auto member = [&](absl::string_view key, absl::string_view absent) {
    const json::value* value = FindMember(body, {key});
    const bool present = value != nullptr && !value->is_null();
    return absl::StrCat(",\"", key, "\":", present ? json::serialize(*value) : std::string(absent));
  };
  std::string out = "\"background\":false";
  for (const absl::string_view key :
       {"instructions", "max_output_tokens", "prompt_cache_key", "safety_identifier", "temperature", "top_p"})
    out += member(key, "null");
  if (!request.end_user().empty() && FindMember(body, {"user"}) != nullptr) out += member("user", "\"\"");
  absl::StrAppend(&out, member("metadata", "{}"), member("tool_choice", "\"auto\""),
                  member("truncation", "\"disabled\""), member("service_tier", "\"default\""),
                  ",\"parallel_tool_calls\":",
                  request.has_parallel_tool_calls() && !request.parallel_tool_calls() ? "false" : "true");
  const json::value* effort = FindMember(body, {"reasoning", "effort"});
  const json::value* summary = FindMember(body, {"reasoning", "summary"});
  absl::StrAppend(&out, ",\"reasoning\":{\"effort\":", effort ? json::serialize(*effort) : "null",
                  ",\"summary\":", summary ? json::serialize(*summary) : "null", "}");
  const json::value* format = FindMember(body, {"text", "format"});
  const json::value* verbosity = FindMember(body, {"text", "verbosity"});
  absl::StrAppend(
      &out, ",\"text\":{\"format\":", format && !format->is_null() ? json::serialize(*format) : R"({"type":"text"})",
      ",\"verbosity\":", verbosity && !verbosity->is_null() ? json::serialize(*verbosity) : "\"medium\"", "}");
  absl::StrAppend(&out, ",\"tools\":", tools, R"(,"top_logprobs":0,"previous_response_id":null,"conversation":null)");
  return out;
}

void ReadCall(const json::value& body, ResponseCall& call, Reading& reading) {
  ChatRequest& request = call.request;
  Fields fields(JsonReader(body), reading);
  request.set_model(fields.Required("model"));
  if (auto instructions = fields.String("instructions"); instructions && !instructions->empty()) {
    auto& message = *request.add_messages();
    message.set_role(chat::v1::ROLE_SYSTEM);
    message.add_parts()->set_text(*std::move(instructions));
    call.names.Add("messages[0]", "instructions");
  }
  ReadInput(fields, request, call.names, reading);
  call.stream = fields.Bool("stream").value_or(false);
  if (const json::value* options = fields.Raw("stream_options")) {
    Fields(JsonReader(*options, "stream_options"), reading).Raw("include_obfuscation");
    if (!call.stream) fields.Fault("stream_options", "is allowed only with stream: true");
  }
  auto& sampling = *request.mutable_sampling();
  if (auto value = fields.Double("temperature")) sampling.set_temperature(*value);
  if (auto value = fields.Double("top_p")) sampling.set_top_p(*value);
  if (auto limit = fields.Int("max_output_tokens", 1, kNoLimit)) request.set_max_output_tokens(*limit);
  const std::string tools = ReadTools(fields, request, reading);
  ReadToolChoice(fields, request, reading);
  if (auto parallel = fields.Bool("parallel_tool_calls")) request.set_parallel_tool_calls(*parallel);
  call.reasoning_summary = ReadReasoning(fields, request, reading);
  ReadFormat(fields, request, reading);
  ReadInclude(fields, request);
  ReadMetadata(fields, request);
  if (auto user = fields.String("user")) request.set_end_user(*std::move(user));
  if (auto user = fields.String("safety_identifier")) request.set_end_user(*std::move(user));
  fields.OneOf("truncation", kTruncations);
  ReadUnsupported(fields, request);
  // Reasoning is an item of its own, unless the caller wants it elsewhere.
  request.mutable_reasoning()->set_format(chat::v1::REASONING_FORMAT_SEPARATE);
  ReadRelayFields(fields, request);
  for (const absl::string_view name : kNeutral) fields.Raw(name);
  if (fields.ok()) call.repeated = Repeat(body, request, tools);
}

}  // namespace

absl::StatusOr<ResponseCall> ParseResponse(absl::string_view body) {
  auto value = ParseBody(body);
  if (!value.ok()) return value.status();
  ResponseCall call;
  call.names = {{"messages", "input"},
                {"max_completion_tokens", "max_output_tokens"},
                {"reasoning_effort", "reasoning.effort"},
                {"response_format", "text.format"},
                {"response_format.json_schema", "text.format"}};
  call.names.AddEnding(".file.file_id", ".file_id");
  call.names.AddEnding(".file.url", ".file_url");
  call.names.AddEnding(".image_url.url", ".image_url");
  Reading reading;
  ReadCall(*value, call, reading);
  if (!reading.fault.ok()) return reading.fault;
  for (const std::string& name : reading.ignored) call.request.add_ignored_fields(name);
  return call;
}

}  // namespace switchyard
