#include "edge/openai_request.h"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/serialize.hpp"
#include "edge/fields.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;
using chat::v1::ChatRequest;
using chat::v1::ContentPart;
using chat::v1::Message;
using chat::v1::ReasoningFormat;
using chat::v1::ReasoningOptions;
using chat::v1::ResponseFormat;
using chat::v1::Role;
using chat::v1::ToolChoice;

namespace {

constexpr int64_t kMaxChoices = 8;

constexpr std::array kRoles = {
    Word<Role>{"system", Role::ROLE_SYSTEM}, Word<Role>{"developer", Role::ROLE_SYSTEM},
    Word<Role>{"user", Role::ROLE_USER},     Word<Role>{"assistant", Role::ROLE_ASSISTANT},
    Word<Role>{"tool", Role::ROLE_TOOL},     Word<Role>{"function", Role::ROLE_TOOL},
};
constexpr std::array kEfforts = {
    Word<ReasoningOptions::Effort>{"none", ReasoningOptions::EFFORT_NONE},
    Word<ReasoningOptions::Effort>{"minimal", ReasoningOptions::EFFORT_MINIMAL},
    Word<ReasoningOptions::Effort>{"low", ReasoningOptions::EFFORT_LOW},
    Word<ReasoningOptions::Effort>{"medium", ReasoningOptions::EFFORT_MEDIUM},
    Word<ReasoningOptions::Effort>{"high", ReasoningOptions::EFFORT_HIGH},
    Word<ReasoningOptions::Effort>{"xhigh", ReasoningOptions::EFFORT_MAX},
    Word<ReasoningOptions::Effort>{"max", ReasoningOptions::EFFORT_MAX},
};
constexpr std::array kFormats = {
    Word<ReasoningFormat>{"think", ReasoningFormat::REASONING_FORMAT_THINK},
    Word<ReasoningFormat>{"separate", ReasoningFormat::REASONING_FORMAT_SEPARATE},
    Word<ReasoningFormat>{"tags", ReasoningFormat::REASONING_FORMAT_TAGS},
    Word<ReasoningFormat>{"hidden", ReasoningFormat::REASONING_FORMAT_HIDDEN},
};
constexpr std::array kHistories = {
    Word<chat::v1::HistoryMode>{"flatten", chat::v1::HISTORY_MODE_FLATTEN},
    Word<chat::v1::HistoryMode>{"last", chat::v1::HISTORY_MODE_LAST},
};
constexpr std::array kResponseFormats = {
    Word<ResponseFormat::Kind>{"text", ResponseFormat::KIND_TEXT},
    Word<ResponseFormat::Kind>{"json_object", ResponseFormat::KIND_JSON_OBJECT},
    Word<ResponseFormat::Kind>{"json_schema", ResponseFormat::KIND_JSON_SCHEMA},
};
constexpr std::array kToolChoices = {
    Word<ToolChoice::Mode>{"none", ToolChoice::MODE_NONE},
    Word<ToolChoice::Mode>{"auto", ToolChoice::MODE_AUTO},
    Word<ToolChoice::Mode>{"required", ToolChoice::MODE_REQUIRED},
};

/// The value of a member that is one of some words; a fault naming them all otherwise.
template <typename Table>
auto OneOf(Fields& fields, absl::string_view key, const Table& table) -> std::optional<decltype(table[0].value)> {
  const auto text = fields.String(key);
  if (!text) return std::nullopt;
  std::string words;
  for (const auto& row : table) {
    if (row.word == *text) return row.value;
    absl::StrAppend(&words, words.empty() ? "" : ", ", row.word);
  }
  fields.Fault(key, absl::StrCat("must be one of ", words));
  return std::nullopt;
}

/// A member that is an object, as JSON text.
std::string ReadObject(Fields& fields, absl::string_view key) {
  const json::value* value = fields.Raw(key);
  if (value == nullptr) return "";
  if (value->is_object()) return json::serialize(*value);
  fields.Wrong(key, "an object");
  return "";
}

// ---- messages

void ReadImage(Fields& part, Reading& reading, chat::v1::Image& image) {
  const json::value* inner = part.Raw("image_url");
  if (inner == nullptr) return part.Fault("image_url", "is missing");
  std::string url;
  if (inner->is_string()) {
    url = std::string(ToAbsl(inner->get_string()));
  } else {
    Fields object(JsonReader(*inner, part.PathOf("image_url")), reading);
    url = object.Required("url");
    if (auto detail = object.String("detail")) image.set_detail(*std::move(detail));
  }
  if (!part.ok()) return;
  if (!absl::StartsWith(url, "data:")) {
    image.set_url(std::move(url));
    return;
  }
  const size_t comma = url.find(',');
  const absl::string_view head = absl::string_view(url).substr(5, comma == std::string::npos ? 0 : comma - 5);
  std::string data;
  if (comma == std::string::npos || !absl::EndsWith(head, ";base64") ||
      !absl::Base64Unescape(absl::string_view(url).substr(comma + 1), &data)) {
    return part.Fault("image_url", "a data URL must hold Base64");
  }
  image.set_media_type(std::string(head.substr(0, head.find(';'))));
  image.set_data(std::move(data));
}

void ReadFile(Fields& part, Reading& reading, chat::v1::File& file) {
  const json::value* inner = part.Raw("file");
  if (inner == nullptr) return part.Fault("file", "is missing");
  Fields object(JsonReader(*inner, part.PathOf("file")), reading);
  if (auto id = object.String("file_id")) file.set_file_id(*std::move(id));
  if (auto name = object.String("filename")) file.set_filename(*std::move(name));
  if (auto data = object.String("file_data")) file.set_data(*std::move(data));
}

void ReadPart(const json::value& value, std::string path, Message& message, Reading& reading) {
  Fields part(JsonReader(value, std::move(path)), reading);
  const std::string type = part.Required("type");
  if (!part.ok()) return;
  if (type == "text" || type == "input_text" || type == "output_text") {
    message.add_parts()->set_text(part.Required("text"));
  } else if (type == "refusal") {
    message.set_refusal(part.Required("refusal"));
  } else if (type == "image_url") {
    ReadImage(part, reading, *message.add_parts()->mutable_image());
  } else if (type == "file") {
    ReadFile(part, reading, *message.add_parts()->mutable_file());
  } else if (type == "input_audio") {
    message.add_parts()->mutable_audio();
  } else {
    part.Fault("type", "must be one of text, image_url, file, input_audio, refusal");
  }
}

void ReadContent(Fields& fields, Message& message, Reading& reading) {
  const json::value* content = fields.Raw("content");
  if (content == nullptr) return;
  if (content->is_string()) {
    message.add_parts()->set_text(std::string(ToAbsl(content->get_string())));
    return;
  }
  if (!content->is_array()) return fields.Wrong("content", "a string or a list of parts");
  const auto& parts = content->get_array();
  for (size_t i = 0; i < parts.size() && fields.ok(); ++i)
    ReadPart(parts[i], absl::StrCat(fields.PathOf("content"), "[", i, "]"), message, reading);
}

void ReadFunctionCall(const json::value& value, std::string path, chat::v1::ToolCall& call, Reading& reading) {
  Fields function(JsonReader(value, std::move(path)), reading);
  call.set_name(function.Required("name"));
  if (auto arguments = function.String("arguments")) call.set_arguments(*std::move(arguments));
}

void ReadToolCalls(Fields& fields, Message& message, Reading& reading) {
  if (const json::value* call = fields.Raw("function_call")) {
    ReadFunctionCall(*call, fields.PathOf("function_call"), *message.add_tool_calls(), reading);
  }
  const json::value* calls = fields.Raw("tool_calls");
  if (calls == nullptr) return;
  if (!calls->is_array()) return fields.Wrong("tool_calls", "a list");
  for (size_t i = 0; i < calls->get_array().size() && fields.ok(); ++i) {
    Fields call(JsonReader(calls->get_array()[i], absl::StrCat(fields.PathOf("tool_calls"), "[", i, "]")), reading);
    chat::v1::ToolCall& out = *message.add_tool_calls();
    if (auto id = call.String("id")) out.set_id(*std::move(id));
    const json::value* function = call.Raw("function");
    if (function == nullptr) return call.Fault("function", "is missing");
    ReadFunctionCall(*function, call.PathOf("function"), out, reading);
  }
}

void ReadMessage(const json::value& value, std::string path, Message& message, Reading& reading) {
  Fields fields(JsonReader(value, std::move(path)), reading);
  fields.Required("role");
  if (auto role = OneOf(fields, "role", kRoles)) message.set_role(*role);
  ReadContent(fields, message, reading);
  ReadToolCalls(fields, message, reading);
  if (auto name = fields.String("name")) message.set_name(*std::move(name));
  if (auto id = fields.String("tool_call_id")) message.set_tool_call_id(*std::move(id));
  if (auto refusal = fields.String("refusal")) message.set_refusal(*std::move(refusal));
  if (auto reasoning = fields.String("reasoning_content")) message.set_reasoning(*std::move(reasoning));
}

void ReadMessages(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::value* messages = fields.Raw("messages");
  if (!fields.ok()) return;
  if (messages == nullptr) return fields.Fault("messages", "is missing");
  if (!messages->is_array()) return fields.Wrong("messages", "a list of messages");
  const auto& list = messages->get_array();
  for (size_t i = 0; i < list.size() && fields.ok(); ++i)
    ReadMessage(list[i], absl::StrCat("messages[", i, "]"), *request.add_messages(), reading);
}

// ---- options

void ReadSampling(Fields& fields, ChatRequest& request) {
  auto& sampling = *request.mutable_sampling();
  if (auto value = fields.Double("temperature")) sampling.set_temperature(*value);
  if (auto value = fields.Double("top_p")) sampling.set_top_p(*value);
  if (auto value = fields.Double("presence_penalty")) sampling.set_presence_penalty(*value);
  if (auto value = fields.Double("frequency_penalty")) sampling.set_frequency_penalty(*value);
  if (auto value = fields.Int("seed")) sampling.set_seed(*value);
  if (auto value = fields.Int("top_k")) sampling.set_top_k(*value);
}

void ReadStop(Fields& fields, ChatRequest& request) {
  const json::value* stop = fields.Raw("stop");
  if (stop == nullptr) return;
  if (stop->is_string()) {
    request.add_stop(std::string(ToAbsl(stop->get_string())));
    return;
  }
  if (!stop->is_array()) return fields.Wrong("stop", "a string or a list of strings");
  for (const json::value& one : stop->get_array()) {
    if (!one.is_string()) return fields.Wrong("stop", "a string or a list of strings");
    request.add_stop(std::string(ToAbsl(one.get_string())));
  }
}

void ReadLimits(Fields& fields, ChatRequest& request) {
  const auto older = fields.Int("max_tokens");
  const auto newer = fields.Int("max_completion_tokens");
  if (newer || older) request.set_max_output_tokens(newer ? *newer : *older);
  if (older && *older < 1) fields.Fault("max_tokens", "must be at least 1");
}

void ReadTools(Fields& fields, ChatRequest& request, Reading& reading) {
  if (const json::value* tools = fields.Raw("tools")) {
    if (!tools->is_array()) return fields.Wrong("tools", "a list of tools");
    for (size_t i = 0; i < tools->get_array().size() && fields.ok(); ++i) {
      Fields tool(JsonReader(tools->get_array()[i], absl::StrCat("tools[", i, "]")), reading);
      if (tool.Required("type") != "function") return tool.Fault("type", "must be function");
      const json::value* value = tool.Raw("function");
      if (value == nullptr) return tool.Fault("function", "is missing");
      Fields function(JsonReader(*value, tool.PathOf("function")), reading);
      auto& out = *request.add_tools();
      out.set_name(function.Required("name"));
      if (auto description = function.String("description")) out.set_description(*std::move(description));
      if (auto strict = function.Bool("strict")) out.set_strict(*strict);
      out.set_parameters(ReadObject(function, "parameters"));
    }
  }
  if (auto parallel = fields.Bool("parallel_tool_calls")) request.set_parallel_tool_calls(*parallel);
  const json::value* choice = fields.Raw("tool_choice");
  if (choice == nullptr) return;
  if (choice->is_string()) {
    if (auto mode = OneOf(fields, "tool_choice", kToolChoices)) request.mutable_tool_choice()->set_mode(*mode);
    return;
  }
  Fields object(JsonReader(*choice, "tool_choice"), reading);
  const json::value* function = object.Raw("function");
  if (object.Required("type") != "function" || function == nullptr)
    return object.Fault("type", "must be function, with a function's name");
  Fields named(JsonReader(*function, "tool_choice.function"), reading);
  request.mutable_tool_choice()->set_mode(ToolChoice::MODE_NAMED);
  request.mutable_tool_choice()->set_name(named.Required("name"));
}

void ReadResponseFormat(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::value* value = fields.Raw("response_format");
  if (value == nullptr) return;
  Fields format(JsonReader(*value, "response_format"), reading);
  format.Required("type");
  auto& out = *request.mutable_response_format();
  if (auto kind = OneOf(format, "type", kResponseFormats)) out.set_kind(*kind);
  const json::value* inner = format.Raw("json_schema");
  if (inner == nullptr) {
    if (out.kind() == ResponseFormat::KIND_JSON_SCHEMA) format.Fault("json_schema", "is missing");
    return;
  }
  Fields schema(JsonReader(*inner, "response_format.json_schema"), reading);
  if (auto name = schema.String("name")) out.set_name(*std::move(name));
  if (auto description = schema.String("description")) out.set_description(*std::move(description));
  if (auto strict = schema.Bool("strict")) out.set_strict(*strict);
  out.set_schema(ReadObject(schema, "schema"));
}

void ReadReasoning(Fields& fields, ChatRequest& request, Reading& reading) {
  auto& reasoning = *request.mutable_reasoning();
  if (const json::value* value = fields.Raw("reasoning"); value != nullptr && value->is_object()) {
    Fields object(JsonReader(*value, "reasoning"), reading);
    if (auto effort = OneOf(object, "effort", kEfforts)) reasoning.set_effort(*effort);
  }
  if (auto effort = OneOf(fields, "reasoning_effort", kEfforts)) reasoning.set_effort(*effort);
  if (auto format = OneOf(fields, "reasoning_format", kFormats)) reasoning.set_format(*format);
}

void ReadWebSearch(Fields& fields, ChatRequest& request, Reading& reading) {
  auto& search = *request.mutable_web_search();
  if (const json::value* value = fields.Raw("web_search_options")) {
    search.set_enabled(true);
    Fields options(JsonReader(*value, "web_search_options"), reading);
    if (auto size = options.String("search_context_size")) search.set_context_size(*std::move(size));
    options.Raw("user_location");
  }
  if (auto enabled = fields.Bool("web_search")) search.set_enabled(*enabled);
}

void ReadCaller(Fields& fields, ChatRequest& request) {
  if (auto user = fields.String("user")) request.set_end_user(*std::move(user));
  if (auto user = fields.String("safety_identifier")) request.set_end_user(*std::move(user));
  if (auto id = fields.String("conversation_id")) request.set_conversation_id(*std::move(id));
  if (auto keep = fields.Bool("keep_conversation")) request.set_keep_conversation(*keep);
  if (auto account = fields.String("account"))
    request.mutable_credential()->mutable_pool()->set_account(*std::move(account));
  if (auto history = OneOf(fields, "history", kHistories)) request.set_history(*history);
  if (auto ignore = fields.Bool("ignore_unsupported")) request.set_ignore_unsupported(*ignore);
  const json::value* metadata = fields.Raw("metadata");
  if (metadata == nullptr) return;
  if (!metadata->is_object()) return fields.Wrong("metadata", "an object of strings");
  for (const auto& entry : metadata->get_object()) {
    if (!entry.value().is_string()) return fields.Wrong("metadata", "an object of strings");
    (*request.mutable_metadata())[std::string(entry.key())] = std::string(ToAbsl(entry.value().get_string()));
  }
}

// ---- what no web chat can do

void AddUnsupported(ChatRequest& request, absl::string_view field, absl::string_view why) {
  auto& unsupported = *request.add_unsupported();
  unsupported.set_field(std::string(field));
  unsupported.set_why(std::string(why));
}

bool IsEmpty(const json::value& value) {
  return (value.is_object() && value.get_object().empty()) || (value.is_array() && value.get_array().empty());
}

void ReadUnsupported(Fields& fields, ChatRequest& request) {
  if (fields.Bool("logprobs").value_or(false))
    AddUnsupported(request, "logprobs", "no platform gives the probabilities of its tokens");
  if (fields.Int("top_logprobs").value_or(0) > 0)
    AddUnsupported(request, "top_logprobs", "no platform gives the probabilities of its tokens");
  if (const json::value* bias = fields.Raw("logit_bias"); bias != nullptr && !IsEmpty(*bias)) {
    AddUnsupported(request, "logit_bias", "no platform lets its tokens be weighted");
  }
  if (fields.Raw("audio") != nullptr) AddUnsupported(request, "audio", "no platform answers with sound");
  if (fields.Raw("prediction") != nullptr)
    AddUnsupported(request, "prediction", "no platform takes a predicted answer");
  if (const json::value* functions = fields.Raw("functions"); functions != nullptr && !IsEmpty(*functions))
    AddUnsupported(request, "functions", "use `tools`: `functions` is the older form");
  if (const json::value* modalities = fields.Raw("modalities")) {
    if (!modalities->is_array()) return fields.Wrong("modalities", "a list of strings");
    for (const json::value& one : modalities->get_array()) {
      if (!one.is_string() || one.get_string() != "text")
        AddUnsupported(request, "modalities", "only text can be answered with");
    }
  }
}

// Accepted and without effect here: how OpenAI bills, stores or caches is of no meaning to a relay.
constexpr std::array<absl::string_view, 8> kNeutral = {
    "store",         "service_tier",        "verbosity",           "prompt_cache_key", "prompt_cache_retention",
    "function_call", "include_obfuscation", "chat_template_kwargs"};

void ReadCall(const json::value& body, ChatCompletionCall& call, Reading& reading) {
  ChatRequest& request = call.request;
  Fields fields(JsonReader(body), reading);
  request.set_model(fields.Required("model"));
  ReadMessages(fields, request, reading);
  call.stream = fields.Bool("stream").value_or(false);
  if (const json::value* options = fields.Raw("stream_options")) {
    Fields inner(JsonReader(*options, "stream_options"), reading);
    call.include_usage = inner.Bool("include_usage").value_or(false);
    if (!call.stream && inner.ok()) fields.Fault("stream_options", "is allowed only with stream: true");
  }
  ReadSampling(fields, request);
  ReadStop(fields, request);
  ReadLimits(fields, request);
  ReadTools(fields, request, reading);
  ReadResponseFormat(fields, request, reading);
  ReadReasoning(fields, request, reading);
  ReadWebSearch(fields, request, reading);
  ReadCaller(fields, request);
  ReadUnsupported(fields, request);
  call.n = static_cast<int>(fields.Int("n", 1, kMaxChoices).value_or(1));
  for (const absl::string_view name : kNeutral) fields.Raw(name);
}

}  // namespace

absl::StatusOr<ChatCompletionCall> ParseChatCompletion(absl::string_view body) {
  auto value = ParseJson(body, /*unique_keys=*/true);
  if (!value.ok()) {
    return MakeError(Reason::REASON_INVALID_REQUEST,
                     absl::StrCat("The request body cannot be read as JSON: ", value.status().message(), "."));
  }
  if (!value->is_object()) {
    return MakeError(Reason::REASON_INVALID_REQUEST,
                     absl::StrCat("The request body must be a JSON object; it is ", KindName(*value), "."));
  }
  ChatCompletionCall call;
  Reading reading;
  ReadCall(*value, call, reading);
  if (!reading.fault.ok()) return reading.fault;
  for (const std::string& name : reading.ignored) call.request.add_ignored_fields(name);
  return call;
}

}  // namespace switchyard
