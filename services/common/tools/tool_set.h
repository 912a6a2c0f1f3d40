// The tools of a request: whether they are as they have to be, and which of them an answer may, or must, call.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/common/tools/arguments.h"
#include "services/common/tools/dialect.h"
#include "switchyard/chat/v1/chat.pb.h"

namespace switchyard {

/// INVALID_ARGUMENT naming the field: a tool, the choice among them, or a call or result of the history.
absl::Status ValidateTools(const chat::v1::ChatRequest& request);

/// Whether a call may come: there are tools, and `tool_choice` is not none.
bool MayCall(const chat::v1::ChatRequest& request);
/// Whether the tool is one that `tool_choice` lets be called.
bool MayCall(const chat::v1::ChatRequest& request, const std::string& name);

/// What an answer may call. For one turn, on one thread.
class ToolSet {
 public:
  /// Of a request that ValidateTools() found in order. nullptr if nothing may be called.
  static std::shared_ptr<ToolSet> Of(const chat::v1::ChatRequest& request, absl::string_view platform);

  const Dialect& dialect() const { return dialect_; }
  /// Whether an answer without a call is none.
  bool required() const { return required_; }
  /// Whether an answer may hold several calls.
  bool parallel() const { return parallel_; }
  /// The tool that a model means by a name: "functions.f:0" is what Kimi's models write for "f". Empty if there is
  /// none.
  std::string NameOf(absl::string_view written) const;
  /// @param name of NameOf(); the schema lives as long as the set
  const ArgumentsSchema& SchemaOf(const std::string& name);

 private:
  struct Entry {
    std::string parameters;
    std::unique_ptr<ArgumentsSchema> schema = {};  // made when first called
  };

  explicit ToolSet(const Dialect& dialect) : dialect_(dialect) {}

  const Dialect& dialect_;
  bool required_ = false;
  bool parallel_ = true;
  std::map<std::string, Entry, std::less<>> tools_;
};

}  // namespace switchyard
