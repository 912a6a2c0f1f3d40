// The provider names a field as chat completions do ("messages[2].content[0]"); a caller of another API wrote it
// elsewhere. A parser notes where, and errors say it in the caller's words. Pure.
//
//   FieldNames names{{"max_completion_tokens", "max_tokens"}};
//   names.Add("messages[0]", "input[3]");
//   names.In("messages[0].content[1]")   // "input[3].content[1]"
//   names.AddEnding(".file.file_id", ".file_id");
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace switchyard {

class FieldNames {
 public:
  FieldNames() = default;
  FieldNames(std::initializer_list<std::pair<const std::string, std::string>> names) : names_(names) {}

  void Add(std::string chat, std::string own) { names_[std::move(chat)] = std::move(own); }

  /// The same for what stands within any part.
  void AddEnding(std::string chat, std::string own) { endings_[std::move(chat)] = std::move(own); }

  /// The caller's path: the longest known beginning of `chat` is replaced, and a known ending.
  std::string In(absl::string_view chat) const;
  /// The same error, its field and the start of its message in the caller's words.
  absl::Status In(const absl::Status& status) const;

 private:
  std::map<std::string, std::string> names_;
  std::map<std::string, std::string> endings_;
};

}  // namespace switchyard
