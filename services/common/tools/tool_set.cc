#include "services/common/tools/tool_set.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"

namespace switchyard {

using chat::v1::ChatRequest;
using chat::v1::Message;
using chat::v1::Role;
using chat::v1::Tool;
using chat::v1::ToolChoice;

namespace {

constexpr int kMaxTools = 128;
constexpr size_t kMaxToolBytes = 1024 * 1024;
constexpr size_t kMaxIdLength = 128;

bool IsName(absl::string_view name) {
  constexpr size_t kLongest = 64;
  return !name.empty() && name.size() <= kLongest && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
}
constexpr absl::string_view kNameRule = "must be 1 to 64 letters, digits, '_' and '-'";

absl::Status ValidateDefinitions(const ChatRequest& request) {
  if (request.tools_size() > kMaxTools) return InvalidField("tools", "may hold at most 128 tools");
  std::set<absl::string_view> names;
  size_t bytes = 0;
  for (int i = 0; i < request.tools_size(); ++i) {
    const Tool& tool = request.tools(i);
    const std::string at = absl::StrCat("tools[", i, "].function.");
    if (!IsName(tool.name())) return InvalidField(absl::StrCat(at, "name"), kNameRule);
    if (!names.insert(tool.name()).second) return InvalidField(absl::StrCat(at, "name"), "is that of another tool");
    bytes += tool.name().size() + tool.description().size() + tool.parameters().size();
    if (bytes > kMaxToolBytes) return InvalidField("tools", "may have at most 1 MiB");
    const auto schema = ArgumentsSchema::Compile(tool.parameters());
    if (!schema.ok()) return InvalidField(absl::StrCat(at, "parameters"), schema.status().message());
  }
  return absl::OkStatus();
}

absl::Status ValidateChoice(const ChatRequest& request) {
  const ToolChoice& choice = request.tool_choice();
  if (request.tools_size() == 0) {
    if (choice.mode() == ToolChoice::MODE_UNSPECIFIED || choice.mode() == ToolChoice::MODE_NONE)
      return absl::OkStatus();
    return InvalidField("tool_choice", "is only allowed when `tools` are given");
  }
  const auto exists = [&request](const std::string& name) {
    return std::any_of(request.tools().begin(), request.tools().end(),
                       [&name](const Tool& tool) { return tool.name() == name; });
  };
  if (choice.mode() == ToolChoice::MODE_NAMED && !exists(choice.name()))
    return InvalidField("tool_choice.function.name", "is not the name of one of `tools`");
  if (!std::all_of(choice.allowed().begin(), choice.allowed().end(), exists))
    return InvalidField("tool_choice.allowed_tools", "names a tool that is not one of `tools`");
  return absl::OkStatus();
}

absl::Status ValidateCalls(const Message& message, const std::string& at, std::set<std::string>& open,
                           std::set<std::string>& known) {
  for (int i = 0; i < message.tool_calls_size(); ++i) {
    const auto& call = message.tool_calls(i);
    const std::string in = absl::StrCat(at, ".tool_calls[", i, "].");
    if (call.id().empty()) return InvalidField(absl::StrCat(in, "id"), "is missing");
    if (call.id().size() > kMaxIdLength) return InvalidField(absl::StrCat(in, "id"), "must be at most 128 bytes long");
    // Agents may number the calls of each turn anew.
    if (!open.insert(call.id()).second) return InvalidField(absl::StrCat(in, "id"), "is that of another call");
    known.insert(call.id());
    if (!IsName(call.name())) return InvalidField(absl::StrCat(in, "function.name"), kNameRule);
    // Its arguments are as the model wrote them: an answer that was cut short by a limit ends within them.
  }
  return absl::OkStatus();
}

absl::Status ValidateHistory(const ChatRequest& request) {
  std::set<std::string> open;   // calls without a result so far
  std::set<std::string> known;  // all calls
  for (int i = 0; i < request.messages_size(); ++i) {
    const Message& message = request.messages(i);
    const std::string at = absl::StrCat("messages[", i, "]");
    if (message.tool_calls_size() > 0 && message.role() != Role::ROLE_ASSISTANT)
      return InvalidField(absl::StrCat(at, ".tool_calls"), "is only allowed in a message of the assistant");
    if (auto status = ValidateCalls(message, at, open, known); !status.ok()) return status;
    if (message.role() != Role::ROLE_TOOL) continue;
    const std::string field = absl::StrCat(at, ".tool_call_id");
    if (message.tool_call_id().empty()) return InvalidField(field, "is missing");
    if (open.erase(message.tool_call_id()) > 0) continue;
    if (known.count(message.tool_call_id()) > 0) return InvalidField(field, "has been answered by an earlier message");
    // In a conversation that goes on the call may be on the platform's side alone.
    if (request.conversation_id().empty()) return InvalidField(field, "is not the id of a call in an earlier message");
    known.insert(message.tool_call_id());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateTools(const ChatRequest& request) {
  if (auto status = ValidateDefinitions(request); !status.ok()) return status;
  if (auto status = ValidateChoice(request); !status.ok()) return status;
  return ValidateHistory(request);
}

bool MayCall(const ChatRequest& request) {
  return request.tools_size() > 0 && request.tool_choice().mode() != ToolChoice::MODE_NONE;
}

bool MayCall(const ChatRequest& request, const std::string& name) {
  if (!MayCall(request)) return false;
  const ToolChoice& choice = request.tool_choice();
  if (choice.mode() == ToolChoice::MODE_NAMED) return choice.name() == name;
  return choice.allowed().empty() ||
         std::find(choice.allowed().begin(), choice.allowed().end(), name) != choice.allowed().end();
}

std::shared_ptr<ToolSet> ToolSet::Of(const ChatRequest& request, absl::string_view platform) {
  if (!MayCall(request)) return nullptr;
  std::shared_ptr<ToolSet> set(new ToolSet(DialectOf(platform)));
  const auto mode = request.tool_choice().mode();
  set->required_ = mode == ToolChoice::MODE_REQUIRED || mode == ToolChoice::MODE_NAMED;
  set->parallel_ = !request.has_parallel_tool_calls() || request.parallel_tool_calls();
  for (const Tool& tool : request.tools()) {
    if (MayCall(request, tool.name())) set->tools_[tool.name()] = {tool.parameters()};
  }
  return set;
}

std::string ToolSet::NameOf(absl::string_view written) const {
  if (tools_.count(written) > 0) return std::string(written);
  absl::ConsumePrefix(&written, "functions.");
  const size_t colon = written.rfind(':');
  if (colon != absl::string_view::npos && colon + 1 < written.size() &&
      std::all_of(written.begin() + static_cast<std::ptrdiff_t>(colon) + 1, written.end(),
                  [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); })) {
    written = written.substr(0, colon);
  }
  return tools_.count(written) > 0 ? std::string(written) : "";
}

const ArgumentsSchema& ToolSet::SchemaOf(const std::string& name) {
  Entry& entry = tools_.at(name);
  if (!entry.schema) {
    auto schema = ArgumentsSchema::Compile(entry.parameters);
    if (!schema.ok()) schema = ArgumentsSchema::Compile("");  // unchecked by its owner
    entry.schema = std::make_unique<ArgumentsSchema>(*std::move(schema));
  }
  return *entry.schema;
}

}  // namespace switchyard
