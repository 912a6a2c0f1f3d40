#include "services/deepseek/patch_document.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/common/status/reason.h"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard::deepseek {

namespace json = boost::json;

namespace {

// The deepest path seen has five parts. Each part of a path may make an object inside the last one.
constexpr size_t kMaxParts = 16;
constexpr int kMaxBatches = 4;

absl::Status Changed(absl::string_view what) {
  return MakeError(Reason::REASON_UPSTREAM_CHANGED, absl::StrCat("deepseek's answer was not understood: ", what),
                   {.cause = "protocol"});
}

std::string Join(absl::string_view base, absl::string_view path) {
  if (absl::StartsWith(path, "/")) return std::string(path.substr(1));
  if (base.empty() || path.empty()) return absl::StrCat(base, path);
  return absl::StrCat(base, "/", path);
}

absl::string_view Last(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

/// Whether the answer cannot be told without what lies there.
bool HoldsText(absl::string_view path) {
  const absl::string_view last = Last(path);
  return last == "content" || last == "thinking_content" || last == "fragments";
}

}  // namespace

void PatchDocument::BeginStream() {
  memory_ = Memory();
  operation_seen_ = false;
}

void PatchDocument::ForgetEnd(absl::string_view word) {
  for (const absl::string_view member : {"response/status", "response/quasi_status"}) {
    json::value* at = Locate(member);
    if (at != nullptr && at->is_string() && ToAbsl(at->get_string()) == word) *at = nullptr;
  }
}

absl::Status PatchDocument::Apply(const json::object& patch) {
  rewrote_ = false;
  return Apply(patch, "", memory_, 0);
}

absl::Status PatchDocument::Apply(const json::object& patch, absl::string_view base, Memory& memory, int depth) {
  const json::value* value = patch.if_contains("v");
  if (value == nullptr) return absl::OkStatus();
  if (const json::value* path = patch.if_contains("p"); path != nullptr && path->is_string()) {
    memory.path = std::string(ToAbsl(path->get_string()));
  }
  if (const json::value* operation = patch.if_contains("o"); operation != nullptr && operation->is_string()) {
    memory.operation = absl::AsciiStrToUpper(ToAbsl(operation->get_string()));
    operation_seen_ = true;
  }
  const std::string path = Join(base, memory.path);
  if (memory.operation != "BATCH") return Change(path, memory.operation, *value);
  if (!value->is_array()) return Change(path, "SET", *value);
  if (depth == kMaxBatches) return Changed("its patches are nested too deep");
  Memory items;
  for (const json::value& item : value->get_array()) {
    if (!item.is_object()) continue;
    if (auto status = Apply(item.get_object(), path, items, depth + 1); !status.ok()) return status;
  }
  return absl::OkStatus();
}

json::value* PatchDocument::Locate(absl::string_view path) {
  const std::vector<absl::string_view> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  if (parts.size() > kMaxParts) return nullptr;
  json::value* at = &root_;
  for (const absl::string_view part : parts) {
    if (at->is_array()) {
      json::array& array = at->get_array();
      int64_t index;
      if (!absl::SimpleAtoi(part, &index)) return nullptr;
      const int64_t size = static_cast<int64_t>(array.size());
      if (index < 0) index += size;
      if (index < 0 || index >= size) return nullptr;
      at = &array[static_cast<size_t>(index)];
    } else {
      if (at->is_null()) at->emplace_object();
      if (!at->is_object()) return nullptr;
      at = &at->get_object()[json::string_view(part.data(), part.size())];
    }
  }
  return at;
}

absl::Status PatchDocument::Change(absl::string_view path, absl::string_view operation, const json::value& value) {
  const bool text = HoldsText(path);
  // Very old captures send no operation at all and mean to append.
  const bool append =
      operation == "APPEND" ||
      (!operation_seen_ && (absl::EndsWith(path, "/content") || absl::EndsWith(path, "/thinking_content")));
  if (!append && operation != "SET") {
    return text ? Changed("it has an operation that is not known") : absl::OkStatus();
  }
  json::value* at = Locate(path);
  if (at == nullptr) return absl::OkStatus();
  if (!append || at->is_null()) {
    if (text || value.is_structured()) rewrote_ = true;
    *at = value;
    return absl::OkStatus();
  }
  if (at->is_string() && value.is_string()) {
    at->get_string().append(value.get_string());
  } else if (at->is_array() && value.is_array()) {
    json::array& array = at->get_array();
    array.insert(array.end(), value.get_array().begin(), value.get_array().end());
  } else if (text) {
    return Changed("it has a patch that does not fit");
  } else {
    *at = value;
  }
  return absl::OkStatus();
}

}  // namespace switchyard::deepseek
