#include "services/common/json_schema/json_schema.h"

#include <optional>
#include <set>
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

// A schema and a value both come from strangers, and the library bounds neither its stack nor its time.
constexpr size_t kMostSchemas = 10'000;  // within one
constexpr size_t kMostReferences = 500;  // followed one behind the other by the library, each on its stack
constexpr int kDeepest = 200;            // schemas within schemas, references followed
constexpr int64_t kMostSteps = 200'000;  // schemas times values

bool HoldsSchemasByName(absl::string_view key) {
  return key == "properties" || key == "$defs" || key == "definitions" || key == "dependencies" ||
         key == "dependentSchemas";
}
bool HoldsValues(absl::string_view key) {
  return key == "enum" || key == "const" || key == "default" || key == "examples" || key == "required";
}

/// Every schema within `schema`, itself first. @param visit gets each
template <typename Value, typename Visit>
void ForEachSchema(Value& schema, const Visit& visit) {
  visit(schema);
  if (auto* array = schema.if_array()) {
    for (auto& item : *array) ForEachSchema(item, visit);
  }
  auto* object = schema.if_object();
  if (object == nullptr) return;
  for (auto& member : *object) {
    const absl::string_view key = ToAbsl(member.key());
    if (HoldsValues(key)) continue;
    if (!HoldsSchemasByName(key) || !member.value().is_object()) {
      ForEachSchema(member.value(), visit);
      continue;
    }
    for (auto& named : member.value().get_object()) ForEachSchema(named.value(), visit);
  }
}

/// Without what needs a regular expression: one from a stranger may take for ever, or all of the stack, and the
/// library's own for `format` do with a long text.
json::value WithoutPatterns(json::value schema) {
  ForEachSchema(schema, [](json::value& one) {
    json::object* object = one.if_object();
    if (object == nullptr) return;
    object->erase("pattern");
    object->erase("format");
    // Names that such a pattern would have let through are not to be refused.
    if (object->erase("patternProperties") > 0) object->erase("additionalProperties");
  });
  return schema;
}

/// What a schema refers to, and how much work it is on a value.
class Walk {
 public:
  explicit Walk(const json::value& root) : root_(root) {}

  /// INVALID_ARGUMENT for a schema that is too large, or refers to what is no schema of it.
  absl::Status CheckReferences() {
    size_t references = 0;
    ForEachSchema(root_, [&](const json::value& schema) {
      schemas_.insert(&schema);
      references += schema.is_object() && schema.get_object().contains("$ref");
    });
    if (schemas_.size() > kMostSchemas) return absl::InvalidArgumentError("it is too large");
    if (references > kMostReferences) return absl::InvalidArgumentError("it has too many references");
    for (const json::value* schema : schemas_) {
      const json::value* reference = schema->is_object() ? schema->get_object().if_contains("$ref") : nullptr;
      if (reference == nullptr) continue;
      if (!reference->is_string() || Target(*reference) == nullptr)
        return absl::InvalidArgumentError("a $ref must point to a schema within it, like #/$defs/name");
    }
    // No value at all is enough for a circle that takes nothing from it.
    for (const json::value* schema : schemas_) {
      if (auto status = CheckWork(*schema, json::value()); !status.ok())
        return absl::InvalidArgumentError("a $ref leads back to itself, or too far");
    }
    return absl::OkStatus();
  }

  /// INVALID_ARGUMENT if checking `value` takes more steps, or more stack, than there is to spare.
  absl::Status CheckWork(const json::value& schema, const json::value& value) const {
    int64_t steps = 0;
    if (Count(schema, value, 0, steps)) return absl::OkStatus();
    return absl::InvalidArgumentError("checking it takes too long");
  }
  absl::Status CheckWork(const json::value& value) const { return CheckWork(root_, value); }

 private:
  const json::value* Target(const json::value& reference) const {
    absl::string_view pointer = ToAbsl(reference.get_string());
    boost::system::error_code error;
    if (!absl::ConsumePrefix(&pointer, "#")) return nullptr;
    const json::value* target = root_.find_pointer({pointer.data(), pointer.size()}, error);
    return target != nullptr && schemas_.count(target) > 0 ? target : nullptr;
  }

  // Goes wherever the library may go. @return false once that is too far
  bool Count(const json::value& schema, const json::value& value, int depth, int64_t& steps) const {
    if (++steps > kMostSteps || depth > kDeepest) return false;
    const json::object* object = schema.if_object();
    if (object == nullptr) return true;
    const int next = depth + 1;
    if (const json::value* reference = object->if_contains("$ref"); reference && reference->is_string()) {
      const json::value* target = Target(*reference);
      if (target != nullptr && !Count(*target, value, next, steps)) return false;
    }
    for (const auto& member : *object) {
      const absl::string_view key = ToAbsl(member.key());
      if (!CountMember(*object, key, member.value(), value, next, steps)) return false;
    }
    return true;
  }

  bool CountMember(const json::object& schema, absl::string_view key, const json::value& inner,
                   const json::value& value, int next, int64_t& steps) const {
    if (key == "not" || key == "if" || key == "then" || key == "else") return Count(inner, value, next, steps);
    if (key == "allOf" || key == "anyOf" || key == "oneOf") {
      if (!inner.is_array()) return true;
      for (const json::value& one : inner.get_array()) {
        if (!Count(one, value, next, steps)) return false;
      }
      return true;
    }
    if ((key == "dependencies" || key == "dependentSchemas") && inner.is_object()) {
      for (const auto& one : inner.get_object()) {
        if (!Count(one.value(), value, next, steps)) return false;
      }
      return true;
    }
    if (value.is_object()) return CountObject(schema, key, inner, value.get_object(), next, steps);
    if (value.is_array()) return CountArray(key, inner, value.get_array(), next, steps);
    return true;
  }

  bool CountObject(const json::object& schema, absl::string_view key, const json::value& inner,
                   const json::object& value, int next, int64_t& steps) const {
    const json::value* properties = schema.if_contains("properties");
    for (const auto& member : value) {
      const json::value* own =
          properties && properties->is_object() ? properties->get_object().if_contains(member.key()) : nullptr;
      if (key == "properties" && own != nullptr && !Count(*own, member.value(), next, steps)) return false;
      if (key == "additionalProperties" && own == nullptr && !Count(inner, member.value(), next, steps)) return false;
      if (key == "propertyNames" && !Count(inner, json::value(member.key()), next, steps)) return false;
    }
    return true;
  }

  bool CountArray(absl::string_view key, const json::value& inner, const json::array& value, int next,
                  int64_t& steps) const {
    if (key != "items" && key != "additionalItems" && key != "contains" && key != "prefixItems") return true;
    for (size_t i = 0; i < value.size(); ++i) {
      const json::value* one = &inner;
      if (inner.is_array()) one = i < inner.get_array().size() ? &inner.get_array()[i] : nullptr;
      if (one != nullptr && !Count(*one, value[i], next, steps)) return false;
    }
    return true;
  }

  const json::value& root_;
  std::set<const json::value*> schemas_;
};

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
  json::value text;  // what `walk` looks at; stays where it is
  std::optional<Walk> walk;
  valijson::Schema schema;
};

absl::StatusOr<JsonSchema> JsonSchema::Parse(const json::value& schema) {
  if (!schema.is_object() && !schema.is_bool()) return absl::InvalidArgumentError("a schema must be an object");
  auto rules = std::make_shared<Rules>();
  rules->text = WithoutPatterns(schema);
  rules->walk.emplace(rules->text);
  if (auto status = rules->walk->CheckReferences(); !status.ok()) return status;
  try {
    valijson::SchemaParser parser;
    parser.populateSchema(BoostJsonAdapter(rules->text), rules->schema);
  } catch (const std::exception& fault) {
    return absl::InvalidArgumentError(fault.what());
  }
  return JsonSchema(std::move(rules));
}

absl::Status JsonSchema::Check(const json::value& value) const {
  if (auto status = rules_->walk->CheckWork(value); !status.ok()) return status;
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
