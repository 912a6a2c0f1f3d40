#include "edge/openai_request.h"

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/serialize.hpp"
#include "edge/data_url.h"
#include "edge/fields.h"
#include "edge/request_body.h"
#include "edge/request_parts.h"
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

// How much of anything one request may hold. The size of the body bounds the rest.
constexpr size_t kMostMessages = 4096;
constexpr size_t kMostParts = 1024;
constexpr size_t kMostCalls = 128;
constexpr size_t kMostTools = 128;
constexpr size_t kMostMetadata = 16;
constexpr int64_t kMetadataKey = 64;
constexpr int64_t kMetadataValue = 512;
constexpr int64_t kModelLength = 256;
constexpr int64_t kNameLength = 64;
constexpr int64_t kIdLength = 256;
constexpr int64_t kUserLength = 512;
constexpr int64_t kMostChoices = 8;
constexpr int64_t kMostLogprobs = 20;
constexpr int64_t kBias = 100;

enum class Nothing { kNone };  // for words that only have to be one of some

constexpr std::array kRoles = {
    Word<Role>{"system", Role::ROLE_SYSTEM}, Word<Role>{"developer", Role::ROLE_SYSTEM},
    Word<Role>{"user", Role::ROLE_USER},     Word<Role>{"assistant", Role::ROLE_ASSISTANT},
    Word<Role>{"tool", Role::ROLE_TOOL},     Word<Role>{"function", Role::ROLE_TOOL},
};
// `thinking.type`, as several of the platforms' own APIs have it.
constexpr std::array kThinking = {
    Word<ReasoningOptions::Effort>{"enabled", ReasoningOptions::EFFORT_MEDIUM},
    Word<ReasoningOptions::Effort>{"auto", ReasoningOptions::EFFORT_UNSPECIFIED},
    Word<ReasoningOptions::Effort>{"adaptive", ReasoningOptions::EFFORT_UNSPECIFIED},
    Word<ReasoningOptions::Effort>{"disabled", ReasoningOptions::EFFORT_NONE},
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
constexpr std::array kFunctionChoices = {kToolChoices[0], kToolChoices[1]};
constexpr std::array kAllowedModes = {kToolChoices[1], kToolChoices[2]};
constexpr std::array kDetails = {Word<Nothing>{"auto", {}}, Word<Nothing>{"low", {}}, Word<Nothing>{"high", {}},
                                 Word<Nothing>{"original", {}}};
constexpr std::array kContextSizes = {Word<Nothing>{"low", {}}, Word<Nothing>{"medium", {}}, Word<Nothing>{"high", {}}};
constexpr std::array kVerbosity = kContextSizes;
constexpr std::array kServiceTiers = {Word<Nothing>{"auto", {}}, Word<Nothing>{"default", {}},
                                      Word<Nothing>{"flex", {}}, Word<Nothing>{"scale", {}},
                                      Word<Nothing>{"priority", {}}};
constexpr std::array kAudioFormats = {Word<Nothing>{"wav", {}}, Word<Nothing>{"mp3", {}}};

// ---- content parts

enum class PartKind { kText, kImage, kFile, kAudio, kRefusal };
constexpr std::array kPartKinds = {
    Word<PartKind>{"text", PartKind::kText},        Word<PartKind>{"input_text", PartKind::kText},
    Word<PartKind>{"output_text", PartKind::kText}, Word<PartKind>{"image_url", PartKind::kImage},
    Word<PartKind>{"file", PartKind::kFile},        Word<PartKind>{"input_audio", PartKind::kAudio},
    Word<PartKind>{"refusal", PartKind::kRefusal},
};

bool MayHold(Role role, PartKind kind) {
  switch (kind) {
    case PartKind::kText:
      return true;
    case PartKind::kRefusal:
      return role == Role::ROLE_ASSISTANT;
    default:
      return role == Role::ROLE_USER;
  }
}

void ReadImage(Fields& part, chat::v1::Image& image, Reading& reading) {
  const json::value* inner = part.RequiredRaw("image_url");
  if (inner == nullptr) return;
  absl::string_view url;
  std::string path = part.PathOf("image_url");
  if (inner->is_string()) {  // not OpenAI's form, but that of many clients
    url = ToAbsl(inner->get_string());
  } else {
    Fields object(JsonReader(*inner, path), reading);
    const auto given = object.View("url");
    if (!given && object.ok()) object.Wrong("url", "a string");
    url = given.value_or(absl::string_view());
    object.OneOf("detail", kDetails);
    if (auto detail = object.String("detail")) image.set_detail(*std::move(detail));
    absl::StrAppend(&path, ".url");
  }
  if (!part.ok()) return;
  const auto fault = [&](absl::string_view what) { reading.fault = InvalidField(path, what); };
  if (IsDataUrl(url)) {
    auto data = ParseDataUrl(url);
    if (!data || data->bytes.empty()) return fault("a data URL must hold Base64: data:image/png;base64,…");
    image.set_media_type(std::move(data->media_type));
    image.set_data(std::move(data->bytes));
  } else if (absl::StartsWithIgnoreCase(url, "https://") || absl::StartsWithIgnoreCase(url, "http://")) {
    image.set_url(std::string(url));
  } else {
    fault("must be an https address or a data URL");
  }
}

void ReadFile(Fields& part, chat::v1::File& file, Reading& reading) {
  const json::value* inner = part.RequiredRaw("file");
  if (inner == nullptr) return;
  Fields object(JsonReader(*inner, part.PathOf("file")), reading);
  if (auto name = object.String("filename", kIdLength)) file.set_filename(*std::move(name));
  const auto id = object.String("file_id", kIdLength);
  const auto data = object.View("file_data");
  if (!part.ok()) return;
  if (id.has_value() == data.has_value()) return object.Fault("must have either file_data or file_id");
  if (id) return file.set_file_id(*id);
  InlineData bytes;
  if (IsDataUrl(*data)) {
    auto parsed = ParseDataUrl(*data);
    if (!parsed) return object.Fault("file_data", "a data URL must hold Base64: data:application/pdf;base64,…");
    bytes = *std::move(parsed);
  } else if (!absl::Base64Unescape(*data, &bytes.bytes)) {
    return object.Fault("file_data", "must be Base64, or a data URL that holds some");
  }
  if (bytes.bytes.empty()) return object.Fault("file_data", "is empty");
  file.set_data(std::move(bytes.bytes));
  file.set_media_type(std::move(bytes.media_type));
}

void ReadAudio(Fields& part, chat::v1::Audio& audio, Reading& reading) {
  const json::value* inner = part.RequiredRaw("input_audio");
  if (inner == nullptr) return;
  Fields object(JsonReader(*inner, part.PathOf("input_audio")), reading);
  object.Required("data");  // no platform takes it, so it is not carried
  object.OneOf("format", kAudioFormats);
  audio.set_format(object.Required("format"));
}

void ReadPart(const json::value& value, std::string path, Message& message, Reading& reading) {
  Fields part(JsonReader(value, std::move(path)), reading);
  part.Required("type");
  part.Raw("prompt_cache_breakpoint");
  const auto kind = part.OneOf("type", kPartKinds);
  if (!kind) return;
  if (!MayHold(message.role(), *kind)) return part.Fault("type", "is not a part that a message of this role can have");
  switch (*kind) {
    case PartKind::kText:
      return message.add_parts()->set_text(part.Required("text"));
    case PartKind::kRefusal:
      return message.set_refusal(part.Required("refusal"));
    case PartKind::kImage:
      return ReadImage(part, *message.add_parts()->mutable_image(), reading);
    case PartKind::kFile:
      return ReadFile(part, *message.add_parts()->mutable_file(), reading);
    case PartKind::kAudio:
      return ReadAudio(part, *message.add_parts()->mutable_audio(), reading);
  }
}

void ReadContent(Fields& fields, Message& message, Reading& reading) {
  const json::value* content = fields.Raw("content");
  if (content == nullptr) return;
  if (content->is_string()) {
    message.add_parts()->set_text(std::string(ToAbsl(content->get_string())));
    return;
  }
  const json::array* parts = fields.List("content", "a string or a list of parts", kMostParts);
  if (parts == nullptr) return;
  for (size_t i = 0; i < parts->size() && fields.ok(); ++i)
    ReadPart((*parts)[i], fields.PathOf("content", i), message, reading);
}

// ---- messages

/// The ids of calls in the older form, which has none: made here, so that results find their calls.
struct FunctionIds {
  int count = 0;
  std::string newest;
  std::string name;  // of the newest
};

void ReadFunction(const json::value& value, std::string path, chat::v1::ToolCall& call, Reading& reading) {
  Fields function(JsonReader(value, std::move(path)), reading);
  call.set_name(function.Required("name"));
  call.set_arguments(function.Required("arguments"));
}

void ReadCalls(Fields& fields, Message& message, FunctionIds& ids, Reading& reading) {
  if (const json::value* call = fields.Raw("function_call")) {
    chat::v1::ToolCall& out = *message.add_tool_calls();
    ReadFunction(*call, fields.PathOf("function_call"), out, reading);
    ids.newest = absl::StrCat("call_function_", ids.count++);
    ids.name = out.name();
    out.set_id(ids.newest);
  }
  const json::array* calls = fields.List("tool_calls", "a list of calls", kMostCalls);
  if (calls == nullptr) return;
  for (size_t i = 0; i < calls->size() && fields.ok(); ++i) {
    Fields call(JsonReader((*calls)[i], fields.PathOf("tool_calls", i)), reading);
    chat::v1::ToolCall& out = *message.add_tool_calls();
    out.set_id(call.Required("id"));
    call.Raw("index");  // of streamed pieces; some clients leave it in
    if (call.String("type").value_or("function") != "function") return call.Fault("type", "must be function");
    if (const json::value* function = call.RequiredRaw("function"))
      ReadFunction(*function, call.PathOf("function"), out, reading);
  }
}

void ReadMessage(const json::value& value, std::string path, Message& message, FunctionIds& ids, Reading& reading) {
  Fields fields(JsonReader(value, std::move(path)), reading);
  const std::string word = fields.Required("role");
  const auto role = fields.OneOf("role", kRoles);
  if (!role) return;
  message.set_role(*role);
  ReadContent(fields, message, reading);
  if (auto name = fields.String("name", kNameLength)) message.set_name(*std::move(name));
  if (*role == Role::ROLE_ASSISTANT) {
    ReadCalls(fields, message, ids, reading);
    if (auto refusal = fields.String("refusal")) message.set_refusal(*std::move(refusal));
    if (auto reasoning = fields.String("reasoning_content")) message.set_reasoning(*std::move(reasoning));
    // What answers of this API hold and a client may send back.
    for (const absl::string_view answered : {"annotations", "audio", "reasoning"}) fields.Raw(answered);
  } else if (*role == Role::ROLE_TOOL) {
    if (word == "tool") return message.set_tool_call_id(fields.Required("tool_call_id"));
    if (!fields.ok()) return;
    if (message.name().empty()) return fields.Fault("name", "is missing");
    if (ids.newest.empty() || ids.name != message.name()) return fields.Fault("name", "is no function called before");
    message.set_tool_call_id(std::exchange(ids.newest, ""));
  }
}

void ReadMessages(Fields& fields, ChatRequest& request, Reading& reading) {
  if (fields.RequiredRaw("messages") == nullptr) return;
  const json::array* list = fields.List("messages", "a list of messages", kMostMessages);
  if (list == nullptr) return;
  FunctionIds ids;
  for (size_t i = 0; i < list->size() && fields.ok(); ++i)
    ReadMessage((*list)[i], fields.PathOf("messages", i), *request.add_messages(), ids, reading);
}

// ---- options

void ReadLimits(Fields& fields, ChatRequest& request) {
  constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
  const auto older = fields.Int("max_tokens", 1, kNoLimit);
  const auto newer = fields.Int("max_completion_tokens", 1, kNoLimit);
  if (newer || older) request.set_max_output_tokens(newer ? *newer : *older);
}

void ReadFunctionTool(const json::value& value, std::string path, chat::v1::Tool& tool, Reading& reading) {
  Fields function(JsonReader(value, std::move(path)), reading);
  tool.set_name(function.Required("name"));
  if (auto description = function.String("description")) tool.set_description(*std::move(description));
  if (auto strict = function.Bool("strict")) tool.set_strict(*strict);
  tool.set_parameters(ReadObject(function, "parameters"));
}

/// The name in {"type":"function","function":{"name":…}}; "" after a fault.
std::string ReadNamed(Fields& object, Reading& reading) {
  if (object.Required("type") != "function") {
    object.Fault("type", "must be function");
    return "";
  }
  const json::value* function = object.RequiredRaw("function");
  if (function == nullptr) return "";
  Fields named(JsonReader(*function, object.PathOf("function")), reading);
  return named.Required("name");
}

void ReadAllowedTools(Fields& object, ToolChoice& choice, Reading& reading) {
  const json::value* inner = object.RequiredRaw("allowed_tools");
  if (inner == nullptr) return;
  Fields allowed(JsonReader(*inner, object.PathOf("allowed_tools")), reading);
  allowed.Required("mode");
  if (auto mode = allowed.OneOf("mode", kAllowedModes)) choice.set_mode(*mode);
  if (allowed.RequiredRaw("tools") == nullptr) return;
  const json::array* tools = allowed.List("tools", "a list of tools", kMostTools);
  if (tools == nullptr) return;
  if (tools->empty()) return allowed.Fault("tools", "must name at least one tool");
  for (size_t i = 0; i < tools->size() && object.ok(); ++i) {
    Fields tool(JsonReader((*tools)[i], allowed.PathOf("tools", i)), reading);
    choice.add_allowed(ReadNamed(tool, reading));
  }
}

void ReadToolChoice(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::value* value = fields.Raw("tool_choice");
  if (value == nullptr) return;
  ToolChoice& choice = *request.mutable_tool_choice();
  if (value->is_string()) {
    if (auto mode = fields.OneOf("tool_choice", kToolChoices)) choice.set_mode(*mode);
    return;
  }
  if (!value->is_object()) return fields.Wrong("tool_choice", "a string or an object");
  Fields object(JsonReader(*value, "tool_choice"), reading);
  const std::string type = object.Required("type");
  if (type == "allowed_tools") return ReadAllowedTools(object, choice, reading);
  if (type == "custom") {
    object.Raw("custom");
    return AddUnsupported(request, "tool_choice.type", "tools of type custom have no meaning on these platforms");
  }
  choice.set_mode(ToolChoice::MODE_NAMED);
  choice.set_name(ReadNamed(object, reading));
}

void ReadTools(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::array* tools = fields.List("tools", "a list of tools", kMostTools);
  for (size_t i = 0; tools != nullptr && i < tools->size() && fields.ok(); ++i) {
    Fields tool(JsonReader((*tools)[i], fields.PathOf("tools", i)), reading);
    const std::string type = tool.Required("type");
    if (type == "custom") {
      tool.Raw("custom");
      AddUnsupported(request, tool.PathOf("type"), "tools of type custom have no meaning on these platforms");
    } else if (type != "function") {
      tool.Fault("type", "must be function");
    } else if (const json::value* function = tool.RequiredRaw("function")) {
      ReadFunctionTool(*function, tool.PathOf("function"), *request.add_tools(), reading);
    }
  }
  if (auto parallel = fields.Bool("parallel_tool_calls")) request.set_parallel_tool_calls(*parallel);
  ReadToolChoice(fields, request, reading);
}

/// `functions` and `function_call`, the older form of tools: one call an answer.
void ReadFunctions(Fields& fields, ChatCompletionCall& call, Reading& reading) {
  ChatRequest& request = call.request;
  const json::array* functions = fields.List("functions", "a list of functions", kMostTools);
  const json::value* choice = fields.Raw("function_call");
  if (functions != nullptr && !functions->empty()) {
    if (request.tools_size() > 0) return fields.Fault("functions", "cannot stand beside tools; it is their older form");
    for (size_t i = 0; i < functions->size() && fields.ok(); ++i)
      ReadFunctionTool((*functions)[i], fields.PathOf("functions", i), *request.add_tools(), reading);
    request.set_parallel_tool_calls(false);
    call.calls_as_function = true;
  }
  if (choice == nullptr) return;
  if (!call.calls_as_function && !(choice->is_string() && choice->get_string() == "none"))
    return fields.Fault("function_call", "is allowed only with functions");
  if (choice->is_string()) {
    if (auto mode = fields.OneOf("function_call", kFunctionChoices)) request.mutable_tool_choice()->set_mode(*mode);
    return;
  }
  Fields named(JsonReader(*choice, "function_call"), reading);
  request.mutable_tool_choice()->set_mode(ToolChoice::MODE_NAMED);
  request.mutable_tool_choice()->set_name(named.Required("name"));
}

void ReadResponseFormat(Fields& fields, ChatRequest& request, Reading& reading) {
  const json::value* value = fields.Raw("response_format");
  if (value == nullptr) return;
  Fields format(JsonReader(*value, "response_format"), reading);
  format.Required("type");
  auto& out = *request.mutable_response_format();
  if (auto kind = format.OneOf("type", kResponseFormats)) out.set_kind(*kind);
  const json::value* inner = format.Raw("json_schema");
  if (inner == nullptr) {
    if (out.kind() == ResponseFormat::KIND_JSON_SCHEMA) format.RequiredRaw("json_schema");
    return;
  }
  Fields schema(JsonReader(*inner, "response_format.json_schema"), reading);
  out.set_name(schema.Required("name"));
  if (auto description = schema.String("description")) out.set_description(*std::move(description));
  if (auto strict = schema.Bool("strict")) out.set_strict(*strict);
  out.set_schema(ReadObject(schema, "schema"));
}

void ReadReasoning(Fields& fields, ChatRequest& request, Reading& reading) {
  auto& reasoning = *request.mutable_reasoning();
  // Other APIs' words for the same, from the least to the most particular.
  if (const auto thinking = fields.Bool("enable_thinking"))
    reasoning.set_effort(*thinking ? ReasoningOptions::EFFORT_MEDIUM : ReasoningOptions::EFFORT_NONE);
  if (const json::value* value = fields.Raw("thinking")) {
    Fields object(JsonReader(*value, "thinking"), reading);
    object.Required("type");
    object.Raw("budget_tokens");
    if (auto effort = object.OneOf("type", kThinking)) reasoning.set_effort(*effort);
  }
  if (const json::value* value = fields.Raw("reasoning")) {
    Fields object(JsonReader(*value, "reasoning"), reading);
    if (auto effort = object.OneOf("effort", kReasoningEfforts)) reasoning.set_effort(*effort);
  }
  if (auto effort = fields.OneOf("reasoning_effort", kReasoningEfforts)) reasoning.set_effort(*effort);
}

void ReadPlace(Fields& options, chat::v1::WebSearchOptions& search, Reading& reading) {
  const json::value* value = options.Raw("user_location");
  if (value == nullptr) return;
  Fields location(JsonReader(*value, options.PathOf("user_location")), reading);
  if (location.Required("type") != "approximate") return location.Fault("type", "must be approximate");
  const json::value* inner = location.RequiredRaw("approximate");
  if (inner == nullptr) return;
  Fields place(JsonReader(*inner, location.PathOf("approximate")), reading);
  if (auto text = place.String("country", kNameLength)) search.set_country(*std::move(text));
  if (auto text = place.String("region", kIdLength)) search.set_region(*std::move(text));
  if (auto text = place.String("city", kIdLength)) search.set_city(*std::move(text));
  if (auto text = place.String("timezone", kNameLength)) search.set_timezone(*std::move(text));
}

void ReadWebSearch(Fields& fields, ChatRequest& request, Reading& reading) {
  auto& search = *request.mutable_web_search();
  if (auto enabled = fields.Bool("enable_search")) search.set_enabled(*enabled);
  if (const json::value* value = fields.Raw("web_search_options")) {
    search.set_enabled(true);
    Fields options(JsonReader(*value, "web_search_options"), reading);
    options.OneOf("search_context_size", kContextSizes);
    if (auto size = options.String("search_context_size")) search.set_context_size(*std::move(size));
    ReadPlace(options, search, reading);
  }
}

// Within the limits that OpenAI has for it.
void ReadStrictMetadata(Fields& fields, ChatRequest& request) {
  const json::value* metadata = fields.Raw("metadata");
  if (metadata == nullptr) return;
  if (!metadata->is_object()) return fields.Wrong("metadata", "an object of strings");
  if (metadata->get_object().size() > kMostMetadata) return fields.Fault("metadata", "may hold at most 16 entries");
  for (const auto& entry : metadata->get_object()) {
    const absl::string_view key = ToAbsl(entry.key());
    if (CountCodePoints(key) > kMetadataKey) return fields.Fault("metadata", "a key may have at most 64 characters");
    const std::string at = absl::StrCat("metadata.", key);
    if (!entry.value().is_string())
      return fields.Fault(at, absl::StrCat("must be a string, not ", KindName(entry.value())));
    const absl::string_view value = ToAbsl(entry.value().get_string());
    if (CountCodePoints(value) > kMetadataValue) return fields.Fault(at, "may have at most 512 characters");
    (*request.mutable_metadata())[std::string(key)] = std::string(value);
  }
}

void ReadCaller(Fields& fields, ChatRequest& request) {
  if (auto user = fields.String("user", kUserLength)) request.set_end_user(*std::move(user));
  if (auto user = fields.String("safety_identifier", kUserLength)) request.set_end_user(*std::move(user));
  ReadStrictMetadata(fields, request);
}

// ---- what no web chat can do, and what has no meaning here

bool IsEmpty(const json::value& value) {
  return (value.is_object() && value.get_object().empty()) || (value.is_array() && value.get_array().empty());
}

void ReadLogitBias(Fields& fields, ChatRequest& request) {
  const json::value* bias = fields.Raw("logit_bias");
  if (bias == nullptr || IsEmpty(*bias)) return;
  if (!bias->is_object()) return fields.Wrong("logit_bias", "an object of numbers");
  for (const auto& entry : bias->get_object()) {
    json::error_code error;
    const double value = entry.value().is_number() ? entry.value().to_number<double>(error) : kBias + 1.0;
    if (!(value >= -kBias && value <= kBias))
      return fields.Fault(absl::StrCat("logit_bias.", ToAbsl(entry.key()).substr(0, kNameLength)),
                          "must be a number from -100 to 100");
  }
  AddUnsupported(request, "logit_bias", "no platform lets its tokens be weighted");
}

void ReadModalities(Fields& fields, ChatRequest& request) {
  const json::array* modalities = fields.List("modalities", "a list of strings", kMostParts);
  for (size_t i = 0; modalities != nullptr && i < modalities->size(); ++i) {
    const json::value& one = (*modalities)[i];
    if (!one.is_string() || (one.get_string() != "text" && one.get_string() != "audio"))
      return fields.Fault(absl::StrCat("modalities[", i, "]"), "must be text or audio");
    if (one.get_string() == "audio") return AddUnsupported(request, "modalities", "only text can be answered with");
  }
}

void ReadUnsupported(Fields& fields, ChatRequest& request) {
  const bool logprobs = fields.Bool("logprobs").value_or(false);
  const int64_t top = fields.Int("top_logprobs", 0, kMostLogprobs).value_or(0);
  if (logprobs) AddUnsupported(request, "logprobs", "no platform gives the probabilities of its tokens");
  if (top > 0 && !logprobs) fields.Fault("top_logprobs", "is allowed only with logprobs: true");
  ReadLogitBias(fields, request);
  ReadModalities(fields, request);
  for (const auto& [name, why] :
       {std::pair<absl::string_view, absl::string_view>{"audio", "no platform answers with sound"},
        {"prediction", "no platform takes a predicted answer"},
        {"moderation", "the platforms moderate by rules of their own"}}) {
    const json::value* value = fields.Raw(name);
    if (value == nullptr) continue;
    if (!value->is_object()) return fields.Wrong(name, "an object");
    AddUnsupported(request, std::string(name), why);
  }
}

// How OpenAI bills, stores or caches is of no meaning to a relay; of the right type it has to be all the same.
void ReadNeutral(Fields& fields) {
  fields.Bool("store");
  fields.OneOf("service_tier", kServiceTiers);
  fields.OneOf("verbosity", kVerbosity);
  fields.String("prompt_cache_key");
  fields.String("prompt_cache_retention");
  for (const absl::string_view name : {"prompt_cache_options", "chat_template_kwargs"}) {
    const json::value* value = fields.Raw(name);
    if (value != nullptr && !value->is_object()) fields.Wrong(name, "an object");
  }
}

void ReadStream(Fields& fields, ChatCompletionCall& call, Reading& reading) {
  call.stream = fields.Bool("stream").value_or(false);
  const json::value* options = fields.Raw("stream_options");
  if (options == nullptr) return;
  Fields inner(JsonReader(*options, "stream_options"), reading);
  call.include_usage = inner.Bool("include_usage").value_or(false);
  inner.Bool("include_obfuscation");
  if (!call.stream) fields.Fault("stream_options", "is allowed only with stream: true");
}

void ReadBody(const json::value& body, ChatCompletionCall& call, Reading& reading) {
  ChatRequest& request = call.request;
  Fields fields(JsonReader(body), reading);
  fields.Required("model");
  request.set_model(fields.String("model", kModelLength).value_or(""));
  ReadMessages(fields, request, reading);
  ReadStream(fields, call, reading);
  call.n = static_cast<int>(fields.Int("n", 1, kMostChoices).value_or(1));
  ReadSampling(fields, request);
  ReadStop(fields, request);
  ReadLimits(fields, request);
  ReadTools(fields, request, reading);
  ReadFunctions(fields, call, reading);
  ReadResponseFormat(fields, request, reading);
  ReadReasoning(fields, request, reading);
  ReadWebSearch(fields, request, reading);
  ReadRelayFields(fields, request);
  ReadCaller(fields, request);
  if (call.n > 1 && request.keep_conversation())
    fields.Fault("n", "must be 1 where the conversation is kept: each answer has a conversation of its own");
  ReadUnsupported(fields, request);
  ReadNeutral(fields);
}

}  // namespace

absl::StatusOr<ChatCompletionCall> ParseChatCompletion(absl::string_view body) {
  auto value = ParseBody(body);
  if (!value.ok()) return value.status();
  ChatCompletionCall call;
  Reading reading;
  ReadBody(*value, call, reading);
  if (!reading.fault.ok()) return reading.fault;
  for (const std::string& name : reading.ignored) call.request.add_ignored_fields(name);
  return call;
}

}  // namespace switchyard
