// The document that DeepSeek's answer stream describes: a delta encoder's receiving end.
//
//   PatchDocument document;
//   if (auto status = document.Apply(event); !status.ok()) …
//   const json::value* status = FindMember(document.root(), {"response", "status"});
//
// Pure. Source: protocol notes of DeepSeek, section 4.3.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "boost/json/value.hpp"

namespace switchyard::deepseek {

class PatchDocument {
 public:
  /// Applies one patch event: an object with a member "v". UPSTREAM_CHANGED (cause protocol) if text would be lost by
  /// it: an unknown operation, or one that does not fit what it is for.
  absl::Status Apply(const boost::json::object& patch);

  /// A further stream of patches to the same document, with a memory of its own.
  void BeginStream();
  /// Takes `word` out of the answer's status, if it is there.
  void ForgetEnd(absl::string_view word);

  const boost::json::value& root() const { return root_; }

  /// Whether the last Apply() could have changed text otherwise than by adding to its end.
  bool rewrote() const { return rewrote_; }

 private:
  // The path and operation that an event leaves out are those of the one before it.
  struct Memory {
    std::string path;
    std::string operation = "SET";
  };
  absl::Status Apply(const boost::json::object& patch, absl::string_view base, Memory& memory, int depth);
  absl::Status Change(absl::string_view path, absl::string_view operation, const boost::json::value& value);
  boost::json::value* Locate(absl::string_view path);

  boost::json::value root_;
  Memory memory_;
  bool operation_seen_ = false;
  bool rewrote_ = false;
};

}  // namespace switchyard::deepseek
