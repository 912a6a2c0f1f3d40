#include "services/common/tools/arguments.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "boost/json/serialize.hpp"
#include "services/common/text/json.h"
#include "services/common/text/views.h"

namespace switchyard {

namespace json = boost::json;

namespace {

constexpr size_t kMaxBytes = 1024 * 1024;

// What ties the members of an object to each other, or says of all of them what its properties do not.
constexpr std::array kTies = {"anyOf",
                              "oneOf",
                              "allOf",
                              "not",
                              "if",
                              "$ref",
                              "patternProperties",
                              "propertyNames",
                              "minProperties",
                              "maxProperties",
                              "dependencies",
                              "dependentRequired",
                              "dependentSchemas",
                              "unevaluatedProperties",
                              "enum",
                              "const"};
// What makes a string more than any string. (`format` and `pattern` are not checked.)
constexpr std::array kStringTies = {"enum",  "const", "minLength", "maxLength", "anyOf",
                                    "oneOf", "allOf", "not",       "if",        "$ref"};

template <typename Names>
bool HasAny(const json::object& schema, const Names& names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return schema.contains(name); });
}

bool IsPlainString(const json::value& schema) {
  const auto* object = schema.if_object();
  if (object == nullptr || HasAny(*object, kStringTies)) return false;
  const json::value* type = object->if_contains("type");
  return type != nullptr && type->is_string() && type->get_string() == "string";
}

bool IsEmptySchema(const json::value& schema) {
  return (schema.is_object() && schema.get_object().empty()) || (schema.is_bool() && schema.get_bool());
}

bool Refers(const json::value& schema) {
  if (const auto* array = schema.if_array()) return std::any_of(array->begin(), array->end(), &Refers);
  const auto* object = schema.if_object();
  return object != nullptr &&
         (object->contains("$ref") ||
          std::any_of(object->begin(), object->end(), [](const auto& member) { return Refers(member.value()); }));
}

// A property's schema with the definitions that it may refer to.
json::value StandAlone(const json::value& property, const json::object& root) {
  if (!property.is_object() || !Refers(property)) return property;
  json::object alone = property.get_object();
  for (const char* key : {"$defs", "definitions"}) {
    const json::value* definitions = root.if_contains(key);
    if (definitions != nullptr && !alone.contains(key)) alone[key] = *definitions;
  }
  return alone;
}

// Other values that `value` can have been meant as.
std::vector<json::value> OtherReadings(const json::value& value) {
  std::vector<json::value> readings;
  if (value.is_string()) {
    std::string normal;
    if (!NormaliseJson(ToAbsl(value.get_string()), normal)) return readings;
    auto inner = ParseJson(normal, true);
    if (inner.ok() && !inner->is_string() && !inner->is_null()) readings.push_back(*std::move(inner));
  } else if (value.is_double()) {
    const double number = value.get_double();
    if (std::floor(number) == number && std::fabs(number) < 9e15) readings.emplace_back(static_cast<int64_t>(number));
  } else if (value.is_number()) {
    readings.emplace_back(json::serialize(value));
  }
  return readings;
}

}  // namespace

absl::StatusOr<ArgumentsSchema> ArgumentsSchema::Compile(absl::string_view parameters) {
  auto root = ParseJson(parameters.empty() ? "{}" : parameters, true);
  if (!root.ok()) return absl::InvalidArgumentError(absl::StrCat("is not valid JSON: ", root.status().message()));
  if (!root->is_object()) return absl::InvalidArgumentError("must be a JSON Schema of type object");
  json::object& object = root->get_object();
  if (!object.contains("type")) object["type"] = "object";
  const json::value& type = object.at("type");
  if (!type.is_string() || type.get_string() != "object")
    return absl::InvalidArgumentError("must be a JSON Schema of type object");
  ArgumentsSchema schema;
  auto whole = JsonSchema::Parse(*root);
  if (!whole.ok())
    return absl::InvalidArgumentError(absl::StrCat("is not a valid JSON Schema: ", whole.status().message()));
  schema.whole_ = *std::move(whole);
  schema.AddMembers(object);
  return schema;
}

void ArgumentsSchema::AddMembers(const json::object& schema) {
  by_member_ = !HasAny(schema, kTies);
  const json::value* others = schema.if_contains("additionalProperties");
  if (others != nullptr && others->is_bool()) others_ = others->get_bool();
  if (others != nullptr && !others->is_bool()) other_.kind = Member::Kind::kLater;
  if (const json::value* properties = schema.if_contains("properties"); properties && properties->is_object()) {
    for (const auto& property : properties->get_object()) {
      Member& member = members_[std::string(property.key())];
      if (IsPlainString(property.value())) member.kind = Member::Kind::kPlainString;
      if (IsEmptySchema(property.value())) continue;
      auto alone = JsonSchema::Parse(StandAlone(property.value(), schema));
      if (alone.ok()) {
        if (member.kind == Member::Kind::kAny) member.kind = Member::Kind::kChecked;
        member.schema = *std::move(alone);
      } else {
        member.kind = Member::Kind::kLater;
      }
    }
  }
  if (const json::value* required = schema.if_contains("required"); required && required->is_array()) {
    for (const json::value& name : required->get_array()) {
      const auto member = members_.find(JsonText(&name));
      if (member != members_.end()) member->second.required = true;
    }
  }
}

const ArgumentsSchema::Member* ArgumentsSchema::Find(const std::string& name) const {
  const auto member = members_.find(name);
  if (member != members_.end()) return &member->second;
  return others_ ? &other_ : nullptr;
}

// ---- ArgumentsBuilder

void ArgumentsBuilder::Fail(absl::string_view what) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(what);
}

void ArgumentsBuilder::Append(absl::string_view text) {
  if (!status_.ok()) return;
  if (all_.size() + text.size() > kMaxBytes) return Fail("the arguments are larger than 1 MiB");
  all_.append(text.data(), text.size());
}

std::string ArgumentsBuilder::Take() {
  if (later_) return "";
  std::string ready = all_.substr(passed_on_);
  passed_on_ = all_.size();
  return ready;
}

bool ArgumentsBuilder::BeginMember(const std::string& key) {
  key_ = key;
  value_.Clear();
  streaming_ = false;
  member_ = schema_.Find(key);
  if (member_ == nullptr) Fail("there is a member that the schema does not allow");
  if (!keys_.insert(key).second) Fail("a member is given twice");
  if (!status_.ok()) return false;
  if (member_->kind == ArgumentsSchema::Member::Kind::kLater) later_ = true;
  return true;
}

bool ArgumentsBuilder::streams() const {
  return member_->kind == ArgumentsSchema::Member::Kind::kPlainString ||
         (member_->kind == ArgumentsSchema::Member::Kind::kAny && schema_.by_member());
}

/// `value` is strict JSON.
void ArgumentsBuilder::EndMember(std::string value) {
  if (!status_.ok()) return;
  auto parsed = ParseJson(value, true);
  if (!parsed.ok()) return Fail(absl::StrCat("at /", key_, ": ", parsed.status().message()));
  if (member_->schema) {
    absl::Status fits = member_->schema->Check(*parsed);
    if (!fits.ok()) {
      for (const json::value& reading : OtherReadings(*parsed)) {
        if (fits.ok() || !member_->schema->Check(reading).ok()) continue;
        fits = absl::OkStatus();
        value = json::serialize(reading);
      }
      if (!fits.ok() && parsed->is_null() && !member_->required) return;
    }
    if (!fits.ok()) {
      absl::string_view fault = fits.message();
      if (!absl::ConsumePrefix(&fault, "at the top")) absl::ConsumePrefix(&fault, "at ");
      return Fail(absl::StrCat("at /", key_, fault));
    }
  }
  std::string member(all_.empty() ? "{" : ",");
  AppendJsonString(member, key_);
  absl::StrAppend(&member, ":", value);
  Append(member);
}

void ArgumentsBuilder::Open(char bracket) {
  if (!status_.ok()) return;
  if (depth_++ == 0) {
    if (bracket != '{') Fail("the arguments are not an object");
    return;
  }
  value_.Open(bracket);
}

void ArgumentsBuilder::Close(char bracket) {
  if (!status_.ok()) return;
  if (--depth_ == 0) return;
  value_.Close(bracket);
  if (depth_ == 1) EndMember(value_.text());
}

void ArgumentsBuilder::Key(const std::string& key) {
  if (!status_.ok()) return;
  if (depth_ == 1) {
    BeginMember(key);
  } else {
    value_.Key(key);
  }
}

void ArgumentsBuilder::StringBegin() {
  if (!status_.ok()) return;
  if (depth_ == 0) return Fail("the arguments are not an object");
  if (depth_ > 1 || !streams()) return value_.StringBegin();
  streaming_ = true;
  std::string begin(all_.empty() ? "{" : ",");
  AppendJsonString(begin, key_);
  Append(begin + ":\"");
}

void ArgumentsBuilder::StringText(absl::string_view text) {
  if (!status_.ok()) return;
  if (!streaming_) {
    value_.StringText(text);
    if (value_.text().size() > kMaxBytes) Fail("the arguments are larger than 1 MiB");
    return;
  }
  std::string escaped;
  AppendJsonEscaped(escaped, text);
  Append(escaped);
}

void ArgumentsBuilder::StringEnd() {
  if (!status_.ok()) return;
  if (std::exchange(streaming_, false)) return Append("\"");
  value_.StringEnd();
  if (depth_ == 1) EndMember(value_.text());
}

void ArgumentsBuilder::Scalar(absl::string_view literal) {
  if (!status_.ok()) return;
  if (depth_ == 0) return Fail("the arguments are not an object");
  value_.Scalar(literal);
  if (depth_ == 1) EndMember(value_.text());
}

void ArgumentsBuilder::TextBegin(const std::string& key) {
  if (!status_.ok() || !BeginMember(key)) return;
  text_.clear();
  at_start_ = true;
  own_line_ = held_break_ = false;
  if (member_->kind != ArgumentsSchema::Member::Kind::kPlainString) return;
  depth_ = 1;
  StringBegin();
}

void ArgumentsBuilder::Text(absl::string_view code_point) {
  if (!status_.ok()) return;
  const bool line_break = code_point == "\n";
  if (std::exchange(at_start_, false) && line_break) {
    own_line_ = true;
    return;
  }
  std::string text(std::exchange(held_break_, false) ? "\n" : "");
  if (own_line_ && line_break) {
    held_break_ = true;
  } else {
    absl::StrAppend(&text, code_point);
  }
  if (streaming_) return StringText(text);
  text_ += text;
  if (text_.size() > kMaxBytes) Fail("the arguments are larger than 1 MiB");
}

void ArgumentsBuilder::TextEnd() {
  if (!status_.ok()) return;
  held_break_ = false;
  if (streaming_) {
    StringEnd();
  } else {
    EndTextMember();
  }
  depth_ = 0;
}

// The text as JSON where that fits, else as a string.
void ArgumentsBuilder::EndTextMember() {
  std::string as_string;
  AppendJsonString(as_string, text_);
  std::string as_json;
  if (!NormaliseJson(text_, as_json)) return EndMember(std::move(as_string));
  const auto parsed = ParseJson(as_json, true);
  const bool fits = parsed.ok() && (!member_->schema || member_->schema->Check(*parsed).ok());
  EndMember(fits ? std::move(as_json) : std::move(as_string));
}

absl::Status ArgumentsBuilder::Finish() {
  if (!status_.ok()) return status_;
  const auto parsed = ParseJson(absl::StrCat(all_.empty() ? "{" : all_, "}"), true);
  if (!parsed.ok()) {
    Fail("the arguments are not valid JSON");
    return status_;
  }
  if (absl::Status fits = schema_.Check(*parsed); !fits.ok()) {
    Fail(fits.message());
    return status_;
  }
  later_ = false;
  Append(all_.empty() ? "{}" : "}");
  return status_;
}

}  // namespace switchyard
