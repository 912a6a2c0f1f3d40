// The server's side of the patch stream: an event leaves out path and operation where they are those of the one before.
// Source: protocol page, section 4.3.
#pragma once

#include <string>
#include <vector>

#include "boost/json/value.hpp"

namespace simulator::deepseek {

struct Change {
  std::string path;
  std::string operation;  // SET, APPEND, BATCH
  boost::json::value value;
};

class DeltaEncoder {
 public:
  /// The older dialect puts "v" first and spaces after separators.
  explicit DeltaEncoder(bool spaced) : spaced_(spaced) {}

  /// The document as a whole: neither path nor operation.
  std::string Snapshot(const boost::json::value& document);
  std::string Patch(const Change& change);
  std::string Batch(const std::string& path, const std::vector<Change>& changes);

  /// A named event or a bare object in this dialect's spelling.
  std::string Spell(const boost::json::value& value) const;

 private:
  std::string Event(const boost::json::value& object) const;
  boost::json::object Encode(const Change& change, std::string& path, std::string& operation, bool spell_out) const;

  const bool spaced_;
  std::string path_;
  std::string operation_ = "SET";
  bool first_ = false;  // the first patch after a snapshot spells its operation out
};

}  // namespace simulator::deepseek
