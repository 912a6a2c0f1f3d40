#include "services/common/tools/signature.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "boost/json/serialize.hpp"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;

namespace {

// Said in words behind the type.
constexpr std::array kLimits = {"format",   "pattern",     "minLength",        "maxLength",
                                "minimum",  "maximum",     "multipleOf",       "minItems",
                                "maxItems", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum"};
// Understood, or of no weight for who writes a call.
constexpr std::array kPlain = {"type",     "properties", "required",    "items",   "enum",     "const",
                               "anyOf",    "oneOf",      "description", "default", "title",    "additionalProperties",
                               "examples", "example",    "$schema",     "$id",     "nullable", "$comment"};

bool Contains(const std::string& text, absl::string_view part) {
  return text.find(part.data(), 0, part.size()) != std::string::npos;
}

template <typename Names>
bool IsOneOf(absl::string_view key, const Names& names) {
  return std::any_of(names.begin(), names.end(), [key](const char* name) { return key == name; });
}

std::string OneLine(absl::string_view text) {
  std::string line(absl::StripAsciiWhitespace(text));
  for (char& c : line) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  return line;
}

/// Types in the notation of TypeScript. Gives up on what that cannot express.
class TypeWriter {
 public:
  explicit TypeWriter(bool brief) : brief_(brief) {}

  bool ok() const { return ok_; }

  std::string TypeOf(const json::value& schema) {
    const auto* object = schema.if_object();
    if (object == nullptr) return "any";
    for (const auto& member : *object) {
      const absl::string_view key = ToAbsl(member.key());
      ok_ &= IsOneOf(key, kPlain) || IsOneOf(key, kLimits);
    }
    std::string type = Bare(*object);
    std::vector<std::string> limits;
    for (const char* key : kLimits) {
      if (const json::value* limit = object->if_contains(key))
        limits.push_back(absl::StrCat(key, " ", json::serialize(*limit)));
    }
    if (const json::value* value = object->if_contains("default"))
      limits.push_back(absl::StrCat("default ", json::serialize(*value)));
    if (!limits.empty()) absl::StrAppend(&type, " (", absl::StrJoin(limits, ", "), ")");
    return type;
  }

  /// The members of an object, each as "name?: type".
  std::vector<std::string> MembersOf(const json::object& schema, bool lines) {
    std::vector<std::string> members;
    const json::value* properties = schema.if_contains("properties");
    if (properties == nullptr) return members;
    if (!properties->is_object()) {
      ok_ = false;
      return members;
    }
    for (const auto& property : properties->get_object()) {
      std::string member = absl::StrCat(ToAbsl(property.key()),
                                        IsRequired(schema, property.key()) ? ": " : "?: ", TypeOf(property.value()));
      const absl::string_view description = JsonText(FindMember(property.value(), {"description"}));
      if (!brief_ && !description.empty())
        absl::StrAppend(&member, lines ? ". " : " /* ", OneLine(description), lines ? "" : " */");
      members.push_back(std::move(member));
    }
    return members;
  }

 private:
  static bool IsRequired(const json::object& schema, json::string_view name) {
    const json::value* required = schema.if_contains("required");
    if (required == nullptr || !required->is_array()) return false;
    const auto& names = required->get_array();
    return std::any_of(names.begin(), names.end(), [name](const json::value& one) { return one == name; });
  }

  std::string Union(const json::array& schemas) {
    std::vector<std::string> types;
    for (const json::value& schema : schemas) types.push_back(TypeOf(schema));
    return absl::StrJoin(types, " | ");
  }

  std::string Bare(const json::object& schema) {
    if (const json::value* words = schema.if_contains("enum"); words != nullptr && words->is_array()) {
      std::vector<std::string> literals;
      for (const json::value& word : words->get_array()) literals.push_back(json::serialize(word));
      return absl::StrJoin(literals, " | ");
    }
    if (const json::value* word = schema.if_contains("const")) return json::serialize(*word);
    for (const char* key : {"anyOf", "oneOf"}) {
      const json::value* choices = schema.if_contains(key);
      if (choices == nullptr) continue;
      ok_ &= choices->is_array() && !schema.contains("properties");
      return choices->is_array() ? Union(choices->get_array()) : "any";
    }
    const json::value* type = schema.if_contains("type");
    if (type == nullptr) return schema.contains("properties") ? Named("object", schema) : "any";
    if (type->is_string()) return Named(ToAbsl(type->get_string()), schema);
    if (!type->is_array()) return "any";
    std::vector<std::string> types;
    for (const json::value& one : type->get_array()) types.push_back(Named(JsonText(&one), schema));
    return absl::StrJoin(types, " | ");
  }

  std::string Named(absl::string_view type, const json::object& schema) {
    if (type == "array") {
      const json::value* items = schema.if_contains("items");
      const std::string of = items == nullptr ? "any" : TypeOf(*items);
      return Contains(of, " ") ? absl::StrCat("(", of, ")[]") : absl::StrCat(of, "[]");
    }
    if (type != "object") return std::string(type);
    std::vector<std::string> members = MembersOf(schema, false);
    if (const json::value* others = schema.if_contains("additionalProperties"); others && others->is_object())
      members.push_back(absl::StrCat("[name]: ", TypeOf(*others)));
    return members.empty() ? "object" : absl::StrCat("{", absl::StrJoin(members, "; "), "}");
  }

  bool brief_;
  bool ok_ = true;
};

}  // namespace

std::string SignatureOf(const chat::v1::Tool& tool, bool brief) {
  std::string out = tool.name();
  if (!brief && !tool.description().empty()) absl::StrAppend(&out, ": ", OneLine(tool.description()));
  const auto schema = ParseJson(tool.parameters().empty() ? "{}" : tool.parameters());
  if (!schema.ok() || !schema->is_object()) return out;
  TypeWriter writer(brief);
  writer.TypeOf(*schema);
  const std::vector<std::string> members = writer.MembersOf(schema->get_object(), true);
  const json::value* others = FindMember(*schema, {"additionalProperties"});
  const bool ties = (others != nullptr && others->is_object()) || FindMember(*schema, {"anyOf"}) != nullptr ||
                    FindMember(*schema, {"oneOf"}) != nullptr;
  if (!writer.ok() || ties) return absl::StrCat(out, "\n  arguments by this JSON Schema: ", json::serialize(*schema));
  if (members.empty()) return absl::StrCat(out, "\n  (no arguments)");
  for (const std::string& member : members) absl::StrAppend(&out, "\n  ", member);
  return out;
}

}  // namespace switchyard
