#include "services/common/json_schema/json_schema.h"

#include <map>
#include <string>
#include <utility>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;
using valijson::adapters::BoostJsonAdapter;

namespace {

/// Looks at a schema before the library does: that one asks for other documents, and follows a reference that leads
/// back to itself until the stack ends.
class References {
 public:
  explicit References(const json::value& root) : root_(root) {}

  /// INVALID_ARGUMENT for a reference that leads nowhere, elsewhere, or in a circle that takes nothing from the value.
  absl::Status Check(const json::value& schema) {
    if (auto status = Follow(schema); !status.ok()) return status;
    if (const auto* array = schema.if_array()) {
      for (const json::value& item : *array) {
        if (auto status = Check(item); !status.ok()) return status;
      }
    }
    if (const auto* object = schema.if_object()) {
      for (const auto& member : *object) {
        if (auto status = Check(member.value()); !status.ok()) return status;
      }
    }
    return absl::OkStatus();
  }

 private:
  enum class Visit { kRunning, kDone };

  // Everything that is applied to the same value as `schema` is.
  absl::Status Follow(const json::value& schema) {
    const auto* object = schema.if_object();
    if (object == nullptr) return absl::OkStatus();
    const auto [visit, first] = visits_.emplace(&schema, Visit::kRunning);
    if (!first) {
      if (visit->second == Visit::kDone) return absl::OkStatus();
      return absl::InvalidArgumentError("a $ref leads back to itself");
    }
    if (auto status = FollowReference(*object); !status.ok()) return status;
    for (const char* key : {"not", "if", "then", "else"}) {
      if (const json::value* next = object->if_contains(key)) {
        if (auto status = Follow(*next); !status.ok()) return status;
      }
    }
    for (const char* key : {"allOf", "anyOf", "oneOf"}) {
      const json::value* list = object->if_contains(key);
      if (list == nullptr || !list->is_array()) continue;
      for (const json::value& next : list->get_array()) {
        if (auto status = Follow(next); !status.ok()) return status;
      }
    }
    for (const char* key : {"dependencies", "dependentSchemas"}) {
      const json::value* map = object->if_contains(key);
      if (map == nullptr || !map->is_object()) continue;
      for (const auto& next : map->get_object()) {
        if (auto status = Follow(next.value()); !status.ok()) return status;
      }
    }
    visits_[&schema] = Visit::kDone;
    return absl::OkStatus();
  }

  absl::Status FollowReference(const json::object& schema) {
    const json::value* reference = schema.if_contains("$ref");
    if (reference == nullptr || !reference->is_string()) return absl::OkStatus();
    absl::string_view pointer = ToAbsl(reference->get_string());
    boost::system::error_code error;
    const json::value* target = nullptr;
    if (absl::ConsumePrefix(&pointer, "#")) target = root_.find_pointer({pointer.data(), pointer.size()}, error);
    if (target == nullptr)
      return absl::InvalidArgumentError("a $ref must point into the schema itself, like #/$defs/name");
    return Follow(*target);
  }

  const json::value& root_;
  std::map<const json::value*, Visit> visits_;
};

/// Takes out what needs a regular expression: one from a stranger may take for ever, or all of the stack.
json::value WithoutPatterns(json::value schema) {
  if (auto* array = schema.if_array()) {
    for (json::value& item : *array) item = WithoutPatterns(std::move(item));
  }
  auto* object = schema.if_object();
  if (object == nullptr) return schema;
  object->erase("pattern");
  // Names that such a pattern would have let through are not to be refused.
  if (object->erase("patternProperties") > 0) object->erase("additionalProperties");
  for (auto& member : *object) {
    const absl::string_view key = ToAbsl(member.key());
    if (key == "enum" || key == "const" || key == "default" || key == "examples") continue;
    const bool by_name = key == "properties" || key == "$defs" || key == "definitions" || key == "dependencies" ||
                         key == "dependentSchemas";
    if (!by_name || !member.value().is_object()) {
      member.value() = WithoutPatterns(std::move(member.value()));
      continue;
    }
    for (auto& named : member.value().get_object()) named.value() = WithoutPatterns(std::move(named.value()));
  }
  return schema;
}

std::string Place(const std::vector<std::string>& context) {
  std::string pointer;
  for (size_t i = 1; i < context.size(); ++i) {
    // The library writes members as "[name]", and the root as "<root>".
    std::string name = context[i];
    if (name.size() >= 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
    absl::StrAppend(&pointer, "/", name);
  }
  return pointer.empty() ? "the top" : pointer;
}

}  // namespace

struct JsonSchema::Rules {
  valijson::Schema schema;
};

absl::StatusOr<JsonSchema> JsonSchema::Parse(const json::value& schema) {
  if (!schema.is_object() && !schema.is_bool()) return absl::InvalidArgumentError("a schema must be an object");
  if (auto status = References(schema).Check(schema); !status.ok()) return status;
  auto rules = std::make_shared<Rules>();
  try {
    valijson::SchemaParser parser;
    const json::value checked = WithoutPatterns(schema);
    parser.populateSchema(BoostJsonAdapter(checked), rules->schema);
  } catch (const std::exception& fault) {
    return absl::InvalidArgumentError(fault.what());
  }
  return JsonSchema(std::move(rules));
}

absl::Status JsonSchema::Check(const json::value& value) const {
  valijson::ValidationResults results;
  try {
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    if (validator.validate(rules_->schema, BoostJsonAdapter(value), &results)) return absl::OkStatus();
  } catch (const std::exception& fault) {
    return absl::InvalidArgumentError(fault.what());
  }
  // The innermost fault comes first, and says most.
  valijson::ValidationResults::Error error;
  if (!results.popError(error)) return absl::InvalidArgumentError("does not fit its schema");
  return absl::InvalidArgumentError(absl::StrCat("at ", Place(error.context), ": ", error.description));
}

}  // namespace switchyard
