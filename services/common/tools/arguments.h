// A call's arguments against its tool's JSON Schema, while they arrive.
//
//   auto schema = ArgumentsSchema::Compile(tool.parameters());
//   ArgumentsBuilder builder(*schema);          // hears the tokens of what the model writes
//   LenientJson json(builder);
//   … json.Push(…) …; std::string piece = builder.Take();   // strict JSON that is never taken back
//   absl::Status status = builder.Finish();     // the closing brace, if all of it fits the schema
//
// Members go out one by one: a plain string as it comes, any other value when it is whole and fits its own schema.
// Where a schema ties members to each other, nothing goes out before all of it is known to fit.
//
// Repaired, in the members of the arguments alone, and only where the schema refuses what stands there and takes what
// it can only have meant: "5" for 5, 5 for "5", 5.0 for 5, a list or an object inside a string, and null for an
// optional member, which is left out.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "boost/json/value.hpp"
#include "services/common/json_schema/json_schema.h"
#include "services/common/tools/lenient_json.h"

namespace switchyard {

/// Immutable.
class ArgumentsSchema {
 public:
  struct Member {
    enum class Kind {
      kPlainString,  // any string will do
      kAny,          // nothing is said about it
      kChecked,      // by a schema of its own
      kLater,        // only with the whole
    };
    Kind kind = Kind::kAny;
    std::optional<JsonSchema> schema = {};
    bool required = false;
  };

  /// @param parameters JSON Schema as text; empty: any object
  /// INVALID_ARGUMENT with a plain sentence if it is no schema of an object.
  static absl::StatusOr<ArgumentsSchema> Compile(absl::string_view parameters);

  /// Whether members may go out one by one.
  bool by_member() const { return by_member_; }
  /// nullptr for a member that the schema forbids.
  const Member* Find(const std::string& name) const;
  absl::Status Check(const boost::json::value& arguments) const { return whole_->Check(arguments); }

 private:
  void AddMembers(const boost::json::object& schema);

  std::optional<JsonSchema> whole_;
  bool by_member_ = true;
  bool others_ = true;
  std::map<std::string, Member, std::less<>> members_;
  Member other_;
};

/// Errors are INVALID_ARGUMENT and say which member, never its value.
class ArgumentsBuilder final : public JsonTokens {
 public:
  /// @param schema outlives it
  explicit ArgumentsBuilder(const ArgumentsSchema& schema) : schema_(schema), later_(!schema.by_member()) {}

  // The arguments as one JSON object,
  void Open(char bracket) override;
  void Close(char bracket) override;
  void Key(const std::string& key) override;
  void StringBegin() override;
  void StringText(absl::string_view text) override;
  void StringEnd() override;
  void Scalar(absl::string_view literal) override;

  // or member by member, each value as text between tags: a string as it is, anything else as JSON.
  void TextBegin(const std::string& key);
  void Text(absl::string_view code_point);
  void TextEnd();

  /// What may be sent by now and was not taken before.
  std::string Take();
  /// The first fault; nothing goes out after it.
  const absl::Status& status() const { return status_; }
  /// The arguments are at their end.
  absl::Status Finish();

 private:
  bool BeginMember(const std::string& key);
  bool streams() const;
  void EndMember(std::string value);
  void EndTextMember();
  void Append(absl::string_view text);
  void Fail(absl::string_view what);

  const ArgumentsSchema& schema_;
  absl::Status status_;
  bool later_;            // nothing goes out before the end
  std::string all_;       // the arguments so far, in strict JSON
  size_t passed_on_ = 0;  // of all_

  std::set<std::string, std::less<>> keys_;
  int depth_ = 0;
  // The member under way.
  std::string key_;
  const ArgumentsSchema::Member* member_ = nullptr;
  bool streaming_ = false;
  JsonWriter value_;
  // Its text between tags: a line break at either end belongs to the tags.
  std::string text_;
  bool at_start_ = false;
  bool own_line_ = false;
  bool held_break_ = false;
};

}  // namespace switchyard
